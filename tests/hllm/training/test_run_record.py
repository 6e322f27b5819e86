"""A used output folder: what it answers, what it refuses, and how another run takes its place."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from hllm.errors import DataError
from hllm.train import main, parse_options
from hllm.training import trainer
from hllm.training.run_record import open_run
from hllm.training.trainer import Trainer
from tests.hllm.training.runs import argv, losses

ROOT = Path(__file__).parents[3]
TINY_RUN = {
    "model_kind": "sasrec",
    "max_history": 6,
    "max_steps": 2,
    "eval_every": 1,
    "learning_rate": 0.05,
}


def line(data, output, **changes):
    return argv(data, output, **TINY_RUN | changes)


@pytest.fixture(scope="module")
def _finished(tmp_path_factory, small):
    output = tmp_path_factory.mktemp("finished") / "run"
    assert main(line(small, output)) == 0
    return output


@pytest.fixture
def run(_finished, tmp_path):
    """A finished run, free to be changed."""
    return shutil.copytree(_finished, tmp_path / "run")


@pytest.fixture
def nothing_heavy(monkeypatch):
    """No model and no data are opened."""
    monkeypatch.setattr(trainer, "Trainer", None)  # calling it would fail


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change_last_byte(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def said(caplog):
    (record,) = (r for r in caplog.records if r.levelno >= logging.ERROR)
    assert "\n" not in record.message
    return record.message.removeprefix("error: ")


@pytest.mark.usefixtures("nothing_heavy")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.002}, "learning_rate was 0.05, is 0.002"),
        ({"text_keys": "isbn"}, "text_keys was ['title'], is ['isbn']"),
        ({"model_kind": "hstu"}, "model_kind was sasrec, is hstu"),
        ({"seed": 1, "dropout": 0.5}, "dropout was 0.0, is 0.5; seed was 2020, is 1"),
        ({"max_steps": 3}, "max_steps was 2, is 3"),  # the learning rates on the way differ
        ({"patience": 2}, "patience was 3, is 2"),
    ],
)
def test_other_options_are_named_and_nothing_is_touched(small, run, caplog, changes, message):
    before = contents(run)
    assert main(line(small, run, **changes)) == 2
    assert said(caplog) == (
        f"{run} holds a run that differs ({message}): give another --output, or --restart to "
        "train anew in its place."
    )
    assert contents(run) == before


@pytest.mark.usefixtures("nothing_heavy")
def test_a_finished_run_says_so_and_names_the_next_command(small, run, caplog):
    caplog.set_level(logging.INFO)
    before = contents(run)
    assert main(line(small, run)) == 0
    log = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    best = max(record["ndcg@10"] for record in log if record["kind"] == "valid")
    (shown,) = caplog.messages
    assert re.match(rf"{run} is finished: best ndcg@10 {best:.4f} at step [12]; next: ", shown)
    assert shown.endswith(
        f"python -m hllm.evaluate --model {run} --interactions {small / 'interactions.csv'} "
        f"--items {small / 'items.csv'}"
    )
    assert contents(run) == before


@pytest.mark.usefixtures("nothing_heavy")
def test_data_count_by_content(small, run, tmp_path, caplog):
    moved = tmp_path / "moved.csv"
    moved.write_bytes((small / "interactions.csv").read_bytes())
    assert main(line(small, run, interactions=moved)) == 0
    # As long and as old as before, with the ids of two items exchanged.
    times = moved.stat()
    text = moved.read_text().replace("i3,", "i?,").replace("i4,", "i3,").replace("i?,", "i4,")
    moved.write_text(text)
    os.utime(moved, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert moved.stat().st_size == times.st_size
    assert main(line(small, run, interactions=moved)) == 2
    assert "(interactions: other data)" in said(caplog)


@pytest.mark.usefixtures("nothing_heavy")
def test_processes_and_version_count(small, run, caplog, monkeypatch):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"numerics": 0}))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(line(small, run)) == 2
    assert "processes were 1, are 2; it was begun by a version" in said(caplog)


@pytest.mark.usefixtures("nothing_heavy")
def test_weights_that_the_run_has_not_saved_are_refused(small, run, caplog):
    change_last_byte(run / "model.safetensors")
    assert main(line(small, run)) == 2
    assert "model.safetensors is not the model that this run has saved" in said(caplog)


def test_base_weights_count_by_content(small, tmp_path):
    """Without training: a record and something that it answers for."""
    llm = shutil.copytree(small / "item_llm", tmp_path / "llm")
    output = tmp_path / "run"
    output.mkdir()

    def opened(**changes):
        return open_run(*parse_options(argv(small, output, item_llm=llm, **changes)))

    opened().write()
    (output / "model.safetensors").write_bytes(b"trained")
    shutil.move(llm, llm := tmp_path / "elsewhere")
    opened()
    weights = llm / "model.safetensors"
    before = weights.stat()
    change_last_byte(weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=r"\(item_llm: another model\)"):
        opened()
    with pytest.raises(DataError, match=r"item_llm: another model; start_from: no model was given"):
        opened(start_from=llm)


@pytest.mark.parametrize(
    ("before", "now", "allowed"),
    [
        ({}, {"patience": 9}, True),
        ({"lr_schedule": "constant"}, {"max_steps": 9}, True),
        ({"lr_schedule": "constant"}, {"max_steps": 1}, False),
        ({"lr_schedule": "constant"}, {"max_steps": 0}, False),
        ({"lr_schedule": "constant", "warmup": 0.1}, {"max_steps": 9}, False),
    ],
)
def test_a_run_may_train_longer_where_that_changes_nothing_before(
    small, tmp_path, before, now, allowed
):
    first = TINY_RUN | before
    open_run(*parse_options(argv(small, tmp_path, **first))).write()
    (tmp_path / "model.safetensors").write_bytes(b"trained")
    longer = parse_options(argv(small, tmp_path, **first | now))
    if allowed:
        assert open_run(*longer).result is None
    else:
        with pytest.raises(DataError, match="max_steps was 2, is"):
            open_run(*longer)


def test_restart_gives_the_model_of_a_fresh_run(small, run, tmp_path):
    changes = {"learning_rate": 0.01}
    assert main(line(small, tmp_path / "fresh", **changes)) == 0
    assert main([*line(small, run, **changes), "--restart"]) == 0
    one, other = (load_file(f / "model.safetensors") for f in (run, tmp_path / "fresh"))
    assert one.keys() == other.keys()
    assert all(value.equal(other[name]) for name, value in one.items())
    assert losses(run) == losses(tmp_path / "fresh")
    assert json.loads((run / "train.json").read_text())["learning_rate"] == 0.01


def test_until_a_restart_has_a_model_the_old_run_stands(small, run, monkeypatch, caplog):
    before = contents(run)

    def dies(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_validate", dies)  # a step has been trained
        assert main([*line(small, run, learning_rate=0.01), "--restart"]) == 130
    assert contents(run) == before


def test_corrected_options_of_a_run_that_came_to_nothing_are_welcome(small, tmp_path, monkeypatch):
    def dies(self, rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", dies)
        assert main(line(small, tmp_path / "run")) == 130
    assert main(line(small, tmp_path / "run", learning_rate=0.01)) == 0


def test_a_run_of_a_version_without_records(small, run, caplog):
    (run / "run.json").unlink()
    assert main(line(small, run, learning_rate=0.002)) == 2
    assert "(learning_rate was 0.05, is 0.002)" in said(caplog)
    weights = (run / "model.safetensors").read_bytes()
    assert main(line(small, run)) == 0
    assert "its options are the same, whether its data are could not be compared" in caplog.text
    assert (run / "model.safetensors").read_bytes() == weights


@pytest.mark.usefixtures("nothing_heavy")
def test_a_model_that_was_not_trained_here_is_not_replaced(small, tmp_path, caplog):
    (tmp_path / "model.safetensors").write_bytes(b"converted")
    assert main(line(small, tmp_path)) == 2
    assert f"{tmp_path} holds a model that was not trained here" in said(caplog)


@pytest.mark.usefixtures("nothing_heavy")
def test_a_run_cannot_start_from_itself(small, run, caplog):
    assert main(line(small, run, start_from=run)) == 2
    assert said(caplog) == f"--start_from and --output are both {run}: give another --output."


def test_comparing_needs_no_model_library():
    code = "import sys, hllm.training.run_record; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
