"""Items come out of the tables as they went in."""

from app.catalog import CatalogItem
from app.catalog.rows import read_items
from app.catalog.write import VALUES_PER_QUERY


def test_items_come_back_as_they_were(new_catalog):
    catalog = new_catalog()
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


def test_an_item_with_nothing_but_an_id(new_catalog):
    catalog = new_catalog()
    catalog.add_items([CatalogItem(item_id="a")])
    assert catalog.get(["a"]) == {"a": CatalogItem(item_id="a")}


def test_more_values_than_one_statement_takes(new_catalog):
    count = 2 * VALUES_PER_QUERY + 1
    catalog = new_catalog()
    catalog.add_items(CatalogItem(item_id=f"i{n}", title=str(n)) for n in range(count))
    with catalog._file.reading() as connection:
        found = read_items(connection, "i.item_id", [f"i{n}" for n in range(count)])
        assert {item.item_id for item in found.values()} == {f"i{n}" for n in range(count)}
        numbers = read_items(connection, "i.id", [2, 1, 10**9])
        assert {number: item.title for number, item in numbers.items()} == {1: "0", 2: "1"}
        hostile = "i0' OR 1=1 --"
        assert read_items(connection, "i.item_id", [hostile]) == {}
        assert read_items(connection, "i.id", []) == {}


def test_popularity_is_that_of_the_index_and_before_there_is_one_the_sources(new_catalog):
    with new_catalog() as catalog:
        catalog.add_items([CatalogItem(item_id="a", popularity=7)])
        assert catalog.get(["a"])["a"].popularity == 7
        catalog.add_interactions([("u", "a", 1)])
        catalog.reindex()
        assert catalog.get(["a"])["a"].popularity == 1
