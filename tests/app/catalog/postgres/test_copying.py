"""A copy is the same catalogue, and nobody ever sees half of one."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog import Catalog, CatalogItem, Query
from app.catalog.postgres.catalog import PostgresCatalog
from app.catalog.postgres.copying import copy_catalog
from app.catalog.postgres.schema import NEXT_SCHEMA, OLD_SCHEMA, has_catalog
from app.catalog.postgres.server import CATALOG_SCHEMA, WRITER_LOCK, connect
from app.errors import CatalogError

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def source(tmp_path, many_items):
    with Catalog.create(tmp_path / "c.db", "Many") as catalog:
        catalog.add_items(many_items())
        catalog.add_interactions([("u", "i1", 5), ("v", "i1", 6), ("u", "i2", 7)])
        catalog.note_covers("covers")
    return tmp_path / "c.db"


def test_a_copy_is_the_same_catalogue(source, database, walk):
    said = []
    assert copy_catalog(source, database, lambda *told: said.append(told)) == 137
    assert all(0 <= done <= total for _, done, total in said)
    with Catalog.open(source) as file, PostgresCatalog.open(database) as copy:
        copy.check()
        assert list(copy.iter_items()) == list(file.iter_items())
        assert list(copy.iter_interactions()) == list(file.iter_interactions())
        for name in ("name", "num_items", "data_version", "covers", "is_stale"):
            assert getattr(copy, name) == getattr(file, name)
        assert copy.categories() == file.categories()
        for query in (Query(), Query(search="dune", sort="title"), Query(category="日本")):
            assert walk(copy, query, 20) == walk(file, query, 20)
        # Both go on from there alike.
        for each in (file, copy):
            each.add_items([CatalogItem(item_id="new", title="New", categories=("Unheard of",))])
            each.add_interactions([("w", "new", 9)])
        assert copy.data_version == file.data_version
        assert copy.categories() == file.categories()
        assert list(copy.iter_interactions()) == list(file.iter_interactions())


def test_readers_see_the_old_or_the_new_one(source, database, catalog):
    failures, done = [], threading.Event()
    counts = set()

    def read():
        while not done.is_set():
            try:
                page = catalog.page(Query(search="dune"))
                counts.add(page.total)
                assert len(catalog.page(Query(), limit=100).items) == 100
                assert sum(1 for _ in catalog.iter_items()) in (100, 137)
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        copy_catalog(source, database)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    with Catalog.open(source) as file:
        assert counts <= {100, file.page(Query(search="dune")).total}
    assert catalog.num_items == 137  # the pool of a running app finds the new one
    with connect(database, "public") as connection:
        assert not has_catalog(connection, NEXT_SCHEMA)


KILLED = """
import os, sys
from pathlib import Path
from app.catalog.address import Address
from app.catalog.postgres import copying
def tell(what, done, total):
    if what == sys.argv[3]:
        os._exit(9)
copying.copy_catalog(Path(sys.argv[1]), Address(sys.argv[2]), tell)
"""


@pytest.mark.parametrize("step", ["copying items", "copying interactions", "building indexes"])
def test_a_killed_copy_leaves_the_old_one_and_is_repeated(source, database, catalog, step):
    command = [sys.executable, "-c", KILLED, source, database.url, step]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    assert (catalog.num_items, catalog.page(Query(search="dune")).total) == (100, 100)
    assert copy_catalog(source, database) == 137
    assert catalog.num_items == 137
    with connect(database, "public") as connection:
        assert not has_catalog(connection, NEXT_SCHEMA) and not has_catalog(connection, OLD_SCHEMA)


def test_while_somebody_writes_there_is_no_copy(source, database, catalog):
    with connect(database, CATALOG_SCHEMA) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", WRITER_LOCK)
        with pytest.raises(CatalogError, match="Another program is writing"):
            copy_catalog(source, database)
    assert catalog.num_items == 100


def test_what_cannot_be_copied_is_said(tmp_path, database):
    with pytest.raises(CatalogError, match="There is no catalogue"):
        copy_catalog(tmp_path / "none.db", database)
