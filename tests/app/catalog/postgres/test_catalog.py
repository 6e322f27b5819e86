"""A catalogue in a database: opened, shared, and while its server is away; the rest is in .."""

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog import CatalogItem, Query
from app.catalog.address import Address
from app.catalog.postgres import catalog as module
from app.catalog.postgres.catalog import PostgresCatalog
from app.catalog.postgres.server import CATALOG_SCHEMA, connect
from app.errors import AwayError, CatalogError
from tests.waiting import wait_until


def test_what_one_replica_writes_another_reads(catalog, database):
    with PostgresCatalog.open(database) as other:
        assert (other.name, other.num_items) == ("Some", 100)
        version = other.filters.version()
        catalog.add_items([CatalogItem(item_id="new", title="Arrival")])
        assert other.get(["new"])["new"].title == "Arrival"
        assert other.filters.version() != version
        assert [item.item_id for item in other.iter_items()][-1] == "new"


def test_creating_what_is_there_opens_it(catalog, database):
    with PostgresCatalog.create(database, "Another") as again:
        assert (again.name, again.num_items) == ("Some", 100)


def test_a_database_without_a_catalogue_says_how_to_fill_it(database):
    with pytest.raises(CatalogError, match=r"python -m app\.catalog copy"):
        PostgresCatalog.open(database)


def test_what_cannot_be_reached_is_said_with_its_reason_and_without_the_password(
    postgres, monkeypatch
):
    monkeypatch.setenv("PGPASSWORD", "wrong but secret")
    with pytest.raises(CatalogError, match="password authentication failed") as told:
        PostgresCatalog.open(Address(postgres.url()))
    assert "secret" not in str(told.value)
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    with pytest.raises(CatalogError, match="does not exist"):
        PostgresCatalog.open(Address(postgres.url("nowhere")))
    with pytest.raises(CatalogError, match="cannot be reached"):
        PostgresCatalog.open(Address("postgresql://tester@127.0.0.1:1/x"))


def test_a_password_file_is_enough(postgres, database, catalog, tmp_path, monkeypatch):
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{postgres.port}:*:tester:{postgres.password}\n")
    file.chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(file))
    with PostgresCatalog.open(database) as opened:
        assert opened.num_items == 100


def test_tables_of_another_version_are_refused(catalog, database):
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    with pytest.raises(CatalogError, match="another version"):
        PostgresCatalog.open(database)


def test_a_check_finds_rows_that_are_missing(catalog, database):
    catalog.check()
    with connect(database, CATALOG_SCHEMA) as connection:
        connection.execute("DELETE FROM browse WHERE item = 5")
    catalog.check(quick=True)
    with pytest.raises(CatalogError, match="damaged"):
        catalog.check()


def test_items_that_were_asked_for_are_known_while_the_server_is_away(catalog, away):
    known = catalog.get(["i3", "i1", "gone"])
    away.stop()
    assert catalog.get(["i1", "i3"]) == {"i1": known["i1"], "i3": known["i3"]}
    with pytest.raises(AwayError):
        catalog.get(["i1", "i7"])  # never seen here: that is not the same as none
    with pytest.raises(AwayError):
        catalog.page(Query())
    away.start()

    def answers():
        try:
            return list(catalog.get(["i7"])) == ["i7"]
        except AwayError:
            return False

    wait_until(answers)


def test_only_so_many_are_remembered(catalog, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    catalog.get([f"i{n}" for n in range(10)])
    assert len(catalog._remembered._items) == 3


def test_ids_that_cannot_be_stored_are_not_there(catalog):
    assert catalog.get(["i1\x00", "\ud800", "i1"]).keys() == {"i1"}
    assert catalog.page(Query(category="C\x00")).total == 0
    assert not catalog.filters.has_category("C\x00")
