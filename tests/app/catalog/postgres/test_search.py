"""Searches in windows of an order give what one of all gives; the rest is in ../test_search."""

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog import CatalogItem, Query
from app.catalog.postgres import index, search
from app.catalog.postgres.catalog import PostgresCatalog
from app.catalog.postgres.search import TSQUERY, block_token, match_tiers


@pytest.fixture
def many(database, monkeypatch):
    """Blocks of eight places; every third item is rare, every 50th the only one of its kind."""
    monkeypatch.setattr(search, "BLOCK", 8)
    monkeypatch.setattr(index, "_FILL", index._FILL.replace("/ 1024", "/ 8"))
    with PostgresCatalog.create(database) as catalog:
        catalog.add_items(
            CatalogItem(
                item_id=str(n),
                title=f"common {'rare' if n % 3 == 0 else ''} {'only' if n % 50 == 49 else ''}",
                popularity=1000 - n,
                year=n,
            )
            for n in range(300)
        )
        yield catalog


@pytest.mark.parametrize(
    ("word", "step", "first"), [("common", 1, 0), ("rare", 3, 0), ("only", 50, 49)]
)
@pytest.mark.parametrize("limit", [1, 8, 13, 500])
def test_pages_across_blocks_and_windows(many, walk, word, step, first, limit):
    expected = [str(n) for n in range(first, 300, step)]
    items, totals = walk(many, Query(search=word), limit)
    assert [item.item_id for item in items] == expected and totals == {len(expected)}
    items, _ = walk(many, Query(search=word, sort="newest"), limit)
    assert [item.item_id for item in items] == expected[::-1]


def test_a_search_stops_when_its_page_is_full(many, monkeypatch):
    asked = []
    execute = search.Session.execute
    monkeypatch.setattr(
        search.Session,
        "execute",
        lambda self, sql, values=(): (asked.append(sql), execute(self, sql, values))[1],
    )
    with many._file.reading() as session:
        tiers = match_tiers(session, Query(search="common"))
        for limit, windows in ((3, 1), (20, 2), (300, 4)):
            asked.clear()
            search.find(session, tiers, "popularity", start=(0, 0), limit=limit)
            assert sum("MATERIALIZED" in sql for sql in asked) == windows


def test_expressions_are_put_together_from_quoted_tokens(many):
    with many._file.reading() as session:
        [title, rest] = match_tiers(session, Query(search="dune mes", sort="relevance"))
        assert title == "'\ue001dune' & '\ue002\ue001mes'"
        assert rest == "('dune' & '\ue002mes') & !('\ue001dune' & '\ue002\ue001mes')"
        assert match_tiers(session, Query(search="x' | 'y:*")) == ["'x' & '\ue002y'"]
    assert TSQUERY.word("a") == "'a'"
    assert block_token("title", 3) == "\ue0031.3"


@pytest.mark.parametrize("most", [0, 40, 99, 100, 150, 299, 300])
@pytest.mark.parametrize("sort", ["popularity", "relevance"])
def test_counts_are_exact_up_to_the_most_that_are_counted(many, monkeypatch, most, sort):
    """However many there are of a word, and wherever among the popular ones."""
    monkeypatch.setattr(search, "MAX_COUNT", most)
    found = {"common": 300, "common rare": 100, "common only": 6, "rare": 100, "co": 300}
    for words, number in found.items():
        page = many.page(Query(search=words, sort=sort), limit=1)
        assert page.total == (number if number <= most else None), words
