"""How data are split: what is held out is nowhere in training, and is found in the test."""

import numpy as np
import pytest

from hllm.data import eval_cases, popularity, training_parts
from hllm.errors import DataError
from hllm.split_options import SplitOptions
from hllm.splits import is_held_out, read_split, training_view

NUM_ITEMS = 40
HOLDING = SplitOptions(held_out_items=0.2, split_seed=1)


@pytest.fixture
def interactions(tmp_path):
    """200 readers of 3 to 12 of 40 items, at times of a clock."""
    rng = np.random.default_rng(0)
    lines = ["item_id,user_id,timestamp"]
    for user in range(200):
        read = rng.permutation(NUM_ITEMS)[: rng.integers(3, 13)]
        start = 1_500_000_000 + int(rng.integers(0, 10**7))
        lines += [f"i{item},u{user},{start + 86_400 * n}" for n, item in enumerate(read)]
    path = tmp_path / "interactions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def by_id(read, sequence):
    return [read.item_ids[item] for item in sequence]


def held(ids):
    return [item for item in ids if is_held_out(item, 0.2, 1)]


def test_training_never_sees_a_held_out_item(interactions):
    plain, view = read_split(interactions), training_view(read_split(interactions, HOLDING))
    assert held(plain.item_ids)  # else this would show nothing
    assert view.item_ids == [i for i in plain.item_ids if not held([i])]
    expected = [by_id(plain, part) for part in training_parts(plain)]
    expected = [[i for i in part if not held([i])] for part in expected]
    assert [by_id(view, part) for part in training_parts(view)] == [p for p in expected if p]
    assert (popularity(view)[1:] > 0).all() and len(popularity(view)) == view.num_items
    for case in eval_cases(view, "valid"):
        assert max([*case.history, case.target]) < view.num_items
    with pytest.raises(KeyError):
        eval_cases(view, "test")


def test_a_held_out_target_is_found_from_the_whole_history(interactions):
    plain, read = read_split(interactions), read_split(interactions, HOLDING)
    for phase in ("valid", "test"):
        cases = [
            [(case.user, by_id(data, case.history), data.item_ids[case.target])
             for case in eval_cases(data, phase)]
            for data in (plain, read)
        ]  # fmt: skip
        assert cases[0] == cases[1]
    assert [i for i, out in zip(read.item_ids, read.held_out, strict=True) if out] == held(
        plain.item_ids
    )
    assert popularity(read)[read.held_out].sum() == 0


def test_untouched_items_stay_the_last(interactions):
    extra = [f"new{n}" for n in range(20)]
    read = read_split(interactions, HOLDING, extra_item_ids=extra)
    assert read.item_ids[-20:] == extra
    assert max(sequence.max() for sequence in read.sequences) == NUM_ITEMS
    assert by_id(read, np.flatnonzero(read.held_out)) == held(
        [*read.item_ids[: NUM_ITEMS + 1], *extra]
    )


def test_the_draw_depends_on_the_id_alone():
    drawn = [is_held_out(f"i{n}", 0.1, 0) for n in range(10_000)]
    assert 900 < sum(drawn) < 1100
    assert drawn != [is_held_out(f"i{n}", 0.1, 1) for n in range(10_000)]
    larger = [is_held_out(f"i{n}", 0.2, 0) for n in range(10_000)]
    assert all(more for more, less in zip(larger, drawn, strict=True) if less)


@pytest.mark.parametrize("share", [1e-9, 0.999999])
def test_a_share_that_holds_out_nothing_or_everything_is_an_error(interactions, share):
    with pytest.raises(DataError, match="give another share"):
        read_split(interactions, SplitOptions(held_out_items=share))
