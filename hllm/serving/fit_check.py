"""Remembers which files passed their checks, so that the next start need not check them again.

Hashing 700,000 texts takes longer than everything else that a start does. So does reading gigabytes
of embeddings to compare them with their checksums.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from hllm.store import REMEDY, ItemEmbeddings

logger = logging.getLogger(__name__)
MAX_NOTES = 100  # a file that has changed never meets its note again


def open_embeddings(
    path: str | Path, *, notes: Path | None, remedy: str = REMEDY
) -> ItemEmbeddings:
    """Open an embeddings file, verified once for each change of it.

    Args:
        path: the file.
        notes: folder where it is noted that the file was verified; None: it is verified every time.
        remedy: the command that makes it, for messages.

    Raises:
        StaleEmbeddingsError: see hllm.store.ItemEmbeddings.load.
    """
    path = Path(path)
    if not path.is_file():
        # check_once would raise a bare OSError; this error says how to make the file.
        return ItemEmbeddings.load(path, remedy=remedy)
    check_once(
        lambda: ItemEmbeddings.load(path, remedy=remedy),
        files=[path],
        texts_version="checksums",
        notes=notes,
    )
    return ItemEmbeddings.load(path, remedy=remedy, verify=False)


def check_once(
    check: Callable[[], object], *, files: Iterable[Path], texts_version: str, notes: Path | None
) -> None:
    """Run a check, unless it passed before for the very same files and texts.

    Args:
        check: raises where something does not fit.
        files: what it looks at.
        texts_version: names what it looks at beside the files: the texts of a catalogue. Empty if
            they have no such name; then the check runs every time.
        notes: folder where what passed is noted; None: the check runs every time.

    Raises:
        OSError: a file is missing.
    """
    if notes is None or not texts_version:
        check()
        return
    # Not their contents: hashing gigabytes would take as long as the check.
    stats = [(str(file.resolve()), file.stat()) for file in files]
    seen = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats]
    digest = hashlib.sha256(json.dumps([texts_version, seen]).encode()).hexdigest()
    note = notes / f"checked-{digest[:16]}"
    if note.exists():
        return
    check()
    try:
        note.touch()
        passed = sorted(notes.glob("checked-*"), key=lambda path: path.stat().st_mtime_ns)
        for old in passed[:-MAX_NOTES]:
            old.unlink(missing_ok=True)
    except OSError as error:
        logger.info("%s cannot be written (%s): the next start checks again", note, error)
