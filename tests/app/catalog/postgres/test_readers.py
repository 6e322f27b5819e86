"""A user who may only read goes on reading, whatever takes the catalogue's place."""

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog import Catalog, CatalogItem, Query
from app.catalog.postgres.catalog import PostgresCatalog
from app.catalog.postgres.copying import copy_catalog
from app.catalog.postgres.readers import readers_of
from app.catalog.postgres.server import CATALOG_SCHEMA, connect


@pytest.fixture
def reader(database):
    """The same database for a user whose name has to be quoted."""
    name = "A reader"
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN')
    yield f'"{name}"'
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute(f'DROP OWNED BY "{name}"')
        connection.execute(f'DROP ROLE "{name}"')


def titles_for(database, reader):
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute(f"SET ROLE {reader}")
        rows = connection.execute(
            f"SELECT title FROM {CATALOG_SCHEMA}.items JOIN {CATALOG_SCHEMA}.browse "
            "ON items.id = browse.item ORDER BY title"
        )
        return [title for (title,) in rows.fetchall()]


def test_a_reader_still_reads_after_a_copy_and_an_import(tmp_path, database, reader):
    with Catalog.create(tmp_path / "c.db", "C") as catalog:
        catalog.add_items([CatalogItem(item_id="a", title="Dune")])
    copy_catalog(tmp_path / "c.db", database)
    with connect(database, CATALOG_SCHEMA) as connection:
        assert readers_of(connection, CATALOG_SCHEMA) == []
        connection.execute(f"GRANT USAGE ON SCHEMA {CATALOG_SCHEMA} TO {reader}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {CATALOG_SCHEMA} TO {reader}")
    assert titles_for(database, reader) == ["Dune"]
    copy_catalog(tmp_path / "c.db", database)
    assert titles_for(database, reader) == ["Dune"]
    with PostgresCatalog.create(database) as catalog:
        catalog.add_items([CatalogItem(item_id="b", title="Emma")])
        catalog.reindex()
        assert catalog.page(Query(search="emma"), limit=5).total == 1
    assert titles_for(database, reader) == ["Dune", "Emma"]
    with connect(database, CATALOG_SCHEMA) as connection:
        assert readers_of(connection, CATALOG_SCHEMA) == [reader]
