"""Parts "books", "dataset", "questions": hllm.train for its share of the time, then evaluated."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.books import books_pair
from benchmarks.gpu.models import TINY_OPTIONS
from benchmarks.gpu.plan import Case
from benchmarks.gpu.questions import BOOKS_KEYS
from benchmarks.gpu.schedule import DONE, STOPPED, Record
from benchmarks.gpu.settings import Settings
from benchmarks.study import some_users
from hllm.checkpoint import copy_in_shards
from hllm.commands.evaluate import main as evaluate
from hllm.errors import TrainingError
from hllm.model_folder import CONFIG
from hllm.store import EMBEDDINGS
from hllm.train import parse_options
from hllm.training.run_record import open_run
from hllm.training.trainer import Trainer

_SHARE_OF_TRAINING = 0.8  # of a case's time; the rest is for the evaluation
_SHARD_BYTES, _LARGEST_BYTES = 9_000_000, 10_000_000  # a Space takes files of 10 MB
_OF_MODEL = (CONFIG, "model", EMBEDDINGS, "tokenizer", "special_tokens", "README")
_TINY = (
    f"{TINY_OPTIONS} --batch_size 4 --num_negatives 8 --max_history 5"
    " --precision fp32 --epochs 1 --max_steps 2 --eval_every 1 --eval_users 8"
)


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Train on from where it was stopped, evaluate the best model so far."""
    started = time.monotonic()
    training, is_books = case.training, case.part == "books"
    assert training is not None
    if is_books:
        (items, interactions), keys = books_pair(settings), BOOKS_KEYS
    else:
        items, interactions = Path(settings.items), Path(settings.interactions)
        keys = settings.text_keys
    folder = settings.folder / "runs" / f"{case.part}-{case.name}"
    trained_on = interactions
    if training.users < 1:
        part = folder.with_name(f"{folder.name}-data")
        trained_on = some_users(interactions, training.users, part)
    options = [
        *training.options.split(),
        *(_TINY.split() if settings.tiny else ()),
        *("--text_keys", *keys),
        *("--items", str(items), "--interactions", str(trained_on), "--output", str(folder)),
    ]
    spent = time.monotonic() - started
    is_finished = train_for(options, limit_s * _SHARE_OF_TRAINING - spent)
    row = {"question": training.question, "point": training.point}
    row |= _of_log(folder) | _of_test(settings, folder, items, interactions)
    if is_books:
        row |= _split(folder, settings.folder / "assets" / "smollm2")
    if is_finished:
        shutil.rmtree(folder / "state", ignore_errors=True)  # three times the weights
        return Record(DONE, rows=[row])
    return Record(STOPPED, "stopped at its share of the time: run it again to go on", [row])


class _TimeIsUp(Exception):
    """The training has stopped itself."""


class _TimedTrainer(Trainer):
    """Stops between two steps when its time is up, with a model and a state to go on from.

    Not by a signal: what happens to run then may swallow it, and steps would be lost.
    """

    deadline = float("inf")  # of time.monotonic()
    _saved: int | None = None  # step of the last state

    def _timed_step(self, rows: np.ndarray) -> dict[str, float]:
        step = self.progress.step
        if self._saved is None:  # a run that goes on begins at its last state
            self._saved = step
        if step and time.monotonic() > self.deadline:
            if step != self._saved:
                self._validate()
                self._save_state()
            raise _TimeIsUp
        return super()._timed_step(rows)

    def _save_state(self) -> None:
        super()._save_state()
        self._saved = self.progress.step


def train_for(options: list[str], seconds: float) -> bool:
    """Train for at most so many seconds, but at least one step.

    Returns:
        Whether the training is finished.
    """
    deadline = time.monotonic() + seconds
    model, train = parse_options(options)
    record = open_run(model, train)
    if record.is_finished:
        return True
    trainer = _TimedTrainer(model, train, record)
    trainer.deadline = deadline
    try:
        trainer.run()
    except _TimeIsUp:
        return False
    return True


def _of_log(folder: Path) -> dict[str, Any]:
    """Steps, seconds and speed of the training so far."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    valid = [line for line in lines if line["kind"] == "valid"]
    speeds = sorted(line["sequences_per_s"] for line in steps)
    return {
        "steps": steps[-1]["step"],
        "train s": round(valid[-1]["seconds"]),
        "sequences/s": speeds[len(speeds) // 2],
        "valid ndcg@10": max(line["ndcg@10"] for line in valid),
    }


def _of_test(settings: Settings, folder: Path, items: Path, interactions: Path) -> dict[str, Any]:
    report = folder / "test.json"
    code = evaluate(
        [
            *("--model", str(folder), "--output", str(report), "--device", settings.device),
            *("--items", str(items), "--interactions", str(interactions)),
        ]
    )
    if code:
        raise TrainingError(f"the evaluation of {folder} failed: the log says why.")
    (result,) = json.loads(report.read_text(encoding="utf-8"))["models"].values()
    return {f"test {name}": result["metrics"][name] for name in ("recall@10", "ndcg@10")}


def _split(folder: Path, output: Path) -> dict[str, Any]:
    """A copy for assets/, without the files of the training, in small files."""
    shutil.rmtree(output, ignore_errors=True)
    copy_in_shards(folder, output, _SHARD_BYTES)
    for path in output.iterdir():
        if not path.name.startswith(_OF_MODEL):
            path.unlink()
    largest = max(path.stat().st_size for path in output.iterdir())
    if largest > _LARGEST_BYTES:
        raise TrainingError(f"{output} has a file of {largest / 1e6:.1f} MB, too large for assets/")
    return {"largest file MB": largest / 1e6, "files": str(output)}
