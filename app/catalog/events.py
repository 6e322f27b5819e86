"""The file of events: what was shown, clicked and predicted, beside the catalogue.

No import and no rebuilding of a catalogue touches it. One thread at a time may use an EventFile;
several processes may use one file.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from app.catalog.file import CatalogFile
from app.catalog.schema import connect_writable
from app.catalog.sql import Connection
from app.errors import CatalogError

_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    item_ids TEXT NOT NULL,
    rank INTEGER,
    event_key TEXT
)
"""
_PICKS = """
CREATE TABLE IF NOT EXISTS picks (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    item_id TEXT NOT NULL,
    hllm_rank INTEGER,
    baseline_rank INTEGER,
    event_key TEXT
)
"""
# A list gives one vote: the last item that was picked from it.
_BLIND_PICKS = """
CREATE TABLE IF NOT EXISTS blind_picks (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    seed TEXT NOT NULL,
    list TEXT NOT NULL,
    item_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    team TEXT NOT NULL,
    UNIQUE (session, list)
)
"""
_PICKS_INDEX = "CREATE INDEX IF NOT EXISTS picks_by_session ON picks (session, time)"
# A rank that is not known is behind all that are.
_FAR = "9e18"
PICK_SUMS = f"""
SELECT COUNT(*),
    COUNT(*) FILTER (WHERE COALESCE(hllm_rank, {_FAR}) < COALESCE(baseline_rank, {_FAR})),
    COUNT(*) FILTER (WHERE COALESCE(baseline_rank, {_FAR}) < COALESCE(hllm_rank, {_FAR})),
    COUNT(*) FILTER (WHERE hllm_rank <= ?), COUNT(*) FILTER (WHERE baseline_rank <= ?),
    SUM(COALESCE(CAST(1 AS DOUBLE PRECISION) / hllm_rank, 0)),
    SUM(COALESCE(CAST(1 AS DOUBLE PRECISION) / baseline_rank, 0))
FROM picks GROUP BY session ORDER BY MIN(id)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS events_by_session ON events (session, time)"
_BY_TIME = "CREATE INDEX IF NOT EXISTS events_by_time ON events (time)"
# What is told again, since nobody knew whether it had come, is there once.
_ONCE = (
    "CREATE UNIQUE INDEX IF NOT EXISTS events_once ON events (session, event_key)",
    "CREATE UNIQUE INDEX IF NOT EXISTS picks_once ON picks (session, event_key)",
)
_COLUMNS = "time, session, kind, model, item_ids, rank"
_TABLES = ("events", "picks", "blind_picks")
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
        key: of two events of a session with the same one, the first is kept; None: there is none.
    """

    time: float
    session: str
    kind: str
    model: str
    item_ids: Sequence[str]
    rank: int | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pick:
    """An item that a visitor chose, and where both models had ranked it before.

    Attributes:
        time: seconds since 1970.
        session: random id of a browser tab.
        hllm_rank, baseline_rank: 1-based; None: further behind than was looked.
        key: as of an Event.
    """

    time: float
    session: str
    item_id: str
    hllm_rank: int | None
    baseline_rank: int | None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class BlindPick:
    """An item that a visitor chose from the one list of a blind test.

    Attributes:
        time: seconds since 1970.
        session: random id of a browser tab.
        seed: of the test: the same one for all of its lists.
        list_id: of the list, made of seed, history and filter.
        position: 1-based place of the item in the list.
        team: key of the column whose model drafted the item.
    """

    time: float
    session: str
    seed: str
    list_id: str
    item_id: str
    position: int
    team: str


@dataclass(frozen=True)
class PickSums:
    """The picks of one session.

    Attributes:
        picks: how many.
        closer: in how many HLLM, and in how many the baseline ranked the item higher.
        hits: in how many each had it among its first.
        reciprocal_ranks: sums for each.
    """

    picks: int
    closer: tuple[int, int]
    hits: tuple[int, int]
    reciprocal_ranks: tuple[float, float]


def events_path(catalog: Path) -> Path:
    """Where the events of a catalogue are kept."""
    return catalog.with_name(f"{catalog.name}.events.db")


class EventFile:
    """A file of events, made when the first one is written.

    app.catalog.postgres.events is the same over a PostgreSQL database. Every method raises
    CatalogError if the file cannot be read or written, and can be tried again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def exists(self) -> bool:
        """Whether there may be any events."""
        return self.path.exists()

    def check(self) -> None:
        """Make sure that events can be written; makes no file.

        Raises:
            CatalogError: they cannot.
        """
        if not self.exists():
            if not os.access(self.path.parent, os.W_OK):
                raise CatalogError(
                    f"The events file {self.path} cannot be written: check the permissions of its "
                    "folder."
                )
            return
        with self._writing() as connection:
            for table in _TABLES:
                connection.execute(
                    f"INSERT INTO {table} (time, session) "
                    f"SELECT time, session FROM {table} WHERE false"
                )
                connection.execute(f"DELETE FROM {table} WHERE false")
            connection.execute("UPDATE blind_picks SET time = time WHERE false")

    def add(self, events: Sequence[Event]) -> None:
        """Write events, in one transaction; those that are there already stay as they are."""
        with self._writing() as connection:
            connection.executemany(
                f"INSERT INTO events ({_COLUMNS}, event_key) VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (session, event_key) DO NOTHING",
                map(_row, events),
            )

    def add_pick(self, pick: Pick) -> None:
        """Write a pick, unless it is there already."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO picks (time, session, item_id, hllm_rank, baseline_rank, event_key) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session, event_key) DO NOTHING",
                astuple(pick),
            )

    def add_blind_pick(self, pick: BlindPick) -> None:
        """Write a pick of a blind test, in place of an earlier one from the same list."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO blind_picks (time, session, seed, list, item_id, position, team) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, list) DO UPDATE SET "
                "time = excluded.time, seed = excluded.seed, item_id = excluded.item_id, "
                "position = excluded.position, team = excluded.team",
                astuple(pick),
            )

    def withdraw(self, session: str, list_id: str, item_id: str) -> None:
        """Delete a pick of a blind test that its visitor has taken back."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM blind_picks WHERE session = ? AND list = ? AND item_id = ?",
                [session, list_id, item_id],
            )

    def pick_sums(self, hit_rank: int) -> list[PickSums]:
        """Sums of every session's picks; a hit is a rank up to `hit_rank`."""
        if not self.exists():
            return []
        with self._writing() as connection:  # the tables of an earlier version's file are made
            rows = connection.execute(PICK_SUMS, [hit_rank, hit_rank]).fetchall()
        return [PickSums(row[0], row[1:3], row[3:5], row[5:7]) for row in rows]

    def forget(self, sessions: Sequence[str]) -> int:
        """Delete all events and picks of some tabs; returns how many."""
        if not self.exists():
            return 0
        with self._writing() as connection:
            rows = [(session,) for session in sessions]
            count = sum(
                connection.executemany(f"DELETE FROM {table} WHERE session = ?", rows).rowcount
                for table in _TABLES
            )
        self._checkpoint()  # or copies of them would be in the -wal file for a while
        return count

    def forget_before(self, time: float) -> int:
        """Delete all events and picks that are older; returns how many."""
        if not self.exists():
            return 0
        with self._writing() as connection:
            return sum(
                connection.execute(f"DELETE FROM {table} WHERE time < ?", [time]).rowcount
                for table in _TABLES
            )

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
    def _writing(self) -> Iterator[Connection]:
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
            for statement in (_TABLE, _INDEX, _BY_TIME, _PICKS, _PICKS_INDEX, _BLIND_PICKS):
                connection.execute(statement)
            for table in ("events", "picks"):  # of earlier versions, without the column
                if "event_key" not in _columns_of(connection, table):
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN event_key TEXT")
            for statement in _ONCE:
                connection.execute(statement)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection


def _columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _row(event: Event) -> tuple[object, ...]:
    ids = json.dumps(list(event.item_ids))
    return (event.time, event.session, event.kind, event.model, ids, event.rank, event.key)
