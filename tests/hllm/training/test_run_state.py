"""Training survives a kill and a full disk at every operation on files."""

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import accelerate.checkpointing
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

import hllm.baselines.id_models
from hllm.errors import CheckpointError, StorageError
from hllm.train import main, parse_options
from hllm.training.run_state import MARK, find_state, save_state
from hllm.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
DIED = 77
# (owner, name, whether the call writes the file named by its last positional argument)
OPERATIONS = [
    (os, "fsync", False),
    (os, "replace", False),
    (os, "rename", False),
    (os, "link", False),
    (os, "unlink", False),
    (os, "rmdir", False),
    (os, "mkdir", False),
    (accelerate.checkpointing, "save", True),
    (torch, "save", True),
    (hllm.baselines.id_models, "save_file", True),
    (shutil, "copyfile", True),
]
MAKE_ROOM = {"unlink", "rmdir"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lines = ["item_id,user_id,timestamp"]
    for user in range(24):
        lines += [f"i{(user + step) % 8},u{user},{step}" for step in range(6)]
    (folder / "interactions.csv").write_text("\n".join(lines) + "\n")
    (folder / "items.csv").write_text("item_id,title\n" + "".join(f"i{n},t\n" for n in range(8)))
    return folder


def command(data, output, **changes):
    """Two validations, each with a better model, then two states."""
    values = {
        "interactions": data / "interactions.csv",
        "items": data / "items.csv",
        "output": output,
        "model_kind": "sasrec",
        "user_size": 8,
        "user_layers": 1,
        "user_heads": 2,
        "max_history": 4,
        "batch_size": 8,
        "num_negatives": 4,
        "learning_rate": 0.05,
        "max_steps": 4,
        "eval_every": 2,
    } | changes
    return [str(part) for name, value in values.items() for part in (f"--{name}", value)]


def results(output):
    """Weights of the best model and of the last step, and the losses on the way."""
    states = list((output / "state").iterdir())
    assert [path.name for path in states] == ["step-00000004"]
    assert [path.name for path in output.iterdir() if path.name.endswith(".partial")] == []
    lines = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    log = [(line["kind"], line["step"], line.get("loss")) for line in lines]
    best = load_file(output / "model.safetensors")
    return best, load_file(states[0] / "model.safetensors"), log


def finished_results(output):
    """The same of a run to which nothing is left to do.

    What another one left half done is still there, and the state may be gone, but not in parts.
    """
    for path in output.glob(".*.partial"):
        path.unlink()
    if any(path.name == "step-00000004" for path in output.glob("state/*")):
        return results(output)
    shutil.rmtree(output / "state", ignore_errors=True)
    shutil.copytree(output.with_name("old") / "state", output / "state")
    return results(output)


def assert_equal(one, other):
    for mine, theirs in zip(one[:2], other[:2], strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert one[2] == other[2]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("whole")
    assert main(command(data, output)) == 0
    return results(output)


def interrupt(patch, number, fails, spared=()):
    """Let `fails` happen before or in the middle of the number-th operation and those after it."""
    points = count()

    def is_due():
        return next(points) >= number

    def watched(real, writes, spares):
        def call(*args, **options):
            if not spares and is_due():
                fails()
            result = real(*args, **options)
            if writes and is_due():
                os.truncate(args[-1], os.path.getsize(args[-1]) // 2)
                fails()
            return result

        return call

    for owner, name, writes in OPERATIONS:
        patch.setattr(owner, name, watched(getattr(owner, name), writes, name in spared))


def dies_at(number, argv):
    """Run in a process that dies on the spot, without cleaning up; False: it came to its end."""
    child = os.fork()
    if child == 0:
        interrupt(pytest.MonkeyPatch(), number, lambda: os._exit(DIED))
        os._exit(main(argv))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, DIED)
    return code == DIED


EVERY = pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])


@EVERY
def test_a_run_that_dies_at_any_operation_continues_to_the_same_weights(
    data, tmp_path, whole, stride
):
    for number in count(step=stride):
        argv = command(data, tmp_path / str(number))
        if not dies_at(number, argv):
            break
        assert main(argv) == 0
        assert_equal(results(tmp_path / str(number)), whole)
    assert number > 50


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_restart_that_dies_at_any_operation_leaves_the_old_run_or_begins_the_new(
    data, tmp_path, whole, stride
):
    old, new = command(data, tmp_path / "old", seed=1), command(data, tmp_path / "new")
    assert main(old) == 0
    before = results(tmp_path / "old")
    seen = []
    for number in count(step=stride):
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        shutil.copytree(tmp_path / "old", tmp_path / "new")
        if not dies_at(number, [*new, "--restart"]):
            break
        code = main(new)
        seen.append(code)
        if code == 2:  # the old one is still what the folder holds
            assert main(command(data, tmp_path / "new", seed=1)) == 0
            assert_equal(finished_results(tmp_path / "new"), before)
        else:
            assert_equal(results(tmp_path / "new"), whole)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {0, 2}


@EVERY
def test_a_disk_that_fills_up_at_any_operation_costs_nothing(data, tmp_path, whole, caplog, stride):
    for number in count(step=stride):
        output = tmp_path / str(number)
        caplog.clear()
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, number, is_full, MAKE_ROOM)
            code = main(command(data, output))
        if code == 0:
            break
        assert code == 2
        (said,) = (r.message for r in caplog.records if r.levelno >= logging.ERROR)
        assert str(output) in said
        assert "disk is full" in said
        assert "\n" not in said
        assert main(command(data, output)) == 0
        assert_equal(results(output), whole)
    assert number > 30


def is_full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def saves(root, step):
    """A small state, whose files say which it is."""

    def write(folder):
        for name in ("a", "b"):
            (folder / name).write_text(str(step))
            torch.save(step, folder / name)

    save_state(Accelerator(cpu=True), root, step, write)


def found(root):
    folder = find_state(Accelerator(cpu=True), root)
    return None if folder is None else torch.load(folder / "b")


@pytest.mark.parametrize("before", [None, 1])
def test_a_state_is_the_old_or_the_new_wherever_its_saving_dies(tmp_path, before):
    seen = []
    for number in count():
        root = tmp_path / str(number)
        if before:
            saves(root, before)
        child = os.fork()
        if child == 0:
            interrupt(pytest.MonkeyPatch(), number, lambda: os._exit(DIED))
            saves(root, 2)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != DIED:
            break
        seen.append(found(root))
        saves(root, 3)
        assert found(root) == 3
        assert [path.name for path in (root / "state").iterdir()] == ["step-00000003"]
    assert seen == sorted(seen, key=lambda step: step or 0)
    assert set(seen) == {before, 2}
    assert len(seen) > 10


@pytest.mark.parametrize("before", [None, 1])
def test_a_full_disk_leaves_the_old_state_and_nothing_of_the_new(tmp_path, before):
    for number in count():
        root = tmp_path / str(number)
        if before:
            saves(root, before)
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, number, is_full, MAKE_ROOM)
            try:
                saves(root, 2)
                break
            except StorageError as error:
                assert "step-00000002 cannot be written, the disk is full" in str(error)
        assert list(root.rglob("*.partial")) == []
        assert found(root) in (before, 2)
    assert number > 8


def test_the_first_state_cut_off_is_said_and_training_starts_anew(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "state" / "step-00000002.partial").mkdir(parents=True)
    assert found(tmp_path) is None
    assert "holds no complete state" in caplog.text
    assert "starts from the beginning" in caplog.text


def test_a_damaged_state_is_not_taken_for_a_whole_one(tmp_path, caplog):
    saves(tmp_path, 1)
    state = tmp_path / "state"
    shutil.copytree(state / "step-00000001", tmp_path / "kept")
    saves(tmp_path, 2)
    file = state / "step-00000002" / "a"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match="no state that can be continued from"):
        found(tmp_path)
    shutil.move(tmp_path / "kept", state / "step-00000001")
    assert found(tmp_path) == 1
    assert "step-00000002 is damaged" in caplog.text


def as_before(output):
    """Change a run's newest state to the layout that versions without marks wrote."""
    (folder,) = (output / "state").iterdir()
    old = output / "old"
    folder.rename(old)
    (output / "state").rmdir()
    (old / MARK).unlink()
    (old / "best_model.safetensors").unlink()
    for number in range(2):
        (old / f"object_{number}.pkl").rename(old / f"custom_checkpoint_{number}.pkl")
    return old


@pytest.fixture
def stopped(data, tmp_path):
    """A run that was killed between its two states, the first one in the old layout."""
    output = tmp_path / "run"
    patch = pytest.MonkeyPatch()
    real = Trainer._train_step

    def dies(self, rows):
        if self.progress.step == 3:
            raise KeyboardInterrupt
        return real(self, rows)

    with patch.context() as during:
        during.setattr(Trainer, "_train_step", dies)
        assert main(command(data, output)) == 130
    return output


@pytest.mark.parametrize("name", ["state", "state.new"])
def test_a_state_of_an_earlier_version_continues(data, stopped, whole, name, caplog):
    caplog.set_level(logging.INFO)
    as_before(stopped).rename(stopped / name)
    if name == "state.new":  # killed while the old one was removed
        (stopped / "state").mkdir()
        (stopped / "state" / "optimizer.bin").write_bytes(b"half")
    assert main(command(data, stopped)) == 0
    assert "continuing at step 2" in caplog.text
    assert_equal(results(stopped), whole)
    assert not (stopped / "state.new").exists()


@pytest.mark.parametrize("lost", ["object_1.pkl", "optimizer.bin", "model.safetensors"])
def test_half_a_state_of_an_earlier_version_does_not_count(data, stopped, whole, lost, caplog):
    caplog.set_level(logging.INFO)
    old = as_before(stopped)
    path = old / lost.replace("object", "custom_checkpoint")
    os.truncate(path, path.stat().st_size - 30)
    old.rename(stopped / "state.new")
    assert main(command(data, stopped)) == 0
    assert "starts from the beginning" in caplog.text
    assert_equal(results(stopped), whole)


def test_the_model_of_the_state_comes_back_where_a_later_one_was_saved(data, stopped):
    weights = stopped / "model.safetensors"
    kept = weights.read_bytes()
    later = {name: value + 1 for name, value in load_file(weights).items()}
    weights.unlink()
    save_file(later, weights)
    Trainer(*parse_options(command(data, stopped)))._resume()
    assert weights.read_bytes() == kept


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_state_that_would_run_code_is_refused(data, stopped, tmp_path):
    old = as_before(stopped)
    torch.save(Evil(tmp_path / "ran"), old / "custom_checkpoint_1.pkl")
    old.rename(stopped / "state")
    assert main(command(data, stopped)) == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_a_real_kill_after_the_first_state_continues_to_the_same_weights(
    data, tmp_path, whole, seconds
):
    argv = command(data, tmp_path / "run")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen([sys.executable, "-m", "hllm.train", *argv], cwd=ROOT, env=environment)
    while run.poll() is None and not (tmp_path / "run" / "state").exists():
        time.sleep(0.005)
    time.sleep(seconds)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert main(argv) == 0
    assert_equal(results(tmp_path / "run"), whole)
