"""Pages, filters, searches and the texts for models."""

import pytest

from app.catalog import CatalogItem, Query

CATEGORIES = ("Fantasy", "Arts, Crafts & Sewing", "日本")


@pytest.mark.parametrize(("limit", "sort"), [(0, "title"), (501, "title"), (5, "best")])
def test_bad_arguments(catalog, limit, sort):
    with pytest.raises(ValueError, match="must be"):
        catalog.page(Query(sort=sort), limit=limit)


def test_get_keeps_order_and_leaves_out_missing(catalog):
    ids = ["i5", "missing", "i2", "i5"]
    assert list(catalog.get(ids)) == ["i5", "i2"]
    assert len(catalog.get([f"i{n}" for n in range(5000)])) == 137
    assert catalog.get([]) == {}


def test_popular_and_categories(catalog, many_items):
    assert [item.popularity for item in catalog.popular(3)] == [4, 4, 4]
    counts = dict(catalog.categories())
    assert counts == {c: sum(c in item.categories for item in many_items()) for c in CATEGORIES}
    assert catalog.categories(1)[0][1] == max(counts.values())


def test_iter_texts(new_catalog):
    catalog = new_catalog()
    catalog.add_items(
        [
            CatalogItem(item_id="z", title="Last id, first in", tags=("x", "y, z"), year=1999),
            CatalogItem(
                item_id="a",
                description="d",
                extra={"pages": 12, "list": [1], "original": {"title": "<b>"}, "title": "other"},
            ),
        ]
    )
    assert list(catalog.iter_texts()) == [
        ("z", {"title": "Last id, first in", "tags": "x; y, z", "year": "1999"}),
        ("a", {"description": "d", "pages": "12"}),
    ]


def test_iter_texts_and_interactions_over_chunk_borders(new_catalog, monkeypatch):
    monkeypatch.setattr("app.catalog.catalog._ITEMS_PER_READ", 4)
    monkeypatch.setattr("app.catalog.catalog._INTERACTIONS_PER_READ", 3)
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=str(n), title="t") for n in range(8))
    rows = [(f"u{n % 3}", str(n % 8), 100 - n) for n in range(10)]
    catalog.add_interactions(rows)
    assert [item_id for item_id, _ in catalog.iter_texts()] == [str(n) for n in range(8)]
    assert list(catalog.iter_interactions()) == rows
