"""app.catalog.event_reader over PostgreSQL: reads the events of all replicas, changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from app.catalog.address import Address
from app.catalog.event_reader import ROWS, EventReader, EventRow
from app.catalog.postgres.server import EVENTS_SCHEMA, Session, connect, in_one_line
from app.errors import CatalogError

_ROWS_PER_READ = 5_000


# By table, as app.catalog.event_reader.ROWS.
_ROWS = {
    **ROWS,
    "events": """
SELECT time, session, kind, model, value AS item_id,
    CASE kind WHEN 'shown' THEN place ELSE rank END,
    NULL::bigint, NULL::bigint, NULL, NULL, NULL
FROM events, json_array_elements_text(item_ids::json) WITH ORDINALITY AS shown (value, place)""",
}


class PostgresEventReader(EventReader):
    """The events of a database, read only; see EventReader."""

    _rows = _ROWS
    _day = "to_char(to_timestamp(time) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    _clicked_items = (
        'SELECT json_array_elements_text(item_ids::json) COLLATE "C" AS value FROM events '
        "WHERE kind = 'clicked'"
    )

    def __init__(self, address: Address) -> None:
        self.address = address

    def exists(self) -> bool:
        """Whether anything was ever written."""
        with self._reading() as (_, tables):
            return bool(tables)

    def rows(self) -> Iterator[EventRow]:
        """Everything that is kept, the oldest first; in constant memory."""
        with self._reading() as (session, tables):
            parts = [query for table, query in self._rows.items() if table in tables]
            if parts:
                with session.connection.cursor(name="rows") as cursor:
                    cursor.itersize = _ROWS_PER_READ
                    for row in cursor.execute(
                        f"{' UNION ALL '.join(parts)} ORDER BY time".encode()
                    ):
                        yield EventRow(*row)

    @contextmanager
    def _reading(self) -> Iterator[tuple[Session, set[str]]]:
        """A connection that cannot write, and the names of the tables that there are."""
        try:
            with connect(self.address, EVENTS_SCHEMA) as connection:
                connection.read_only = True
                with connection.transaction():
                    names: list[Any] = connection.execute(
                        "SELECT tablename FROM pg_tables WHERE schemaname = %s", [EVENTS_SCHEMA]
                    ).fetchall()
                    yield Session(connection), {name for (name,) in names}
        except psycopg.Error as error:
            raise CatalogError(
                f"The events in {self.address} cannot be read ({in_one_line(error)}): check that "
                "the server is there."
            ) from error
