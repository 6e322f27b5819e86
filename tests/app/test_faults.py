"""What a kill, or a disk that fills up, at any write leaves of catalogues: the old or the new."""

import pytest

from tests.faults import DIED, outcomes_of

CREATE = """
from app.catalog import Catalog
def before(folder): pass
def work(folder): Catalog.create(folder / "c.db", "My films").close()
def after(folder, code):
    with Catalog.create(folder / "c.db", "My films") as catalog:
        assert catalog.name == "My films" and catalog.num_items == 0
    assert not list(folder.glob(".*.partial*"))
"""

FIRST_START = """
from app import opening
from app.books.facts import build_books_catalog, load_books
from app.catalog import Catalog, Query
from app.settings import Settings
BOOKS = load_books()[:40]
def before(folder):
    if REPLACES:
        build_books_catalog(folder / "books.db", BOOKS[:10])
opening.load_books = lambda: BOOKS
opening.build_books_catalog = lambda path: build_books_catalog(path, BOOKS)
def work(folder): opening._open_catalog(Settings(data_dir=folder)).close()
def after(folder, code):
    path = folder / "books.db"
    if code == 2 and path.exists():  # a full disk: the old one, which still answers
        with Catalog.open(path) as catalog:
            assert catalog.num_items in (10, 40)
    work(folder)
    with Catalog.open(path) as catalog:
        assert catalog.num_items == 40 and catalog.name == "Books"
        assert catalog.page(Query(search="dune"), limit=1) is not None
    assert not list(folder.glob(".*.partial*"))
"""


def are_as_expected(outcomes, full):
    """Died every time; or one sentence, unless all was done when the disk was full."""
    return {2} <= set(outcomes) <= {2, 3} if full else set(outcomes) == {DIED}


@pytest.mark.parametrize("full", [False, True])
def test_a_catalogue_is_created_whole_or_not_at_all(tmp_path, full):
    outcomes = outcomes_of(CREATE, tmp_path, full=full, stride=19)
    assert len(outcomes) > 10 and are_as_expected(outcomes, full)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("replaces", [False, True])
def test_a_first_start_makes_the_built_in_catalogue_whole_or_not_at_all(tmp_path, full, replaces):
    setup = f"REPLACES = {replaces}\n{FIRST_START}"
    outcomes = outcomes_of(setup, tmp_path, full=full, stride=23)
    assert len(outcomes) > 10 and are_as_expected(outcomes, full)
