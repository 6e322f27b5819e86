"""A case in a process of its own: a crash, a full GPU or a hang costs one case, not the run."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import FAILED, SKIPPED, STOPPED, Record, path_of, read_record
from benchmarks.gpu.settings import FILE, Settings

ROOT = Path(__file__).resolve().parents[2]


def execute(settings: Settings, case: Case, limit_s: float) -> Record:
    """Run one case for at most so many seconds."""
    if case.needs_data and not settings.items:
        return Record(SKIPPED, "it needs a data set: give --items and --interactions")
    path = path_of(settings.folder, case)
    path.parent.mkdir(parents=True, exist_ok=True)
    answer, log = path.with_suffix(".answer"), path.with_suffix(".log")
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu.case", str(settings.folder / FILE)]
    started = time.monotonic()
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, case.title, str(limit_s), str(answer)],
            cwd=ROOT,
            env=_environment(settings),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
        finally:
            code = process.wait()
    seconds = time.monotonic() - started
    record = read_record(answer)
    answer.unlink(missing_ok=True)
    if record is None:
        record = _without_answer(case, code, limit_s, log)
    return replace(record, seconds=round(seconds, 1))


def _environment(settings: Settings) -> dict[str, str]:
    own = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    if settings.device == "cpu":  # also where there is a GPU
        own["CUDA_VISIBLE_DEVICES"] = ""
    return os.environ | own


def _without_answer(case: Case, code: int, limit_s: float, log: Path) -> Record:
    """The process has ended without a word."""
    if code == -9:  # by us, or by the system for want of memory
        reason = f"killed: not finished within {limit_s:.0f} s, or no memory; see {log}"
        return Record(FAILED if case.share_s is None else STOPPED, reason)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return Record(FAILED, f"exit code {code}: {lines[-1][:200] if lines else 'no word'}; see {log}")
