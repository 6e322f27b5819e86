"""app.catalog.events over PostgreSQL: one table of events, which all replicas write.

Ids and texts are bounded here, too: whatever a replica sends, a row has a limit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from app.catalog.address import Address
from app.catalog.events import EventFile
from app.catalog.postgres.schema import run_script
from app.catalog.postgres.server import (
    EVENTS_LOCK,
    EVENTS_SCHEMA,
    Session,
    connect,
    in_one_line,
    is_away,
)
from app.errors import AwayError, CatalogError

_GRANT = (
    f": their owner has to GRANT USAGE ON SCHEMA {EVENTS_SCHEMA} and GRANT SELECT, INSERT, UPDATE, "
    f"DELETE ON ALL TABLES IN SCHEMA {EVENTS_SCHEMA} to this user, or, where there are none yet, "
    "the database's owner CREATE ON DATABASE"
)
LIMIT_MS = 5_000  # of a statement: a server that hangs is one that is away
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time double precision NOT NULL,
    session text COLLATE "C" NOT NULL CHECK (length(session) <= 64),
    kind text NOT NULL CHECK (length(kind) <= 20),
    model text NOT NULL CHECK (length(model) <= 20),
    item_ids text NOT NULL CHECK (length(item_ids) <= 400000),
    rank integer,
    event_key text CHECK (length(event_key) <= 64),
    UNIQUE (session, event_key)
);
CREATE INDEX IF NOT EXISTS events_by_session ON events (session, time);
CREATE INDEX IF NOT EXISTS events_by_time ON events (time);
CREATE TABLE IF NOT EXISTS picks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time double precision NOT NULL,
    session text COLLATE "C" NOT NULL CHECK (length(session) <= 64),
    item_id text NOT NULL CHECK (length(item_id) <= 500),
    hllm_rank bigint,
    baseline_rank bigint,
    event_key text CHECK (length(event_key) <= 64),
    UNIQUE (session, event_key)
);
CREATE INDEX IF NOT EXISTS picks_by_session ON picks (session, time);
CREATE TABLE IF NOT EXISTS blind_picks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time double precision NOT NULL,
    session text COLLATE "C" NOT NULL CHECK (length(session) <= 64),
    seed text NOT NULL CHECK (length(seed) <= 64),
    list text NOT NULL CHECK (length(list) <= 64),
    item_id text NOT NULL CHECK (length(item_id) <= 500),
    position integer NOT NULL,
    team text NOT NULL CHECK (length(team) <= 20),
    UNIQUE (session, list)
);
"""


class PostgresEvents(EventFile):
    """The events of a database; see EventFile. Its tables are made when it is first written."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: Session | None = None

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def exists(self) -> bool:
        """Whether there may be any events: that cannot be told without asking for them."""
        return True

    def take_over(self, catalog: Path) -> int:
        """Nothing: there was no earlier version that kept them elsewhere."""
        return 0

    def _checkpoint(self) -> None:
        """Take what was deleted out of the tables; of the disk, see SECURITY.md."""
        assert self._session is not None
        for table in ("events", "picks", "blind_picks"):
            try:
                self._session.execute(f"VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) {table}")
            except psycopg.Error:  # autovacuum does it later
                return

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction; rolled back on any exception.

        Raises:
            AwayError: the server cannot be reached; what was to be written may be tried again.
        """
        try:
            if self._session is None:
                self._session = self._connect()
            with self._session.connection.transaction():
                yield self._session
        except psycopg.Error as error:
            # What is wrong with it may be over: the next call connects again.
            self.close()
            is_lost = is_away(error) or isinstance(error, psycopg.errors.QueryCanceled)
            advice = ""
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                advice = _GRANT
            raise (AwayError if is_lost else CatalogError)(
                f"The events in {self.address} cannot be written ({in_one_line(error)}){advice}."
            ) from error

    def _connect(self) -> Session:
        connection: psycopg.Connection[Any] = connect(self.address, EVENTS_SCHEMA, LIMIT_MS)
        session = Session(connection)
        try:
            found = connection.execute(
                "SELECT to_regclass(%s)", [f"{EVENTS_SCHEMA}.blind_picks"]
            ).fetchone()
            if found == (None,):  # of replicas that start at once, one makes them
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", EVENTS_LOCK)
                    session.execute(f"CREATE SCHEMA IF NOT EXISTS {EVENTS_SCHEMA}")
                    run_script(session, _TABLES)
        except BaseException:
            connection.close()
            raise
        return session
