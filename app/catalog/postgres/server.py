"""Connections to a PostgreSQL server: a pool that reads, one writer, and what a lost one means.

What the server says of itself (hosts, users, reasons) goes to the log; an error is shown to
visitors, so that it says no more than what they can do.
"""

import logging
import select
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from app.catalog.address import Address
from app.errors import AwayError, CatalogError
from app.languages import marked

CATALOG_SCHEMA, EVENTS_SCHEMA = "hllm_catalog", "hllm_events"
# Of pg_advisory_lock: whoever writes the catalogue, and whoever makes the tables of events.
WRITER_LOCK, EVENTS_LOCK = (0x484C4C4D, 1), (0x484C4C4D, 2)
CONNECTIONS = 16
PATIENCE_S = 2.0  # that a visitor waits for a connection
AWAY_S = 2.0  # for which nobody else waits then
READ_LIMIT_MS = 30_000
# enable_seqscan: where the planner takes a word for frequent, it would look into row by row and
# unpack their tokens; it does not know what that costs. Everything that is asked has an index.
_READERS = "-c default_transaction_read_only=on -c enable_seqscan=off"
_BUSY = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)
_AWAY = marked("The catalogue's database cannot be reached now: try again in a moment.")
_STRANGE = marked("The catalogue's database does not answer as it should: the app's log says why.")
# A text with it is stored nowhere, as one with a NUL, which PostgreSQL does not take, cannot be.
_NONCHARACTER = "\ufffe"

logger = logging.getLogger(__name__)


class Session:
    """A connection that takes the SQL of app.catalog.sql: `?` for a value."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement; gives a cursor."""
        return self.connection.execute(_translated(sql), [_sent(value) for value in parameters])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Any:
        """Run a statement once for each row of values; gives how many rows it changed."""
        rows = [[_sent(value) for value in row] for row in parameters]
        if not rows:
            return SimpleNamespace(rowcount=0)
        with self.connection.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)
            return SimpleNamespace(rowcount=max(cursor.rowcount, 0))


def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _sent(value: Any) -> Any:
    return value.replace("\x00", _NONCHARACTER) if isinstance(value, str) else value


def conninfo(address: Address, schema: str, limit_ms: int = 0, options: str = "") -> str:
    """How libpq connects: unqualified names are those of one schema, a dead server is noticed.

    Args:
        address: of the database.
        schema: that names stand for.
        limit_ms: longest time of a statement; 0: any.
        options: further ones of the server, as on its command line.
    """
    return make_conninfo(
        address.url,
        application_name="hllm-live",
        connect_timeout=3,
        tcp_user_timeout=5_000,
        # jit: statements take milliseconds.
        options=f"-c search_path={schema} -c jit=off -c statement_timeout={limit_ms} " + options,
    )


def connect(address: Address, schema: str, limit_ms: int = 0) -> psycopg.Connection[Any]:
    """A connection that commits every statement which is in no transaction block.

    Raises:
        psycopg.Error: there is none to be had.
    """
    return psycopg.connect(conninfo(address, schema, limit_ms), autocommit=True)


def is_away(error: psycopg.Error) -> bool:
    """Whether an error means that the server, or the connection to it, is lost."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not isinstance(
        error, _BUSY
    )


def in_one_line(error: Exception) -> str:
    """What libpq says, which it says in several lines."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


class Server:
    """The catalogue's tables in one database; see app.catalog.sql.Store."""

    def __init__(self, address: Address, schema: str = CATALOG_SCHEMA) -> None:
        self.address = address
        self._schema = schema
        self._lock = threading.RLock()
        self._writer: psycopg.Connection[Any] | None = None
        self._imports = False
        self._away_until = 0.0
        self._is_away = False
        self._pool = ConnectionPool(
            conninfo(address, schema, READ_LIMIT_MS, _READERS),
            min_size=0,  # none is kept, nor asked for, that nobody needs
            max_size=CONNECTIONS,
            kwargs={"autocommit": True},
            check=_check_end,  # one that the server has ended is replaced
            timeout=PATIENCE_S,
            reconnect_timeout=PATIENCE_S,  # then the next visitor's question tries again
            open=True,
            name="catalog",
        )
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # said here, once

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        with self._lock:
            self._drop_writer()

    @contextmanager
    def reading(self, *, together: bool = False) -> Iterator[Session]:
        """A connection that cannot write.

        Args:
            together: several statements are about one catalogue, though a copy may take its place:
                the first of them reads `meta` (see app.catalog.postgres.copying).

        Raises:
            AwayError: the server cannot be reached.
            CatalogError: it does not answer what is asked.
        """
        if time.monotonic() < self._away_until:  # one visitor has waited: the others need not
            raise _away()
        try:
            with (
                self._pool.connection() as connection,
                connection.transaction() if together else nullcontext(),
            ):
                yield Session(connection)
        except (psycopg.Error, PoolTimeout) as error:
            if isinstance(error, PoolTimeout) or is_away(error):
                self._note_away(error)
                raise _away() from error
            logger.warning("The catalogue %s cannot be read: %s", self.address, in_one_line(error))
            raise CatalogError(_STRANGE) from error
        if self._is_away:
            self._is_away = False
            logger.warning("The catalogue %s is there again.", self.address)

    def _note_away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + AWAY_S
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "The catalogue %s cannot be reached: %s. It is tried again when somebody asks.",
                self.address,
                in_one_line(error),
            )

    @contextmanager
    def writing(self, *, patience_ms: int = 20_000) -> Iterator[Session]:
        """The writer inside a transaction, which is rolled back on any exception.

        Args:
            patience_ms: how long to wait for another program that is writing.

        Raises:
            CatalogError: it cannot be written.
        """
        with self._lock:
            try:
                connection = self._open_writer()
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = {patience_ms:d}".encode())
                    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", WRITER_LOCK)
                    yield Session(connection)
            except psycopg.Error as error:
                if is_away(error):
                    self._drop_writer()
                raise self._not_written(error) from error

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Keep every other program from writing, until the block ends or the connection is lost.

        Raises:
            CatalogError: another one is writing.
        """
        with self._lock:
            try:
                connection = self._open_writer()
                found = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", WRITER_LOCK)
                is_ours = found.fetchone() == (True,)
            except psycopg.Error as error:
                self._drop_writer()
                raise self._not_written(error) from error
            if not is_ours:
                raise self._occupied()
            self._imports = True
        try:
            yield
        finally:
            with self._lock:
                self._imports = False
                if self._writer is not None:
                    # The lock goes with the connection, but only when the server has noticed.
                    with suppress(psycopg.Error):
                        self._writer.execute("SELECT pg_advisory_unlock(%s, %s)", WRITER_LOCK)
                self._drop_writer()

    def _open_writer(self) -> psycopg.Connection[Any]:
        if self._writer is None:
            if self._imports:
                raise psycopg.OperationalError("the connection was lost, and with it the lock")
            self._writer = connect(self.address, self._schema)
        return self._writer

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _not_written(self, error: psycopg.Error) -> CatalogError:
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return self._occupied()
        return CatalogError(
            f"The catalogue {self.address} cannot be written ({in_one_line(error)}): check that "
            "the server is there, and that this user may write."
        )

    def _occupied(self) -> CatalogError:
        return CatalogError(
            f"Another program is writing the catalogue {self.address}: repeat the command when it "
            "has ended."
        )


def _check_end(connection: psycopg.Connection[Any]) -> None:
    """Look, without a question to the server, whether it has ended the connection.

    Raises:
        psycopg.OperationalError: it says something though it was not asked, most likely that.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        connection.close()  # or the pool would take it back
        raise psycopg.OperationalError("the server has ended the connection")


def _away() -> AwayError:
    return AwayError(_AWAY)
