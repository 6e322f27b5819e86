"""Facts as arrays, by hand on a small shelf and by their meaning on the real one."""

import numpy as np
import pytest

from app.books.facts import Book
from app.books.shelf import ERA_STARTS, NUM_ERAS, build_shelf


def book(title, *, series=None, **changes):
    name, position = series or (None, None)
    facts = {
        "title": title,
        "author": "A",
        "year": 1900,
        "genre": "Classics",
        "themes": ("love",),
        "series": name,
        "series_position": position,
        "fame": 3,
        "description": "Text.",
    }
    return Book(**facts | changes)


def test_a_shelf_by_hand():
    shelf = build_shelf(
        [
            book("Two", author="B", series=("S", 2), themes=["love", "war"]),
            book("One", author="B", series=("S", 1), themes=["love"], genre="Fantasy", fame=5),
            book("Alone", year=1999, themes=["magic"]),
            book("Four", author="B", series=("S", 4), themes=["love"]),
        ]
    )
    assert shelf.genre_names == ("Classics", "Fantasy")
    assert shelf.genre.tolist() == [0, 1, 0, 0]
    assert shelf.author.tolist() == [1, 1, 0, 1]
    assert shelf.fame.tolist() == [3, 5, 3, 3]
    assert shelf.next_volume.tolist() == [3, 0, -1, -1]  # 4 follows 2: there is no 3
    assert shelf.previous_volume.tolist() == [1, -1, -1, 0]
    assert shelf.features.shape == (4, shelf.num_themes + 2 + NUM_ERAS)
    themes = shelf.features[:, : shelf.num_themes]
    np.testing.assert_allclose(np.linalg.norm(themes, axis=1), 1, rtol=1e-6)
    column = shelf.theme_names.index
    # log(4 / 4) is raised to 0.5, log(4 / 2) is 0.69: the rare theme weighs more.
    ratio = themes[0, column("war")] / themes[0, column("love")]
    assert ratio == pytest.approx(np.log(2) / 0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("year", "era"), [(-2100, 0), (1599, 0), (1600, 1), (1994, 9), (1995, 10), (2030, 13)]
)
def test_an_era_begins_with_its_first_year(year, era):
    shelf = build_shelf([book("X", year=year)])
    assert shelf.era.tolist() == [era]
    one_hot = shelf.features[0, shelf.num_themes + shelf.num_genres :]
    assert one_hot.tolist() == np.eye(NUM_ERAS)[era].tolist()
    assert list(ERA_STARTS) == sorted(ERA_STARTS)


def test_interest_moves_along_the_chains_and_ends_nowhere(shelf):
    name = shelf.theme_names
    arcs = {name[theme]: name[following] for theme, following in enumerate(shelf.theme_arcs)}
    assert (arcs["magic"], arcs["dragons"], arcs["money"]) == ("dragons", "quest", "magic")
    assert set(arcs.values()) <= set(name)
    assert sum(theme == following for theme, following in arcs.items()) < len(arcs) / 10


def test_series_are_chains_of_one_author(shelf, books):
    rows = np.flatnonzero(shelf.next_volume >= 0)
    following = shelf.next_volume[rows]
    assert (shelf.previous_volume[following] == rows).all()
    for row, other in zip(rows, following, strict=True):
        assert books[row].series == books[other].series
        assert books[row].series_position < books[other].series_position


def test_kinship_is_a_cosine(shelf):
    np.testing.assert_allclose(np.diag(shelf.genre_kinship), 1, rtol=1e-6)
    np.testing.assert_allclose(shelf.genre_kinship, shelf.genre_kinship.T)
    names = shelf.genre_names
    kin = dict(zip(names, shelf.genre_kinship[names.index("Fantasy")], strict=True))
    assert kin["Science Fiction"] > kin["Business & Self-Help"]
