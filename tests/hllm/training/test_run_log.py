"""The log of a run: one line per record, and no line of a step that is done again."""

import json

import pytest

from hllm.evaluation.run_records import LOG
from hllm.training.run_log import RunLog


def test_lines_hold_kind_step_and_rounded_values(tmp_path):
    log = RunLog(tmp_path / "new")
    log.write("train", 1, {"loss": 1 / 3})
    log.write("valid", 1, {"ndcg@10": 0.5})
    records = [json.loads(line) for line in (tmp_path / "new" / LOG).read_text().splitlines()]
    assert records == [
        {"kind": "train", "step": 1, "loss": 0.333333},
        {"kind": "valid", "step": 1, "ndcg@10": 0.5},
    ]


@pytest.mark.parametrize("half", ["", '{"kind": "train", "st'])
def test_resumed_run_drops_later_steps_and_a_line_cut_by_a_kill(tmp_path, half):
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": float(step)})
    with (tmp_path / LOG).open("a") as stream:
        stream.write(half)
    log.keep_until(2)
    log.write("train", 3, {"loss": 9.0})
    records = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [record["loss"] for record in records] == [1.0, 2.0, 9.0]


def test_a_fresh_run_has_nothing_to_drop(tmp_path):
    RunLog(tmp_path).keep_until(0)
    assert not (tmp_path / LOG).exists()
