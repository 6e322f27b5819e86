"""Migrations, versions and damaged files."""

import json
import sqlite3
from contextlib import closing

import pytest

from app.catalog import Catalog, CatalogItem, ItemFilter, Query
from app.catalog.schema import migrations
from app.errors import CatalogError
from app.ingest.__main__ import main as ingest


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "catalog.db"
    with Catalog.create(path, "Test") as catalog:
        catalog.add_items([CatalogItem(item_id="a", title="Alpha"), CatalogItem(item_id="b")])
    return path


def test_create_makes_wal_and_foreign_keys(path):
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert len(connection.execute("PRAGMA foreign_key_list(interactions)").fetchall()) == 2


def test_create_twice_keeps_the_data(path):
    assert Catalog.create(path, "Other").num_items == 2
    assert Catalog.open(path).name == "Test"


def test_missing(tmp_path):
    with pytest.raises(CatalogError, match="There is no catalogue"):
        Catalog.open(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"x" * 5000]
)
def test_corrupt(tmp_path, content):
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=r"cannot be read|no SQLite file at all"):
        Catalog.open(path)
    assert path.read_bytes() == content


def test_truncated_catalogue_gives_a_catalog_error(path):
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CatalogError, match="cannot be read"):
        Catalog.open(path).page(Query())


@pytest.mark.parametrize("sql", ["CREATE TABLE t (x)", ""])
def test_other_databases_and_empty_files_are_no_catalogues(tmp_path, sql):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.close()
    path.touch()
    with pytest.raises(CatalogError, match="not a catalogue"):
        Catalog.open(path)


def test_newer_version(path):
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
        "VALUES ('catalog', '9999_future', '')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(CatalogError, match=r"newer version.*9999_future.*update"):
        Catalog.open(path)


def test_older_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    with Catalog.create(path, "Old") as catalog:
        catalog.add_items([CatalogItem(item_id="a", title="Alpha")])
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0003_imports'")
    connection.execute("DROP TABLE imports")
    connection.commit()
    connection.close()
    catalog = Catalog.open(path)
    assert catalog.begin_import("x", "y").after == 0
    assert catalog.num_items == 1


def test_catalogue_from_before_filters_can_be_filtered(tmp_path):
    path = tmp_path / "old.db"
    with Catalog.create(path, "Old") as catalog:
        catalog.add_items([CatalogItem(item_id="a", price=3.0), CatalogItem(item_id="b")])
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0004_filters'")
    connection.execute("DROP INDEX items_by_price")
    connection.execute("DELETE FROM meta WHERE key = 'revision'")
    connection.commit()
    connection.close()
    with Catalog.open(path) as catalog:
        assert catalog.filters.matching(ItemFilter(max_price=5.0)).tolist() == [1]
        before = catalog.filters.version()
        catalog.add_items([CatalogItem(item_id="b", price=4.0)])
        assert catalog.filters.version() != before


def _as_before_places(path):
    """Undo the latest migration: what a catalogue of an older program looks like."""
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0005_places'")
    connection.execute("DROP TABLE import_files")
    connection.execute("DROP TABLE item_places")
    connection.execute("DELETE FROM meta WHERE key = 'time_digits'")
    return connection


def test_notes_of_older_catalogues_move_out_of_the_way_of_columns(tmp_path):
    path = tmp_path / "old.db"
    with Catalog.create(path, "Old") as catalog:
        catalog.add_items([CatalogItem(item_id="a"), CatalogItem(item_id="b")])
        catalog.add_interactions([("u", "a", 5)])
        version = catalog.data_version
    connection = _as_before_places(path)
    old = {"original": {"title": "<b>A"}, "cut": "Fair", "pages": 3}
    connection.execute("UPDATE items SET extra = ? WHERE item_id = 'a'", [json.dumps(old)])
    connection.commit()
    connection.close()
    with Catalog.open(path) as catalog:
        extra = catalog.get(["a"])["a"].extra
        assert extra == {"cut": "Fair", "pages": 3, "": {"original": {"title": "<b>A"}}}
        assert list(catalog.iter_interactions()) == [("u", "a", 5)]
        assert catalog.data_version == version


def test_migration_names_are_frozen():
    # A name that shipped must stay: databases out there remember it.
    names = [migration.name for migration in migrations._migrations]
    assert names[:5] == [
        "0001_items_interactions_events",
        "0002_browse_and_search",
        "0003_imports",
        "0004_filters",
        "0005_places",
    ]


def test_create_in_a_place_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogError, match="choose another place"):
        Catalog.create(tmp_path / "file" / "c.db")


def damage_an_index(path):
    """Spoil a page that no query of a start reads."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'items_by_price'"
        page = connection.execute(query).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)


def test_damage_is_found_and_the_file_named(tmp_path, many_items, capsys):
    path = tmp_path / "c.db"
    with Catalog.create(path) as catalog:
        catalog.add_items(many_items())
        catalog.check()
        catalog.check(quick=True)
    assert ingest(["check", "--catalog", str(path)]) == 0
    assert f"{path}: whole" in capsys.readouterr().out
    damage_an_index(path)
    with pytest.raises(CatalogError, match=r"c\.db is damaged"):
        Catalog.open(path).check()
    with pytest.raises(CatalogError, match=r"c\.db is damaged"):
        Catalog.open(path).check(quick=True)
    assert ingest(["check", "--catalog", str(path)]) == 2
    assert f"The catalogue {path} is damaged" in capsys.readouterr().err


def test_a_large_file_is_not_read_at_every_start(tmp_path, many_items, monkeypatch):
    path = tmp_path / "c.db"
    with Catalog.create(path) as catalog:
        catalog.add_items(many_items())
    damage_an_index(path)
    monkeypatch.setattr("app.catalog.schema.QUICK_CHECK_BYTES", path.stat().st_size - 1)
    Catalog.open(path).check(quick=True)
    with pytest.raises(CatalogError, match="is damaged"):
        Catalog.open(path).check()
