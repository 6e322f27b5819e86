"""Rows that a filter allows: in each recommender's own order, remembered until items change."""

import pytest

from app.catalog import Catalog, CatalogItem, ItemFilter
from app.filter_rows import MAX_REMEMBERED, FilterRows

MYSTERY = ItemFilter(category="Mystery")


@pytest.fixture
def catalog(tmp_path, new_items):
    with Catalog.create(tmp_path / "c.db") as catalog:
        catalog.add_items(new_items(40))
        yield catalog


def found(rows, item_filter, recommender):
    return [recommender.item_ids[row] for row in rows.rows(item_filter, recommender)]


def test_every_recommender_has_rows_of_its_own(catalog, fake_recommender, new_items):
    ids = [item.item_id for item in new_items(40)]
    wanted = [item.item_id for item in new_items(40) if "Mystery" in item.categories]
    rows = FilterRows(catalog)
    assert found(rows, MYSTERY, fake_recommender("one", ids)) == wanted
    assert found(rows, MYSTERY, fake_recommender("two", ids[::-1])) == wanted[::-1]
    # Some items of the catalogue are unknown to it, and it knows some that are not there.
    partial = fake_recommender("three", ["elsewhere", *wanted[:2], "gone"])
    assert found(rows, MYSTERY, partial) == wanted[:2]


def test_a_filter_is_asked_once_until_items_change(catalog, fake_recommender, monkeypatch):
    asked = []
    matching = catalog.filters.matching
    monkeypatch.setattr(catalog.filters, "matching", lambda f: asked.append(f) or matching(f))
    recommender = fake_recommender("one", ["book-002", "book-003", "book-006"])
    rows = FilterRows(catalog)
    cheap = ItemFilter(max_price=5.0)
    for _ in range(3):
        assert found(rows, MYSTERY, recommender) == ["book-002", "book-006"]
        assert found(rows, cheap, recommender) == ["book-002", "book-003"]
    assert asked == [MYSTERY, cheap]
    catalog.add_items([CatalogItem(item_id="book-002", price=9.0)])
    assert found(rows, MYSTERY, recommender) == ["book-006"]
    assert found(rows, cheap, recommender) == ["book-003"]
    assert asked == [MYSTERY, cheap, MYSTERY, cheap]


def test_what_is_remembered_is_bounded_and_cannot_be_changed(catalog, fake_recommender):
    recommender = fake_recommender("one", ["book-001"])
    rows = FilterRows(catalog)
    for number in range(2 * MAX_REMEMBERED):
        rows.rows(ItemFilter(min_price=float(number)), recommender)
    assert rows._rows.cache_info().currsize == MAX_REMEMBERED
    with pytest.raises(ValueError, match="read-only"):
        rows.rows(ItemFilter(min_price=0.0), recommender)[0] = 7


def test_preparing_leaves_the_first_filter_only_its_own_question(
    catalog, fake_recommender, monkeypatch
):
    recommender = fake_recommender("one", ["book-002"])
    rows = FilterRows(catalog)
    rows.prepare(recommender)
    monkeypatch.setattr(catalog.filters, "item_numbers", lambda: pytest.fail("looked up again"))
    assert found(rows, MYSTERY, recommender) == ["book-002"]


def test_items_that_an_import_adds_meanwhile_do_no_harm(catalog, fake_recommender, monkeypatch):
    recommender = fake_recommender("one", ["book-002"])
    rows = FilterRows(catalog)
    rows.prepare(recommender)
    version = catalog.filters.version()
    monkeypatch.setattr(catalog.filters, "version", lambda: version)
    catalog.add_items([CatalogItem(item_id="new", categories=("Mystery",))])
    assert found(rows, MYSTERY, recommender) == ["book-002"]


def test_empty_catalogue_allows_nothing(tmp_path, fake_recommender):
    with Catalog.create(tmp_path / "empty.db") as catalog:
        rows = FilterRows(catalog).rows(MYSTERY, fake_recommender("one", ["a"]))
    assert len(rows) == 0


def test_popularity_is_in_the_order_of_each_recommender_until_items_change(
    catalog, fake_recommender, monkeypatch
):
    rows = FilterRows(catalog)
    recommender = fake_recommender("one", ["book-002", "elsewhere", "book-001"])
    other = fake_recommender("two", ["book-001", "book-002"])
    assert rows.popularity(recommender).tolist() == [998, 0, 999]
    assert rows.popularity(other).tolist() == [999, 998]
    assert rows.popularity(recommender) is rows.popularity(recommender)
    with pytest.raises(ValueError, match="read-only"):
        rows.popularity(other)[0] = 7
    catalog.add_items([CatalogItem(item_id="book-002", popularity=5)])
    assert rows.popularity(recommender).tolist() == [5, 0, 999]
