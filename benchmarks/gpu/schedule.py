"""Which case runs next, within a budget of time; each has a record in a file of its own."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Case
from hllm.atomic import atomic_text

logger = logging.getLogger(__name__)
PATIENCE = 4  # times its estimate, after which a case that is no training is given up
DONE, STOPPED, FAILED, SKIPPED, WAITING = "done", "stopped", "failed", "skipped", "waiting"


@dataclass(frozen=True)
class Record:
    """What is known of a case.

    Attributes:
        status: done; stopped: a training that goes on the next time; failed; skipped: a package or
            data are missing; waiting: there was no time to begin.
        reason: why it is not done.
        rows: what was measured.
        seconds: of the last time it ran.
        machine: what it ran on.
    """

    status: str
    reason: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    machine: str = ""


def path_of(folder: Path, case: Case) -> Path:
    """Where the record of a case is."""
    return folder / case.part / f"{case.name}.json"


def read_record(path: Path) -> Record | None:
    """A record, or None where there is none that can be read: then the case runs again."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Write a record whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_text(path) as file:
        file.write(json.dumps(asdict(record), indent=1) + "\n")


def run_cases(
    cases: Sequence[Case],
    folder: Path,
    execute: Callable[[Case, float], Record],
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run what is not done, in order, as long as there is time.

    Args:
        cases: in order.
        folder: of the records.
        execute: runs one case for at most so many seconds.
        budget_s: seconds for all.
        clock: seconds.
    """
    started = clock()
    for case in cases:
        path = path_of(folder, case)
        before = read_record(path)
        if before and before.status == DONE:
            logger.info("%s: done before", case.title)
            continue
        left = budget_s - (clock() - started)
        if case.estimate_s > left:
            reason = f"takes about {case.estimate_s:.0f} s, and {max(left, 0):.0f} s were left"
            logger.info("%s: not begun: it %s", case.title, reason)
            if before is None or before.status == WAITING:  # what it did before says more
                write_record(path, Record(WAITING, reason))
            continue
        # What hangs must not take the time of all the others.
        limit = min(case.share_s or PATIENCE * case.estimate_s, left)
        logger.info("%s: for at most %.0f s, %.0f s are left", case.title, limit, left)
        record = execute(case, limit)
        write_record(path, record)
        logger.info(
            "%s: %s%s, %.0f s",
            case.title,
            record.status,
            f" ({record.reason})" if record.reason else "",
            record.seconds,
        )
