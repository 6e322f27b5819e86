"""Which file each record came from, so that files can be gone on with, corrected and replaced.

A version of a file (its fingerprint) has a number. A record's place is that number and the line in
the file; an interaction's id is its place, so that among equal times the order of the files holds
however many steps an import takes. Interactions that came without a file have ids below any place.

Every function runs inside the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.catalog.sql import Connection

LINE_BITS = 40
FIRST_PLACE = 1 << LINE_BITS


@dataclass(frozen=True, kw_only=True)
class ImportMark:
    """How far a file was imported, and the places of the records that come with the mark.

    Attributes:
        fingerprint: changes when the file or the way it is read changes.
        line: last line whose record is in the catalogue or among the rejects.
        finished: the file was read to its end.
        number: of this version of the file, from begin.
        older: numbers of versions that this import stands in for.
        lines: line of each record of the batch.
    """

    file: str
    fingerprint: str
    line: int
    finished: bool
    number: int = 0
    older: tuple[int, ...] = ()
    lines: Sequence[int] = field(default=())

    def places(self) -> list[int]:
        """Place of each record of the batch."""
        return [(self.number << LINE_BITS) + line for line in self.lines]


@dataclass(frozen=True)
class FileImport:
    """An import of one version of a file.

    Attributes:
        number: of this version.
        older: numbers of the file's other versions that left something in the catalogue.
        after: line after which an interrupted import goes on; 0 to read from the start.
    """

    number: int
    older: tuple[int, ...]
    after: int


def begin(db: Connection, file: str, fingerprint: str) -> FileImport:
    """Find the number of a version of a file, or give it one."""
    known = db.execute(
        "SELECT number, fingerprint FROM import_files WHERE file = ? ORDER BY number", [file]
    ).fetchall()
    number = next((number for number, print_ in known if print_ == fingerprint), 0)
    after = 0
    if number:
        after = resume_line(db, file, fingerprint)
    else:
        number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM import_files").fetchone()[0]
        db.execute(
            "INSERT INTO import_files (number, file, fingerprint) VALUES (?, ?, ?)",
            [number, file, fingerprint],
        )
    return FileImport(number, tuple(n for n, _ in known if n != number), after)


def resume_line(connection: Connection, file: str, fingerprint: str) -> int:
    """Line after which an interrupted import of a file goes on; 0 to read it from the start."""
    row = connection.execute(
        "SELECT line FROM imports WHERE file = ? AND fingerprint = ? AND finished = 0",
        [file, fingerprint],
    ).fetchone()
    return int(row[0]) if row else 0


def write_mark(db: Connection, mark: ImportMark) -> None:
    """Note how far a file was imported, in the transaction that holds its records."""
    db.execute(
        "INSERT INTO imports (file, fingerprint, line, finished) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (file) DO UPDATE SET fingerprint = excluded.fingerprint, "
        "line = excluded.line, finished = excluded.finished",
        [mark.file, mark.fingerprint, mark.line, int(mark.finished)],
    )


def _between(column: str, numbers: Iterable[int]) -> str:
    ranges = [
        f"{column} BETWEEN {number << LINE_BITS} AND {(number + 1 << LINE_BITS) - 1}"
        for number in numbers
    ]
    return f"({' OR '.join(ranges) or '1 = 0'})"


def claim_interactions(
    db: Connection, rows: Iterable[tuple[int, int, int, int]], older: Sequence[int]
) -> None:
    """Give interactions that are there from an older version, or without a file, their new place.

    Args:
        db: the catalogue.
        rows: (place, user, item, timestamp).
        older: numbers of the older versions.
    """
    has_others = db.execute(
        "SELECT EXISTS (SELECT 1 FROM interactions WHERE id < ?)", [FIRST_PLACE]
    ).fetchone()[0]
    if has_others or older:
        db.executemany(
            'UPDATE interactions SET id = ? WHERE "user" = ? AND item = ? AND timestamp = ? '
            f"AND (id < {FIRST_PLACE} OR {_between('id', older)}) "
            "AND NOT EXISTS (SELECT 1 FROM interactions taken WHERE taken.id = ?)",
            [(*row, row[0]) for row in rows],
        )


def left_over(db: Connection, older: Sequence[int]) -> tuple[int, int]:
    """How many items and interactions only older versions of files have."""
    return (
        db.execute(f"SELECT count(*) FROM item_places WHERE {_between('place', older)}").fetchone()[
            0
        ],
        db.execute(f"SELECT count(*) FROM interactions WHERE {_between('id', older)}").fetchone()[
            0
        ],
    )


def items_left_over(db: Connection, older: Sequence[int]) -> list[int]:
    """Internal ids of the items that only older versions of files have."""
    found = db.execute(f"SELECT item FROM item_places WHERE {_between('place', older)}")
    return [item for (item,) in found.fetchall()]


def remove_interactions(db: Connection, older: Sequence[int]) -> None:
    """Remove the interactions that only older versions of files have."""
    db.execute(f"DELETE FROM interactions WHERE {_between('id', older)}")


def forget_empty(db: Connection, older: Sequence[int]) -> None:
    """Forget the versions that have left nothing in the catalogue."""
    for number in older:
        if left_over(db, [number]) == (0, 0):
            db.execute("DELETE FROM import_files WHERE number = ?", [number])
