"""Writes: items, interactions, the data version, k-core."""

import pytest

from app.catalog import CatalogItem, Query


def test_adding_twice_is_adding_once(new_catalog, many_items):
    catalog = new_catalog()
    assert catalog.add_items(many_items()).added == 137
    version = catalog.data_version
    assert catalog.add_items(many_items()).unchanged == 137
    rows = [("u", "i1", 5), ("u", "i1", 6), ("u", "i1", 5), ("v", "gone", 1)]
    first, second = catalog.add_interactions(rows), catalog.add_interactions(rows)
    assert (first.added, first.duplicates, first.unknown_items) == (2, 1, 1)
    assert (second.added, second.duplicates, second.unknown_items) == (0, 3, 1)
    assert catalog.data_version == version and catalog.num_items == 137
    assert catalog.count_interactions() == (2, 1)


def test_update_replaces_texts_categories_and_search(new_catalog):
    catalog = new_catalog()
    catalog.add_items([CatalogItem(item_id="a", title="Old", categories=("X",))])
    catalog.add_interactions([("u", "a", 1)])
    counts = catalog.add_items([CatalogItem(item_id="a", title="New", categories=("Y",))])
    assert (counts.updated, catalog.num_items) == (1, 1)
    assert catalog.page(Query(search="old")).total == 0
    assert catalog.page(Query(search="new", category="Y")).total == 1
    assert catalog.categories() == [("Y", 1)]
    assert catalog.count_interactions() == (1, 1), "an update must not delete interactions"


def test_popularity_is_interactions_where_there_are_any(new_catalog):
    catalog = new_catalog()
    catalog.add_items([CatalogItem(item_id="a", popularity=99), CatalogItem(item_id="b")])
    assert catalog.popular(1)[0].item_id == "a"
    catalog.add_interactions([("u", "b", 1), ("v", "b", 1)])
    assert [(item.item_id, item.popularity) for item in catalog.popular(2)] == [("b", 2), ("a", 0)]


def test_data_version_depends_on_texts_only(new_catalog, many_items):
    def version(name, items, batches=1):
        catalog = new_catalog(name)
        for start in range(batches):
            catalog.add_items(items[start::batches])
        return catalog.data_version

    items = list(many_items(20))
    base = version("a", items)
    assert version("b", items[::-1], batches=3) == base
    assert (
        version("c", [CatalogItem(**{**vars(i), "popularity": 7, "image": "x"}) for i in items])
        == base
    )
    assert version("d", items[1:]) != base
    changed = CatalogItem(**{**vars(items[0]), "title": "another"})
    assert version("e", [changed, *items[1:]]) != base
    assert version("f", [changed, *items[1:], items[0]]) == base, "the last of equal ids wins"


def test_known_data_version_is_the_same_on_every_machine(new_catalog):
    catalog = new_catalog()
    catalog.add_items([CatalogItem(item_id="1", title="Dune", year=1965, extra={"p": 1.5})])
    assert catalog.data_version == "e41132f6cdf720ef"


@pytest.mark.parametrize("item_id", ["", "\x00", "x" * 501])
def test_bad_item_ids(new_catalog, item_id):
    catalog = new_catalog()
    with pytest.raises(ValueError, match="1 to 500 characters"):
        catalog.add_items([CatalogItem(item_id="good"), CatalogItem(item_id=item_id)])
    assert catalog.num_items == 0, "the transaction must be rolled back"


def test_k_core_is_one_pass(new_catalog):
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=i) for i in "abc")
    rows = [("u1", "a", 1), ("u1", "b", 2), ("u2", "a", 1), ("u2", "b", 2), ("u3", "b", 1)]
    # u4 has two interactions, but c has only one, so u4 falls below 2 and a loses nothing more.
    rows += [("u4", "c", 1), ("u4", "a", 2)]
    catalog.add_interactions(rows)
    assert catalog.keep_k_core(2) == 3
    catalog.reindex()
    assert set(catalog.iter_interactions()) == set(rows[:4])
    assert catalog.num_items == 3 and catalog.popular(1)[0].popularity == 2


def test_empty_catalogue(new_catalog):
    catalog = new_catalog()
    assert catalog.page(Query()).total == 0
    assert catalog.page(Query(search="x", category="y", sort="title")).items == []
    assert catalog.popular(5) == [] and catalog.categories() == []
    assert list(catalog.iter_texts()) == [] and not catalog.is_stale
