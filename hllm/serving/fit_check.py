"""Remembers that stored embeddings fit a catalogue, so that the next start need not read its texts.

Reading and hashing 700,000 texts takes longer than everything else that a start does.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

logger = logging.getLogger(__name__)


def check_once(
    check: Callable[[], None], *, files: Iterable[Path], texts_version: str, notes: Path | None
) -> None:
    """Run a check, unless it passed before for the very same files and texts.

    Args:
        check: raises where something does not fit.
        files: what it looks at; told apart by place, size and times of change, as reading
            gigabytes to hash them would take as long as the check.
        texts_version: names the texts that it looks at; empty: they have no such name, and the
            check runs every time.
        notes: folder where what passed is noted; None: the check runs every time.

    Raises:
        OSError: a file is missing.
    """
    if notes is None or not texts_version:
        check()
        return
    stats = [(str(file.resolve()), file.stat()) for file in files]
    seen = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats]
    digest = hashlib.sha256(json.dumps([texts_version, seen]).encode()).hexdigest()
    note = notes / f"checked-{digest[:16]}"
    if note.exists():
        return
    check()
    try:
        note.touch()
    except OSError as error:
        logger.info("%s cannot be written (%s): the next start checks again", note, error)
