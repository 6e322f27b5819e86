"""Where a run stands survives its state; how fast it goes is that of its last steps."""

import pytest

from hllm.training.progress import Progress, Speed


def test_progress_comes_back_from_a_state():
    before = Progress(step=7, best=0.25, best_step=6, worse=1, seconds=3.5)
    after = Progress()
    after.load_state_dict(before.state_dict())
    assert after == before


def test_speed_weighs_steps_by_their_time():
    speed = Speed()
    speed.add(1.0, 10, 100)
    assert speed.add(3.0, 10, 100) == pytest.approx({"sequences_per_s": 5, "items_per_s": 50})


def test_only_the_last_steps_count():
    speed = Speed()
    speed.add(1000.0, 1, 1)
    for _ in range(20):
        rates = speed.add(1.0, 4, 8)
    assert rates == {"sequences_per_s": 4, "items_per_s": 8}
