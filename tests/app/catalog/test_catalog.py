"""Pages, filters, searches and the texts for models."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog import Catalog, CatalogItem, Query
from app.catalog.search import MAX_COUNT, SORTS

CATEGORIES = ("Fantasy", "Arts, Crafts & Sewing", "日本")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, many_items):
    catalog = Catalog.create(tmp_path_factory.mktemp("catalog") / "c.db", "Many")
    catalog.add_items(many_items())
    yield catalog
    catalog.close()


def walk(catalog, query, limit):
    items, cursor, totals = [], None, set()
    while True:
        page = catalog.page(query, cursor=cursor, limit=limit)
        items += page.items
        totals.add(page.total)
        assert len(page.items) == limit or page.next_cursor is None
        cursor = page.next_cursor
        if cursor is None:
            return items, totals


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("category", ["", *CATEGORIES])
@pytest.mark.parametrize("search", ["", "dune", "comput", "タワ"])
def test_pages_cover_every_match_exactly_once_in_order(catalog, sort, category, search, many_items):
    query = Query(sort=sort, category=category, search=search)
    whole = catalog.page(query, limit=500).items
    for limit in (1, 7, 48):
        items, totals = walk(catalog, query, limit)
        assert items == whole
        assert totals == {len(whole)}
    expected = {
        item.item_id
        for item in many_items()
        if (not category or category in item.categories)
        and search in f"{item.title} {item.description}".lower()
    }
    assert {item.item_id for item in whole} == expected


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


def test_without_years_the_year_orders_are_by_popularity(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(CatalogItem(item_id=str(n), title="Dune", popularity=n) for n in range(5))
    for sort in ("year", "newest"):
        items, _ = walk(catalog, Query(sort=sort, search="dune"), 2)
        assert [item.item_id for item in items] == ["4", "3", "2", "1", "0"]


def test_relevance_puts_title_hits_first(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(
        [
            CatalogItem(item_id="mentions", title="Sand", description="like dune", popularity=9),
            CatalogItem(item_id="named", title="Dune Messiah", popularity=1),
            CatalogItem(item_id="by", title="Soil", creator="Ann Dunes", popularity=2),
        ]
    )
    items, _ = walk(catalog, Query(search="dune", sort="relevance"), 1)
    assert [item.item_id for item in items] == ["by", "named", "mentions"]
    items, _ = walk(catalog, Query(search="dune"), 1)
    assert [item.item_id for item in items] == ["mentions", "by", "named"]


@pytest.mark.parametrize(
    "search",
    [
        '"', "'", "*", "AND", "OR NOT", "NEAR(a b)", "a NEAR/2 b", "-x", "title:dune", "^dune", "(",
        "{a b}:c", "dune*", 'dune" OR "x', "\x00dune", "; DROP TABLE items; --", "%", "_", "\\",
        "\ud800", "\ue000" + "1", "\ue001dune", "d" * 100_000, "dune " * 50_000, "🏜️", "\u0301",
    ],
)  # fmt: skip
def test_hostile_search_is_only_text(catalog, search):
    for sort in SORTS:
        page = catalog.page(Query(search=search, sort=sort))
        assert page.total is not None and len(page.items) <= 48


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(search=st.text(max_size=30), category=st.text(max_size=10))
def test_no_search_text_breaks_a_page(catalog, search, category):
    catalog.page(Query(search=search, category=category))


def test_category_marks_cannot_be_searched(catalog):
    assert catalog.page(Query(search="\ue0001")).total == catalog.page(Query(search="1")).total


@pytest.mark.parametrize("search", ["!!!", "---", "zzzz", "dune zzzz"])
def test_no_match_is_an_empty_page(catalog, search):
    page = catalog.page(Query(search=search))
    assert (page.items, page.next_cursor, page.total) == ([], None, 0)


def test_blank_search_shows_all(catalog):
    assert catalog.page(Query(search="   ")).total == 137


def test_unknown_category_is_empty(catalog):
    assert catalog.page(Query(category="Nope")).total == 0


@pytest.mark.parametrize("part", ["日", "本", "日本", "本語", "日本語の本", "語の"])
def test_cjk_is_found_by_any_part(tmp_path, part):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(
        [CatalogItem(item_id="a", title="新しい日本語の本"), CatalogItem(item_id="b", title="中文")]
    )
    assert [item.item_id for item in catalog.page(Query(search=part)).items] == ["a"]


@pytest.mark.parametrize("search", ["소설", "한국 소", "설"])
def test_korean(tmp_path, search):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items([CatalogItem(item_id="a", title="한국소설 한국 소설")])
    assert catalog.page(Query(search=search)).total == 1


@pytest.mark.parametrize("length", range(1, 10))
def test_every_prefix_of_the_last_word(catalog, length):
    # 1 to 4 characters go through FTS5's prefix index, more through the vocabulary.
    search = "computing"[:length]
    assert catalog.page(Query(search=search)).total >= 68


def test_accents_do_not_matter(catalog):
    assert (
        catalog.page(Query(search="emile")).total == catalog.page(Query(search="ÉMILE")).total > 0
    )


@pytest.mark.parametrize(
    "cursor", ["x", "!!", "W10=", "bnVsbA==", "eyJhIjoxfQ==", "é", "A" * 5000, "W1tbW1tb" * 9000]
)
def test_damaged_cursors(catalog, cursor):
    with pytest.raises(ValueError, match="first page"):
        catalog.page(Query(), cursor=cursor)


def test_cursor_of_another_sort(catalog):
    cursor = catalog.page(Query(sort="title"), limit=3).next_cursor
    with pytest.raises(ValueError, match="another sort"):
        catalog.page(Query(sort="year"), cursor=cursor)


def test_cursor_survives_new_items(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(CatalogItem(item_id=f"i{n}", title=f"t{n}") for n in range(5))
    first = catalog.page(Query(sort="title"), limit=2)
    catalog.add_items([CatalogItem(item_id="new", title="a first title")])
    second = catalog.page(Query(sort="title"), cursor=first.next_cursor, limit=2)
    assert [item.item_id for item in second.items] == ["i2", "i3"]


@pytest.mark.parametrize(("limit", "sort"), [(0, "title"), (501, "title"), (5, "best")])
def test_bad_arguments(catalog, limit, sort):
    with pytest.raises(ValueError, match="must be"):
        catalog.page(Query(sort=sort), limit=limit)


def test_total_is_none_when_there_are_too_many_to_count(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(
        CatalogItem(item_id=str(n), title="common", categories=("C",)) for n in range(MAX_COUNT + 1)
    )
    page = catalog.page(Query(search="common"))
    assert page.total is None and len(page.items) == 48
    assert catalog.page(Query(category="C")).total == MAX_COUNT + 1
    assert catalog.page(Query(search="common", sort="relevance")).total is None


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


def test_items_come_back_as_they_were(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    item = CatalogItem(
        item_id="ümlaut/1",
        title="${alert(1)} <b>",
        description="zwei\nZeilen",
        tags=("a", "b; c"),
        categories=("Arts, Crafts",),
        creator="Å",
        year=-400,
        price=9.5,
        image="x.jpg",
        popularity=3,
        extra={"pages": 12, "list": [1, "x"], "none": None},
    )
    catalog.add_items([item])
    assert catalog.get(["ümlaut/1"]) == {"ümlaut/1": item}


def test_iter_texts(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
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


def test_iter_texts_and_interactions_over_chunk_borders(tmp_path, monkeypatch):
    monkeypatch.setattr("app.catalog.catalog._ITEMS_PER_READ", 4)
    monkeypatch.setattr("app.catalog.catalog._INTERACTIONS_PER_READ", 3)
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(CatalogItem(item_id=str(n), title="t") for n in range(8))
    rows = [(f"u{n % 3}", str(n % 8), 100 - n) for n in range(10)]
    catalog.add_interactions(rows)
    assert [item_id for item_id, _ in catalog.iter_texts()] == [str(n) for n in range(8)]
    assert list(catalog.iter_interactions()) == rows
