"""Items of every kind: equal and empty titles, other scripts, years that are missing or BC."""

import random

import pytest

from app.catalog import CatalogItem
from app.catalog.address import Address
from app.catalog.opening import create_catalog

CATEGORIES = ("Fantasy", "Arts, Crafts & Sewing", "日本")


def make_items(count=137):
    rng = random.Random(5)
    for number in range(count):
        yield CatalogItem(
            item_id=f"i{number}",
            title=rng.choice(["Dune", "dune", "Émile", "", "東京タワー", f"Book {number % 7}"]),
            description="a computer in the desert" if number % 2 else "computing of deserts",
            creator=rng.choice(["Frank Herbert", "Jean-Jacques Rousseau", ""]),
            year=rng.choice([None, 1965, 1965, 1762, -400, 2020]),
            categories=tuple(c for c in CATEGORIES if rng.random() < 0.5),
            popularity=rng.randint(0, 4),
        )


@pytest.fixture(scope="session")
def many_items():
    return make_items


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def new_place(request, tmp_path_factory):
    """Gives places for new catalogues: files, and databases where there is a server."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return lambda: Address.parse(server.new_database())
    return lambda: tmp_path_factory.mktemp("catalog") / "c.db"


@pytest.fixture
def new_catalog(new_place):
    """Makes empty catalogues, of every engine one test after the other."""
    made = []

    def create(name=""):
        made.append(create_catalog(new_place(), name))
        return made[-1]

    yield create
    for catalog in made:
        catalog.close()


@pytest.fixture(scope="module")
def catalog(new_place, many_items):
    """One catalogue of many items for all tests of a file; nobody changes it."""
    catalog = create_catalog(new_place(), "Many")
    catalog.add_items(many_items())
    yield catalog
    catalog.close()


@pytest.fixture(scope="session")
def execute():
    """Runs a statement in a catalogue, as nothing of the program does; gives all rows."""

    def run(catalog, sql):
        with catalog._file.reading() as connection:
            return connection.execute(sql).fetchall()

    return run


def walk_pages(catalog, query, limit):
    """All items of a query page by page, and the totals that the pages name."""
    items, cursor, totals = [], None, set()
    while True:
        page = catalog.page(query, cursor=cursor, limit=limit)
        items += page.items
        totals.add(page.total)
        assert len(page.items) == limit or page.next_cursor is None
        cursor = page.next_cursor
        if cursor is None:
            return items, totals


@pytest.fixture(scope="session")
def walk():
    return walk_pages
