"""Simulated readers are as regular as the data card says, and drawn as their chances say."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from app.books.readers import MAX_HISTORY, MIN_HISTORY, NOISE, SERIES, _draw, simulate
from app.books.shelf import build_shelf


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


def test_a_draw_follows_the_chances_and_never_takes_what_has_none():
    chances = np.tile([0.0, 1.0, 3.0, 0.0], (20_000, 1))
    drawn = np.bincount(_draw(np.random.default_rng(0), chances), minlength=4) / 20_000
    assert drawn[0] == drawn[3] == 0
    assert drawn[2] == pytest.approx(0.75, abs=0.02)
    certain = np.eye(5)
    assert _draw(np.random.default_rng(1), certain).tolist() == [0, 1, 2, 3, 4]


def test_chunks_report_their_readers_and_the_seed_decides(shelf):
    seen = []
    first, reasons = simulate(shelf, 5, seed=3, on_progress=seen.append)
    again, _ = simulate(shelf, 5, seed=3)
    other, _ = simulate(shelf, 5, seed=4)
    assert seen == [5]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert [h.tolist() for h in first] != [h.tolist() for h in other]
    assert [len(r) for r in reasons] == [len(h) for h in first]


def test_nobody_reads_more_books_than_there_are(books):
    few = [book for book in books if book.series is None]
    few = [next(b for b in few if b.genre == genre) for genre in sorted({b.genre for b in few})][:7]
    histories, _ = simulate(build_shelf(few), 30, seed=1)
    assert max(map(len, histories)) <= 7
    assert all(len(set(history)) == len(history) for history in histories)
