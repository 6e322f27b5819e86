"""A catalogue file and its connections: read-only ones for each call, one writer behind a lock."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database

from app.catalog import schema
from app.errors import CatalogError


class CatalogFile:
    """Connections to one file; SQLite's errors become CatalogErrors here.

    Handlers run in worker threads, which may not share a connection: opening one costs 0.3 ms.
    """

    def __init__(self, path: Path) -> None:
        """Find out how the file can be opened.

        Raises:
            sqlite3.DatabaseError: it is not a database.
        """
        self.path = path
        self._immutable = not _opens(path)
        self._lock = threading.Lock()
        self._writer: Database | None = None

    def close(self) -> None:
        """Close the writing connection; SQLite then folds its -wal file into the database."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    @contextmanager
    def reading(self, *, together: bool = False) -> Iterator[sqlite3.Connection]:
        """A read-only connection.

        Args:
            together: several statements are about one state of the catalogue.

        Raises:
            CatalogError: the file is gone or damaged.
        """
        try:
            with closing(
                schema.connect_readonly(self.path, immutable=self._immutable)
            ) as connection:
                if together:
                    connection.execute("BEGIN")
                yield connection
        except sqlite3.DatabaseError as error:
            raise CatalogError(
                f"The catalogue {self.path} cannot be read ({error}): it was moved or is damaged, "
                "so restore it or import the data again into a new file."
            ) from error

    @contextmanager
    def writing(self, *, patience_ms: int = 20_000) -> Iterator[sqlite3.Connection]:
        """The writer inside a transaction, which is rolled back on any exception.

        Args:
            patience_ms: how long to wait for another program that is writing.

        Raises:
            CatalogError: the file cannot be written.
        """
        with self._lock:
            try:
                if self._immutable:
                    raise sqlite3.OperationalError("file or folder is read-only")
                if self._writer is None:
                    self._writer = schema.connect_writable(self.path)
                self._writer.execute(f"PRAGMA busy_timeout = {patience_ms}")
                with self._writer.atomic():
                    # SQLite's write lock at once: waiting for it after a read would fail, not wait.
                    self._writer.execute("UPDATE meta SET value = value WHERE key = 'name'")
                    yield self._writer.conn
            except sqlite3.DatabaseError as error:
                raise CatalogError(
                    f"The catalogue {self.path} cannot be written ({error}): check permissions "
                    "and free space, and that no other program is writing to it."
                ) from error


def _opens(path: Path) -> bool:
    """Whether SQLite can open the file as usual; a read-only folder has no room for its -shm."""
    try:
        with closing(schema.connect_readonly(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False
    return True
