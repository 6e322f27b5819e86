"""One case, in a process of its own, which benchmarks/on_gpu.py starts.

    python -m benchmarks.gpu.case SETTINGS PART/CASE SECONDS ANSWER

It ends with the process that has started it, so that a killed run
can be started again at once.
"""

import os
import sys
import threading
import time
import traceback
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.gpu.plan import CASES, Case
from benchmarks.gpu.schedule import FAILED, SKIPPED, Record, write_record
from benchmarks.gpu.settings import Settings, load_settings
from hllm.errors import MissingWeightsError
from hllm.shell import sentence_of, set_up_output

MODULES = {
    "load": "loading",
    "click": "click",
    "visitors": "visitors",
    "embed": "embedding",
    "mfu": "utilisation",
    "books": "training",
    "dataset": "training",
    "questions": "training",
}


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Run a case; an error becomes a record that says why."""
    try:
        module = import_module(f"benchmarks.gpu.{MODULES[case.part]}")
        return module.measure(settings, case, limit_s)
    except Exception as error:
        if _lacks_package(error):
            return Record(SKIPPED, str(error))
        traceback.print_exc()
        return Record(FAILED, sentence_of(error) or _short(error))


def _lacks_package(error: Exception) -> bool:
    """Whether something is not installed; a module of our own that is not there is a fault."""
    if isinstance(error, ModuleNotFoundError):
        return (error.name or "").split(".")[0] not in ("app", "benchmarks", "hllm")
    return isinstance(error, MissingWeightsError)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[0][:300]}"


def main(argv: list[str]) -> int:
    """Run the case that the arguments name and write its answer."""
    _end_with_parent()
    set_up_output()
    settings_path, title, limit_s, answer = argv
    settings = load_settings(Path(settings_path))
    case = next(case for case in CASES if case.title == title)
    record = measure(settings, case, float(limit_s))
    from benchmarks.gpu.device import machine  # noqa: PLC0415  torch: not before the case itself

    write_record(Path(answer), replace(record, machine=machine(settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
