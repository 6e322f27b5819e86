"""The file of events: what was shown and clicked, beside the catalogue and apart from it.

No import and no rebuilding of a catalogue touches it. One thread at a time may use an EventFile;
several processes may use one file.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.catalog.file import CatalogFile
from app.catalog.schema import connect_writable
from app.errors import CatalogError

_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    item_ids TEXT NOT NULL,
    rank INTEGER
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS events_by_session ON events (session, time)"
_BY_TIME = "CREATE INDEX IF NOT EXISTS events_by_time ON events (time)"
_COLUMNS = "time, session, kind, model, item_ids, rank"
_PATIENCE_MS = 5_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """What was shown or clicked.

    Attributes:
        time: seconds since 1970.
        session: random id of a browser tab.
        kind: "shown" or "clicked".
        model: the column whose recommendation it was, or where else on the page.
        item_ids: in the order shown.
        rank: 1-based place of the clicked item.
    """

    time: float
    session: str
    kind: str
    model: str
    item_ids: Sequence[str]
    rank: int | None = None


def events_path(catalog: Path) -> Path:
    """Where the events of a catalogue are kept."""
    return catalog.with_name(f"{catalog.name}.events.db")


class EventFile:
    """A file of events, made when the first one is written.

    Every method raises CatalogError if the file cannot be read or written, and can be tried again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def add(self, events: Sequence[Event]) -> None:
        """Write events, in one transaction."""
        with self._writing() as connection:
            connection.executemany(
                f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", map(_row, events)
            )

    def forget(self, sessions: Sequence[str]) -> int:
        """Delete all events of some tabs; returns how many."""
        if not self.path.exists():
            return 0
        with self._writing() as connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM events WHERE session = ?", [(s,) for s in sessions])
            count = connection.total_changes - before
        self._checkpoint()  # or copies of them would be in the -wal file for a while
        return count

    def forget_before(self, time: float) -> int:
        """Delete all events that are older; returns how many."""
        if not self.path.exists():
            return 0
        with self._writing() as connection:
            return connection.execute("DELETE FROM events WHERE time < ?", [time]).rowcount

    def take_over(self, catalog: Path) -> int:
        """Move the events that earlier versions kept in the catalogue; returns how many.

        A kill repeats it, and nothing is lost or doubled. A catalogue that cannot be written keeps
        its events.
        """
        try:
            with CatalogFile(catalog).reading() as reader:
                if not reader.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0]:
                    return 0
            with closing(connect_writable(catalog).conn) as source:
                source.execute("BEGIN IMMEDIATE")  # of several processes, one moves them
                rows = source.execute(f"SELECT {_COLUMNS} FROM events ORDER BY id").fetchall()
                with self._writing() as connection:
                    # A kill may have come between the two files.
                    connection.executemany(
                        f"INSERT INTO events ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6 "
                        "WHERE NOT EXISTS (SELECT 1 FROM events WHERE time = ?1 AND session = ?2 "
                        "AND kind = ?3 AND model = ?4 AND item_ids = ?5)",
                        rows,
                    )
                self._checkpoint()  # on the disk before the others go
                source.execute("DELETE FROM events")
                source.commit()
        except sqlite3.DatabaseError as error:
            raise CatalogError(
                f"The events that an earlier version kept in {catalog} cannot be moved to "
                f"{self.path} ({error}): they stay where they are."
            ) from error
        return len(rows)

    def _checkpoint(self) -> None:
        """Bring everything that is written into the file itself, and to the disk."""
        assert self._connection is not None
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; rolled back on any exception."""
        try:
            if self._connection is None:
                self._connection = self._open()
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.DatabaseError as error:
            # What is wrong with it may be over: the next call opens the file again.
            with closing(self):
                raise CatalogError(
                    f"The events file {self.path} cannot be written ({error}): check permissions "
                    "and free space, or move it away if it is damaged."
                ) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_PATIENCE_MS / 1000, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            connection.execute("BEGIN IMMEDIATE")
            for statement in (_TABLE, _INDEX, _BY_TIME):
                connection.execute(statement)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection


def _row(event: Event) -> tuple[object, ...]:
    ids = json.dumps(list(event.item_ids))
    return (event.time, event.session, event.kind, event.model, ids, event.rank)
