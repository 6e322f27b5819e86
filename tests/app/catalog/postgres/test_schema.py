"""The tables: made once, in the order of bytes, and of a version that is known."""

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog.address import Address
from app.catalog.postgres.schema import check_version, has_catalog
from app.catalog.postgres.server import CATALOG_SCHEMA, connect
from app.errors import CatalogError


def test_a_database_has_a_catalogue_once_it_is_made(database, catalog):
    with connect(database, CATALOG_SCHEMA) as connection:
        assert has_catalog(connection) and not has_catalog(connection, "other")


def test_texts_are_compared_byte_by_byte(database, catalog):
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute("INSERT INTO categories (name) VALUES ('b'), ('B'), ('é'), ('a')")
        names = connection.execute("SELECT name FROM categories ORDER BY name").fetchall()
    assert [name for (name,) in names] == ["B", "C", "a", "b", "é"]


def test_removing_an_item_removes_all_that_hangs_on_it(database, catalog):
    catalog.add_interactions([("u", "i1", 5)])
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute("DELETE FROM items WHERE item_id = 'i1'")
        for table in ("item_keys", "item_search", "item_categories", "browse"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (99,), table
        assert connection.execute("SELECT count(*) FROM interactions").fetchone() == (0,)


def test_tables_of_another_version_are_refused():
    with pytest.raises(CatalogError, match="another version"):
        check_version(Address("postgresql://h/d"), {"schema_version": "2"})
