"""The csv pair of simulated readers: reproducible, well-formed, whole or not there."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from app.books import csv_pair as csv_writer
from app.books.readers import SERIES, TASTE
from app.catalog import text_fields


@pytest.fixture(scope="module")
def csv_pair(books, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    csv_writer.write_csv_pair(books, folder, num_readers=150, seed=5)
    return folder


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(books, csv_pair, tmp_path):
    for seed, same in ((5, True), (6, False)):
        csv_writer.write_csv_pair(books, tmp_path, num_readers=150, seed=seed)
        first = (csv_pair / "interactions.csv").read_bytes()
        assert (first == (tmp_path / "interactions.csv").read_bytes()) is same
        assert (csv_pair / "items.csv").read_bytes() == (tmp_path / "items.csv").read_bytes()


def test_items_have_the_texts_of_the_catalogue(books, csv_pair):
    rows = rows_of(csv_pair / "items.csv")
    assert len(rows) == len(books)
    for row, book in zip(rows, books, strict=True):
        assert row.pop("item_id") == book.item_id
        assert {name: text for name, text in row.items() if text} == text_fields(book.as_item())


def test_interactions_are_well_formed(books, csv_pair):
    known = {book.item_id for book in books}
    readers = defaultdict(list)
    for row in rows_of(csv_pair / "interactions.csv"):
        assert row["item_id"] in known
        readers[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    assert len(readers) == 150
    for events in readers.values():
        times = [time for time, _ in events]
        assert times == sorted(set(times))
        assert 1_420_000_000 < times[0] and times[-1] < 1_900_000_000


def test_an_interrupted_run_leaves_no_half_written_file(books, tmp_path, monkeypatch):
    def rows(*_):
        yield ("a", "b", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(csv_writer, "_interaction_rows", rows)
    with pytest.raises(KeyboardInterrupt):
        csv_writer.write_csv_pair(books, tmp_path, num_readers=5, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]


def test_the_next_volume_is_read_in_half_the_time():
    def gaps_of(reason):
        reasons = np.full(4001, reason)
        return np.diff(csv_writer._timestamps(np.random.default_rng(5), reasons))

    usual, sequel = gaps_of(TASTE), gaps_of(SERIES)
    # Each is cut to whole seconds.
    np.testing.assert_allclose(sequel, usual / 2, rtol=0, atol=1)
    assert np.median(usual) / 86_400 == pytest.approx(12, rel=0.05)


def test_the_summary_counts_books_and_reasons():
    histories = [np.zeros(length, np.int64) for length in (2, 4, 6)]
    reasons = [np.array([0, 0]), np.array([0, 1, 1, 0]), np.array([0, 0, 0, 1, 2, 0])]
    assert csv_writer._summary(histories, reasons) == (
        "3 simulated readers, 12 interactions; books a reader: median 4, 80% from 2 to 6; why a "
        "book was picked: taste 66.7%, series 25.0%, author 8.3%, noise 0.0%"
    )
