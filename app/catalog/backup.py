"""Copies a catalogue and its events while they are in use, and checks that the copy is whole."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from app.catalog.catalog import Catalog
from app.catalog.events import events_path
from app.catalog.schema import check_kind, connect_readonly, find_damage
from app.errors import CatalogError
from hllm.atomic import atomic_path

PAGES_AT_ONCE = 4096  # 16 MB: between two of them the progress is told
Tell = Callable[[int, int], None]  # pages done, pages in all


def back_up(catalog: Path, target: Path, tell: Tell | None = None) -> list[Path]:
    """Copy a catalogue, and what visitors saw and clicked; both may be written meanwhile.

    Args:
        catalog: of a Catalog; its file of events, if there is one, is copied, too.
        target: file to make, or an older copy, which is replaced once the new one is whole.
        tell: is told how far each file is.

    Returns:
        The files that were written.

    Raises:
        CatalogError: the catalogue, or its copy, is damaged or cannot be read or written.
        StorageError: the disk is full; the older copy stands.
    """
    Catalog.open(catalog).close()
    if target.is_dir():
        raise CatalogError(f"{target} is a folder: name a file in it.")
    if target.exists():
        if target.samefile(catalog):
            raise CatalogError(f"{target} is the catalogue itself: name another file.")
        Catalog.open(target).close()  # nothing else is replaced
    _copy(catalog, target, tell)
    if not events_path(catalog).exists():
        return [target]
    check_kind(events_path(catalog))
    _copy(events_path(catalog), events_path(target), tell)
    return [target, events_path(target)]


def _copy(path: Path, target: Path, tell: Tell | None) -> None:
    def progress(status: int, remaining: int, total: int) -> None:
        if tell:
            tell(total - remaining, total)

    try:
        with atomic_path(target) as partial:
            with (
                closing(connect_readonly(path)) as source,
                closing(sqlite3.connect(partial)) as copy,
            ):
                # One state of the file: without it, every write meanwhile would start all over.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_master").fetchone()
                source.backup(copy, pages=PAGES_AT_ONCE, progress=progress)
                copy.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
                found = find_damage(copy)
            if found:
                raise sqlite3.DatabaseError(found)
    except sqlite3.DatabaseError as error:
        raise CatalogError(
            f"{path} cannot be copied to {target} ({error}): check free space, and the catalogue "
            "with  python -m app.ingest check. An older copy is still there."
        ) from error
