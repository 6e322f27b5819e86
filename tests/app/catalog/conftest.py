"""Items of every kind: equal and empty titles, other scripts, years that are missing or BC."""

import random

import pytest

from app.catalog import CatalogItem

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
