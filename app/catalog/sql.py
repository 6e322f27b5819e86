"""What the catalogue's modules ask of a database, whichever it is: SQLite or PostgreSQL.

Statements outside of `search`, `index` and `schema` are of the SQL that both understand: `?` stands
for a value, `"user"` is quoted (a keyword of PostgreSQL), and what is there already is met with ON
CONFLICT.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Connection(Protocol):
    """A connection in a transaction; both methods give a cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Run a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Run a statement once for each row of values; `rowcount` is the sum."""


class Store(Protocol):
    """Where a catalogue is, and the connections to it; its errors are CatalogErrors."""

    def reading(self, *, together: bool = False) -> AbstractContextManager[Any]:
        """A connection that cannot write; together: its statements are about one state."""

    def writing(self) -> AbstractContextManager[Any]:
        """The one writer, in a transaction that any exception rolls back."""

    def close(self) -> None:
        """Close what is open."""
