"""The browse table in PostgreSQL is replaced while others read; the rest is in ../test_index."""

import threading

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog import CatalogItem, Query


def test_readers_see_the_old_or_the_new_index_never_none(catalog):
    failures, done = [], threading.Event()

    def read():
        while not done.is_set():
            try:
                page = catalog.page(Query(search="dune"))
                assert page.total in (100, 101, 102, 103), page.total
                assert len(catalog.page(Query()).items) == 48
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3):
        catalog.add_items([CatalogItem(item_id=f"n{number}", title="Dune again")])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert catalog.page(Query(search="dune")).total == 103


def test_beginnings_and_blocks_are_tokens_of_their_own(catalog, execute):
    rows = execute(catalog, "SELECT tsvector_to_array(tokens) FROM browse WHERE by_popularity = 1")
    tokens = set(rows[0][0])
    assert {"dune", "\ue001dune", "\ue002d", "\ue002dune", "\ue002\ue001dun"} <= tokens
    assert {f"\ue003{order}.{0}" for order in range(4)} <= tokens
    assert "\ue002\ue001" not in tokens and not any(t.startswith("\ue002\ue000") for t in tokens)
    assert execute(catalog, "SELECT to_regclass('browse_next')") == [(None,)]


def test_rows_are_narrow_whatever_their_texts(catalog):
    """A search reads many rows, and of none its tokens."""
    words = " ".join(f"word{n}" for n in range(100))
    catalog.add_items(
        CatalogItem(item_id=str(n), title=f"T {n}", description=words) for n in range(500)
    )
    with catalog._file.reading() as session:
        (size,) = session.execute("SELECT pg_relation_size('browse')").fetchone()
    assert size / catalog.num_items < 200
