"""Connections of both engines take the catalogue's SQL."""

from app.catalog.sql import Connection


def test_what_reads_and_what_writes_is_a_connection(new_catalog):
    catalog = new_catalog("Some")
    query = "SELECT value FROM meta WHERE key = ?"
    for open_one in (catalog._file.reading, catalog._file.writing):
        with open_one() as connection:
            assert isinstance(connection, Connection)
            assert connection.execute(query, ["name"]).fetchall() == [("Some",)]
