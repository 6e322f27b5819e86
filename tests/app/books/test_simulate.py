"""Simulated readers: reproducible, well-formed, and as regular as the data card says."""

import csv
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from app.books import csv_pair as csv_writer
from app.books import simulate as simulate_cli
from app.books.facts import load_books
from app.books.readers import MAX_HISTORY, MIN_HISTORY, NOISE, SERIES, simulate
from app.books.shelf import build_shelf
from app.catalog import text_fields

NUM_READERS = 1500


@pytest.fixture(scope="module")
def books():
    return load_books()


@pytest.fixture(scope="module")
def shelf(books):
    return build_shelf(books)


@pytest.fixture(scope="module")
def simulated(shelf):
    return simulate(shelf, NUM_READERS, seed=11)


@pytest.fixture(scope="module")
def histories(simulated):
    return simulated[0]


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


def test_histories_have_5_to_60_books_and_no_book_twice(histories):
    lengths = np.array([len(history) for history in histories])
    assert lengths.min() == MIN_HISTORY == 5
    assert lengths.max() == MAX_HISTORY == 60
    assert 12 <= np.median(lengths) <= 20
    assert all(len(set(history)) == len(history) for history in histories)


def test_a_tenth_of_the_picks_is_noise(simulated):
    reasons = np.concatenate(simulated[1])
    assert 0.10 <= np.mean(reasons == NOISE) <= 0.15
    assert 0.12 <= np.mean(reasons == SERIES) <= 0.30


def test_series_are_begun_at_the_beginning_and_read_in_order(shelf, histories):
    begun_at_first = in_order = volumes_met = pairs = 0
    for history in histories:
        place = {book: number for number, book in enumerate(history)}
        for book in history:
            before = shelf.previous_volume[book]
            if before < 0:
                continue
            volumes_met += 1
            begun_at_first += before in place
            if before in place:
                pairs += 1
                in_order += place[before] < place[book]
    assert begun_at_first / volumes_met > 0.7
    assert in_order / pairs > 0.9


def test_most_go_on_with_the_next_volume_and_some_drop_out(shelf, histories):
    could = did = 0
    for history in histories:
        for book, following in pairwise(history[:-1]):
            next_volume = shelf.next_volume[book]
            if next_volume >= 0 and next_volume not in history[: list(history).index(book)]:
                could += 1
                did += following == next_volume
    assert 0.45 < did / could < 0.75


def test_the_famous_are_read_more_but_everything_is_read(shelf, histories):
    reads = np.bincount(np.concatenate(histories), minlength=len(shelf.genre))
    by_fame = [reads[shelf.fame == fame].mean() for fame in range(1, 6)]
    assert by_fame == sorted(by_fame)
    assert by_fame[4] > 3 * by_fame[0]
    assert (reads > 0).mean() > 0.97


def test_the_next_book_depends_more_on_recent_books_than_on_old_ones(shelf, histories):
    themes = shelf.features[:, : shelf.num_themes]

    def likeness(lag):
        pairs = [(history[-1], history[-1 - lag]) for history in histories if len(history) > 16]
        return np.mean([themes[one] @ themes[other] for one, other in pairs])

    recent, older, oldest = likeness(1), likeness(5), likeness(15)
    stranger = (themes.mean(axis=0) ** 2).sum()
    assert recent > 1.3 * older > 1.3 * oldest * 0.9
    assert oldest > 1.2 * stranger


def test_readers_cross_genres_and_some_grow_up(shelf, histories):
    names = np.array(shelf.genre_names)
    genres = [names[shelf.genre[history]] for history in histories]
    assert np.median([len(set(row)) for row in genres]) >= 3
    begun_as_children = [
        row for row in genres if (row[: len(row) // 3] == "Children's").mean() > 0.5
    ]

    def youth_in_the_middle(rows):
        middles = [row[len(row) // 3 : 2 * len(row) // 3] for row in rows]
        return np.mean([(middle == "Young Adult").mean() for middle in middles])

    assert len(begun_as_children) > 20
    assert youth_in_the_middle(begun_as_children) > 1.4 * youth_in_the_middle(genres)


def test_the_next_book_can_be_guessed_but_not_always(shelf, histories):
    """Series alone must not solve the task, and popularity must hardly help."""
    popular = np.argsort(
        -np.bincount(np.concatenate([h[:-1] for h in histories]), minlength=len(shelf.genre))
    )[:10]
    by_popularity = np.mean([history[-1] in popular for history in histories])
    by_series = np.mean([shelf.next_volume[h[-2]] == h[-1] for h in histories])
    assert by_popularity < 0.10
    assert 0.10 < by_series < 0.35


def test_favourites_differ_between_readers(shelf, histories):
    favourites = Counter(
        Counter(shelf.genre[history]).most_common(1)[0][0] for history in histories
    )
    assert len(favourites) == shelf.num_genres
    assert max(favourites.values()) < 0.25 * len(histories)


def test_command_line(tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    assert simulate_cli.main(["--output", str(tmp_path / "x"), "--readers", "50"]) == 0
    assert "50 simulated readers" in caplog.text
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "interactions.csv",
        "items.csv",
    ]
    with pytest.raises(SystemExit):
        simulate_cli.main(["--output", str(tmp_path), "--readers", "0"])
    assert "--readers must be from 1 to 10000000, not 0" in capsys.readouterr().err


def test_an_interrupted_run_leaves_no_half_written_file(books, tmp_path, monkeypatch):
    def rows(*_):
        yield ("a", "b", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(csv_writer, "_interaction_rows", rows)
    with pytest.raises(KeyboardInterrupt):
        csv_writer.write_csv_pair(books, tmp_path, num_readers=5, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]
