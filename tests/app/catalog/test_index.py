"""The browse index: orders, full-text tables, words and counts, from the items alone."""

from pathlib import Path

from app.catalog import CatalogItem, Query


def test_sort_orders(catalog):
    def column(sort, name):
        return [getattr(item, name) for item in catalog.page(Query(sort=sort), limit=500).items]

    popularity = column("popularity", "popularity")
    assert popularity == sorted(popularity, reverse=True)
    years = column("year", "year")
    dated = [year for year in years if year is not None]
    assert dated == sorted(dated) and years[len(dated) :] == [None] * (len(years) - len(dated))
    newest = column("newest", "year")
    assert newest[: len(dated)] == sorted(dated, reverse=True) and newest[-1] is None
    titles = [title.lower() for title in column("title", "title")]
    assert titles[0].startswith("book") and titles[-1] == ""
    assert titles.index("émile") > titles.index("dune")
    # Within a year the popular ones come first, in both directions.
    same_year = [
        item for item in catalog.page(Query(sort="year"), limit=500).items if item.year == 1965
    ]
    assert [i.popularity for i in same_year] == sorted(
        (i.popularity for i in same_year), reverse=True
    )


def test_without_years_the_year_orders_are_by_popularity(new_catalog, walk):
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=str(n), title="Dune", popularity=n) for n in range(5))
    for sort in ("year", "newest"):
        items, _ = walk(catalog, Query(sort=sort, search="dune"), 2)
        assert [item.item_id for item in items] == ["4", "3", "2", "1", "0"]


def test_equal_items_stand_in_the_order_in_which_they_came(new_catalog):
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=i, title="Same", year=1900) for i in "cab")
    for sort in ("popularity", "title", "year", "newest"):
        page = catalog.page(Query(sort=sort))
        assert [item.item_id for item in page.items] == ["c", "a", "b"]


def test_interactions_count_instead_of_the_popularity_of_the_source(new_catalog):
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=i, popularity=p) for i, p in (("a", 9), ("b", 1)))
    assert [item.item_id for item in catalog.popular(2)] == ["a", "b"]
    catalog.add_interactions([("u", "b", 1), ("v", "b", 2)])
    catalog.reindex()
    assert [(item.item_id, item.popularity) for item in catalog.popular(2)] == [("b", 2), ("a", 0)]


def test_words_are_counted_by_item_and_only_the_long_ones(new_catalog, execute):
    catalog = new_catalog()
    catalog.add_items(
        [
            CatalogItem(item_id="a", title="desert planet", description="planet"),
            CatalogItem(item_id="b", description="The deserts", categories=("Desert",)),
        ]
    )
    words = dict(execute(catalog, "SELECT token, num_items FROM vocabulary"))
    plain = {word: count for word, count in words.items() if word.isascii()}
    assert plain == {"desert": 2, "deserts": 1, "planet": 1}


def test_progress_ends_at_the_total_of_every_step(catalog):
    seen = {}

    def note(what, done, total):
        assert seen.get(what, (0, 0))[0] <= done <= total
        seen[what] = (done, total)

    catalog.reindex(note)
    steps = [f"indexing by {sort}" for sort in ("popularity", "title", "year", "newest")]
    if not isinstance(catalog.place, Path):
        steps = ["indexing", "building indexes"]
    assert list(seen) == ["sorting", *steps, "counting words"]
    assert all(done == total for done, total in seen.values())
    assert seen[steps[0]] == (137, 137)


def test_an_index_of_nothing(new_catalog):
    catalog = new_catalog()
    catalog.reindex()
    assert (catalog.page(Query(search="x")).total, catalog.categories()) == (0, [])
