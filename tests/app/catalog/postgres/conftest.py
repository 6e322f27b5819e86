"""Catalogues in a database of their own."""

import pytest

from app.catalog import CatalogItem


@pytest.fixture
def catalog(database):
    """One of a hundred items, empty of interactions."""
    from app.catalog.postgres.catalog import PostgresCatalog

    with PostgresCatalog.create(database, "Some") as catalog:
        catalog.add_items(
            CatalogItem(item_id=f"i{n}", title=f"Dune {n}", categories=("C",), popularity=n)
            for n in range(100)
        )
        yield catalog


@pytest.fixture
def away(postgres):
    """`stop` and `start` of the server; at the end it runs."""
    yield postgres
    if not postgres.is_running():
        postgres.start()
