"""What item-kNN and popularity are counted from."""

import numpy as np
import pytest

from app import taken
from app.books import readers
from app.catalog import Catalog, CatalogItem
from app.errors import CatalogError
from app.taken import check_taken, interactions_of


@pytest.fixture
def catalog(tmp_path):
    with Catalog.create(tmp_path / "c.db", name="Test") as made:
        made.add_items([CatalogItem(item_id=i, title=i) for i in "abcd"])
        rows = [("u1", "b", 30), ("u1", "a", 10), ("u2", "c", 5), ("u1", "c", 20)]
        made.add_interactions(rows)
    opened = Catalog.open(tmp_path / "c.db")
    yield opened
    opened.close()


def test_histories_are_in_order_of_time_and_all_items_are_there(catalog):
    found = interactions_of(catalog, built_in=False)
    named = {
        user: [found.item_ids[item] for item in sequence]
        for user, sequence in zip(found.user_ids, found.sequences, strict=True)
    }
    assert named == {"u1": ["a", "c", "b"], "u2": ["c"]}
    assert sorted(found.item_ids[1:]) == list("abcd")


def test_without_interactions_the_sentence_names_the_command(tmp_path):
    with Catalog.create(tmp_path / "e.db", name="Empty") as made:
        made.add_items([CatalogItem(item_id="a", title="a")])
        with pytest.raises(CatalogError, match=r"no interactions.*app\.ingest"):
            interactions_of(made, built_in=False)


def test_what_is_too_large_is_refused_before_it_is_read(catalog, monkeypatch):
    monkeypatch.setattr(taken, "MOST_INTERACTIONS", 3)
    with pytest.raises(CatalogError, match=r"too large.*hllm\.evaluate"):
        check_taken(catalog, built_in=False)


def test_the_built_in_books_have_the_simulated_readers(catalog, monkeypatch):
    """Few of them: the first readers of a seed depend on how many there are, so only their form."""
    real = readers.simulate
    monkeypatch.setattr(taken, "simulate", lambda shelf, number, seed: real(shelf, 50, seed))
    found = interactions_of(catalog, built_in=True)
    assert len(found.sequences) == 50
    assert found.num_items > 1000
    assert all(0 < s.min() and s.max() < found.num_items for s in found.sequences)
    assert all(s.dtype == np.int64 for s in found.sequences)
