import pytest

from app.books.facts import load_books
from app.books.readers import simulate
from app.books.shelf import build_shelf

NUM_READERS = 1500


@pytest.fixture(scope="session")
def books():
    """The facts about the built-in books."""
    return load_books()


@pytest.fixture(scope="session")
def shelf(books):
    return build_shelf(books)


@pytest.fixture(scope="session")
def simulated(shelf):
    """Histories and reasons of readers of the built-in books."""
    return simulate(shelf, NUM_READERS, seed=11)


@pytest.fixture(scope="session")
def histories(simulated):
    return simulated[0]
