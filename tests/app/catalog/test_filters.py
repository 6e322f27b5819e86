"""Which items a filter allows, against a plain look at every item."""

from pathlib import Path

import numpy as np
import pytest

from app.catalog import CatalogItem, ItemFilter
from app.catalog.opening import create_catalog

CATEGORIES = ("Fantasy", "'; DROP TABLE items --", "日本")
PRICES = (None, 0.0, 0.5, 3.0, 3.0, 19.99, 1e12)


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(3)
    return [
        CatalogItem(
            item_id=f"i{number}",
            categories=tuple(name for name in CATEGORIES if rng.random() < 0.4),
            price=PRICES[rng.integers(len(PRICES))],
        )
        for number in range(200)
    ]


@pytest.fixture(scope="module")
def catalog(new_place, items):
    with create_catalog(new_place(), "Some") as catalog:
        catalog.add_items(items)
        yield catalog


def allows(item_filter, item):
    if item_filter.category and item_filter.category not in item.categories:
        return False
    low, high = item_filter.min_price, item_filter.max_price
    if low is None and high is None:
        return True
    return item.price is not None and (low or 0) <= item.price <= (1e12 if high is None else high)


@pytest.mark.parametrize("category", ["", *CATEGORIES, "Nowhere"])
@pytest.mark.parametrize(
    "prices", [(None, None), (0.0, None), (None, 3.0), (0.5, 3.0), (3.0, 3.0), (4.0, 5.0)]
)
def test_a_filter_allows_what_it_says(catalog, items, category, prices):
    item_filter = ItemFilter(category=category, min_price=prices[0], max_price=prices[1])
    if not item_filter:
        with pytest.raises(ValueError, match="leaves nothing out"):
            catalog.filters.matching(item_filter)
        return
    found = catalog.filters.matching(item_filter)
    assert (np.diff(found) > 0).all()
    by_number = names_by_number(catalog)
    expected = {item.item_id for item in items if allows(item_filter, item)}
    assert {by_number[number] for number in found.tolist()} == expected
    if "Nowhere" not in category and prices != (4.0, 5.0):
        assert expected


def test_categories_and_prices_that_exist(catalog, new_catalog):
    assert all(map(catalog.filters.has_category, CATEGORIES))
    assert not any(map(catalog.filters.has_category, ("", "fantasy", "Fan%", "x" * 5000)))
    assert catalog.filters.price_range() == (0.0, 1e12)
    with new_catalog() as other:
        other.add_items([CatalogItem(item_id="a", categories=("Gone",))])
        assert other.filters.price_range() is None
        other.add_items([CatalogItem(item_id="a")])
        assert not other.filters.has_category("Gone")


def test_prices_are_found_through_their_index(catalog):
    """Without it every filter would read the whole table, with its descriptions."""
    is_file = isinstance(catalog.place, Path)
    explain = "EXPLAIN QUERY PLAN" if is_file else "EXPLAIN"
    with catalog._file.reading() as connection:
        if not is_file:  # the planner knows that a table as small as this one is read faster whole
            connection.execute("SET LOCAL enable_seqscan = off")
            connection.execute("SET LOCAL enable_bitmapscan = off")
        for query in (
            "SELECT id FROM items WHERE price IS NOT NULL AND price >= 1 AND price <= 2",
            "SELECT max(price) FROM items WHERE price IS NOT NULL",
        ):
            plan = str(connection.execute(f"{explain} {query}").fetchall())
            found = "USING COVERING INDEX items_by_price" if is_file else "items_price_id_idx"
            assert found in plan and (is_file or "Index Only Scan" in plan)


def test_the_version_changes_with_every_field(new_catalog):
    item = {"item_id": "a", "title": "T"}
    with new_catalog() as catalog:
        versions = [catalog.filters.version()]
        for change in ({}, {"price": 1.0}, {"price": 2.0}, {"categories": ("New",)}):
            catalog.add_items([CatalogItem(**item, **change)])
            versions.append(catalog.filters.version())
        assert len(set(versions)) == 5
        catalog.add_items([CatalogItem(**item, categories=("New",))])
        catalog.note_covers("elsewhere")
        assert catalog.filters.version() == versions[-1]


def test_popularity_is_that_of_the_interactions_or_the_sources_own(new_catalog):
    with new_catalog() as catalog:
        assert not catalog.filters.has_popularity()  # without items
        catalog.add_items([CatalogItem(item_id=name, popularity=7) for name in "abc"])
        assert not catalog.filters.has_popularity()  # nothing that tells them apart
        catalog.add_items([CatalogItem(item_id="c", popularity=9)])
        assert catalog.filters.has_popularity()
        assert popularity_of(catalog) == {"a": 7, "b": 7, "c": 9}
        catalog.add_interactions([("u", "a", 1), ("v", "a", 2), ("u", "b", 3)])
        assert popularity_of(catalog) == {"a": 2, "b": 1, "c": 0}


def names_by_number(catalog):
    parts = catalog.filters.item_numbers()
    return {
        n: name for numbers, ids in parts for n, name in zip(numbers.tolist(), ids, strict=True)
    }


def popularity_of(catalog):
    name = names_by_number(catalog)
    return {name[n]: count for n, count in np.transpose(catalog.filters.popularity()).tolist()}
