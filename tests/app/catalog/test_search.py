"""Which items a page holds: search, categories, cursors."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog import CatalogItem, Query
from app.catalog.search import MAX_COUNT, SORTS, Anchor, order_of

CATEGORIES = ("Fantasy", "Arts, Crafts & Sewing", "日本")


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("category", ["", *CATEGORIES])
@pytest.mark.parametrize("search", ["", "dune", "comput", "タワ"])
def test_pages_cover_every_match_exactly_once_in_order(
    catalog, sort, category, search, many_items, walk
):
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


def test_relevance_puts_title_hits_first(new_catalog, walk):
    catalog = new_catalog()
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
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
def test_cjk_is_found_by_any_part(new_catalog, part):
    catalog = new_catalog()
    catalog.add_items(
        [CatalogItem(item_id="a", title="新しい日本語の本"), CatalogItem(item_id="b", title="中文")]
    )
    assert [item.item_id for item in catalog.page(Query(search=part)).items] == ["a"]


@pytest.mark.parametrize("search", ["소설", "한국 소", "설"])
def test_korean(new_catalog, search):
    catalog = new_catalog()
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


def test_cursor_survives_new_items(new_catalog):
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=f"i{n}", title=f"t{n}") for n in range(5))
    first = catalog.page(Query(sort="title"), limit=2)
    catalog.add_items([CatalogItem(item_id="new", title="a first title")])
    second = catalog.page(Query(sort="title"), cursor=first.next_cursor, limit=2)
    assert [item.item_id for item in second.items] == ["i2", "i3"]


def test_total_is_none_when_there_are_too_many_to_count(new_catalog):
    catalog = new_catalog()
    catalog.add_items(
        CatalogItem(item_id=str(n), title="common", categories=("C",)) for n in range(MAX_COUNT + 1)
    )
    page = catalog.page(Query(search="common"))
    assert page.total is None and len(page.items) == 48
    assert catalog.page(Query(category="C")).total == MAX_COUNT + 1
    assert catalog.page(Query(search="common", sort="relevance")).total is None


@pytest.mark.parametrize("item_id", ["a", "ümlaut/1", '"];DROP', "x" * 500])
def test_a_cursor_says_where_a_page_ended(item_id):
    anchor = Anchor(sort="relevance", tier=1, item_id=item_id, total=None)
    assert Anchor.decode(anchor.encode(), "relevance") == anchor


@pytest.mark.parametrize(("tier", "total"), [(2, 5), (-1, 5), (True, 5), (0, -1), (0, 2**60)])
def test_a_cursor_with_impossible_numbers_is_refused(tier, total):
    cursor = Anchor(sort="title", tier=tier, item_id="a", total=total).encode()
    with pytest.raises(ValueError, match="first page"):
        Anchor.decode(cursor, "title")


def test_orders_that_are_not_stored_are_those_by_popularity():
    assert [order_of(sort, 3) for sort in SORTS] == [
        "popularity", "title", "year", "newest", "popularity",
    ]  # fmt: skip
    assert order_of("newest", 0) == order_of("year", 0) == "popularity"
