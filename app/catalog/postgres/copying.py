"""Copies a catalogue file into a PostgreSQL database, whole: nobody ever sees half of it.

The copy is made in a schema of its own and then takes the place of the catalogue that is there, in
one transaction. A copy that is interrupted leaves the old one, and its rest goes with the next.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from app.catalog.address import Address
from app.catalog.catalog import Catalog
from app.catalog.file import CatalogFile
from app.catalog.postgres import index
from app.catalog.postgres.readers import let_read, readers_of
from app.catalog.postgres.schema import NEXT_SCHEMA, OLD_SCHEMA, VERSION, has_catalog, make_tables
from app.catalog.postgres.server import (
    CATALOG_SCHEMA,
    WRITER_LOCK,
    Session,
    connect,
    in_one_line,
)
from app.catalog.sql import Connection
from app.catalog.write import read_meta, write_meta
from app.errors import CatalogError

Tell = Callable[[str, int, int], None]  # what, done, total

# In the order in which rows refer to others.
_TABLES = {
    "items": "id, item_id, title, creator, year, price, image, popularity, tags, categories, "
    "description, extra",
    "item_keys": "item, row_hash, text_hash, title_key, year, popularity",
    "item_search": "item, tokens",
    "categories": "id, name, num_items",
    "item_categories": "item, category",
    "users": "id, user_id",
    "interactions": 'id, "user", item, timestamp',
    "imports": "file, fingerprint, line, finished",
    "import_files": "number, file, fingerprint",
    "item_places": "item, place",
}
_ROWS_AT_ONCE = 5_000
_PATIENCE_MS = 2_000  # for readers that are under way, before all others would have to wait
_TRIES = 30


def copy_catalog(source: Path, target: Address, tell: Tell | None = None) -> int:
    """Copy a catalogue; the one that is in the database stands until the copy is whole.

    Args:
        source: file of a catalogue; it is read in one state.
        target: of the database. Events are not touched.
        tell: is told how far it is.

    Returns:
        Number of items.

    Raises:
        CatalogError: the file cannot be read, another program writes the catalogue, or the
            database cannot be reached or written; the old catalogue stands.
    """
    report = tell or (lambda what, done, total: None)
    Catalog.open(source).close()
    try:
        with (
            CatalogFile(source).reading() as file,
            connect(target, NEXT_SCHEMA) as connection,
        ):
            _take_lock(connection, target)
            file.execute("BEGIN")  # one state of the file, whoever writes it meanwhile
            meta = read_meta(file)
            with connection.transaction():
                _make_room(connection)
                make_tables(Session(connection), meta["name"])
                _copy_tables(file, connection, report)
                session = Session(connection)
                write_meta(session, **{**meta, "schema_version": VERSION})
                index.reindex(session, report)
            _take_place(connection)
            return int(meta["num_items"])
    except psycopg.Error as error:
        raise CatalogError(
            f"The catalogue cannot be copied to {target} ({in_one_line(error)}): check the "
            "address, the password (PGPASSWORD, PGPASSFILE), and that this user may make schemas. "
            "What was there before still is."
        ) from error


def _take_lock(connection: psycopg.Connection[Any], target: Address) -> None:
    """Until the connection ends, nobody else writes."""
    found = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", WRITER_LOCK).fetchone()
    if found != (True,):
        raise CatalogError(
            f"Another program is writing the catalogue {target}: repeat the command when it has "
            "ended."
        )


def _make_room(connection: psycopg.Connection[Any]) -> None:
    for schema in (NEXT_SCHEMA, OLD_SCHEMA):
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
        )
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(NEXT_SCHEMA)))


def _copy_tables(file: Connection, connection: psycopg.Connection[Any], report: Tell) -> None:
    for table, columns in _TABLES.items():
        (total,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()
        rows = file.execute(f"SELECT {columns} FROM {table} ORDER BY 1")
        done = 0
        report(f"copying {table}", 0, total)
        with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
            while chunk := rows.fetchmany(_ROWS_AT_ONCE):
                for row in chunk:
                    copy.write_row(row)
                done += len(chunk)
                report(f"copying {table}", done, total)
    for table in ("categories", "users"):  # new ones are numbered behind these
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{NEXT_SCHEMA}.{table}', 'id'), "
            f"(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)".encode()
        )


def _take_place(connection: psycopg.Connection[Any]) -> None:
    """Change the names, when nobody is in the middle of reading the old catalogue."""
    for tries in range(_TRIES, 0, -1):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {_PATIENCE_MS}".encode())
                if has_catalog(connection):
                    # Whoever reads several tables has begun with this one: see Catalog.page.
                    connection.execute(
                        f"LOCK TABLE {CATALOG_SCHEMA}.meta IN ACCESS EXCLUSIVE MODE".encode()
                    )
                    readers = readers_of(connection, CATALOG_SCHEMA)
                    let_read(connection, NEXT_SCHEMA, readers)
                    connection.execute(
                        f"ALTER SCHEMA {CATALOG_SCHEMA} RENAME TO {OLD_SCHEMA}".encode()
                    )
                connection.execute(
                    f"ALTER SCHEMA {NEXT_SCHEMA} RENAME TO {CATALOG_SCHEMA}".encode()
                )
            break
        except psycopg.errors.LockNotAvailable:
            if tries == 1:
                raise
    # What still reads it ends first; otherwise it goes with the next copy.
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {_PATIENCE_MS}".encode())
            connection.execute(f"DROP SCHEMA IF EXISTS {OLD_SCHEMA} CASCADE".encode())
    except psycopg.errors.LockNotAvailable:
        return
