"""The facts about books as arrays: what the simulated readers choose from.

Shapes: N books, T themes, G genres, E eras; a feature row is (T + G + E,).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.books.facts import THEMES, Book

# First years of the eras; finer where more of the books are.
ERA_STARTS = (-3000, 1600, 1800, 1850, 1890, 1920, 1945, 1960, 1975, 1985, 1995, 2003, 2010, 2016)
NUM_ERAS = len(ERA_STARTS)

# Where interest moves to: from each theme to the next in its chain, and from the last to the first.
_THEME_CHAINS = """
magic, dragons, quest, mythology, religion, faith, philosophy, happiness, habits, work, money
dystopia, politics, revolution, empire, history, colonialism, slavery, race, justice, courtroom
detectives, murder, serial killers, psychology, madness, isolation, ghosts, vampires, monsters
space travel, aliens, evolution, science, physics, time travel, memory, identity, gender, class
robots, artificial intelligence, technology, post-apocalypse, survival, nature, climate, sea
friendship, school, coming of age, family, secrets, betrayal, revenge, tragedy, death, grief
love, marriage, motherhood, ageing, illness, medicine, loneliness, small town, humour, satire
war, holocaust, exile, immigration, big city, music, art, creativity, books, language, folklore
spies, conspiracy, crime, heist, prison, fate, royalty, alternate history, utopia, economics
piracy, adventure, exploration, journey, food, sport, leadership, mathematics, superheroes
animals, fairy tale, folklore, magic
"""


@dataclass(frozen=True)
class Shelf:
    """The built-in books as arrays, one row a book, in the order of the facts file.

    Attributes:
        features: (N, T + G + E) float32: normalised rare-theme-heavy themes, one-hot genre and era.
        genre: (N,) genre index. era: (N,) era index. author: (N,) author index.
        fame: (N,) our estimate from 1 to 5.
        next_volume, previous_volume: (N,) row of the neighbour in the series, -1 where none is.
        genre_names: names by genre index. theme_names: names by theme index.
        theme_arcs: (T,) theme that interest moves to from each theme.
        genre_kinship: (G, G) cosine of the mean themes of two genres.
    """

    features: np.ndarray
    genre: np.ndarray
    era: np.ndarray
    author: np.ndarray
    fame: np.ndarray
    next_volume: np.ndarray
    previous_volume: np.ndarray
    genre_names: tuple[str, ...]
    theme_names: tuple[str, ...]
    theme_arcs: np.ndarray
    genre_kinship: np.ndarray

    @property
    def num_themes(self) -> int:
        """Number of themes, which are the first columns of `features`."""
        return len(self.theme_names)

    @property
    def num_genres(self) -> int:
        """Number of genres, whose columns follow the themes."""
        return len(self.genre_names)


def build_shelf(books: Sequence[Book]) -> Shelf:
    """Arrange the facts as arrays."""
    theme_names = tuple(sorted(THEMES))
    genre_names = tuple(sorted({book.genre for book in books}))
    genre = np.array([genre_names.index(book.genre) for book in books])
    era = np.searchsorted(ERA_STARTS, [book.year for book in books], side="right") - 1
    themes = _theme_features(books, theme_names)
    centroids = np.stack([themes[genre == g].mean(axis=0) for g in range(len(genre_names))])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    next_volume, previous_volume = _volume_links(books)
    author_names = sorted({book.author for book in books})
    one_hots = [np.eye(len(genre_names))[genre], np.eye(NUM_ERAS)[era]]
    return Shelf(
        features=np.hstack([themes, *one_hots]).astype(np.float32),
        genre=genre,
        era=era,
        author=np.array([author_names.index(book.author) for book in books]),
        fame=np.array([book.fame for book in books]),
        next_volume=next_volume,
        previous_volume=previous_volume,
        genre_names=genre_names,
        theme_names=theme_names,
        theme_arcs=_theme_arcs(theme_names),
        genre_kinship=centroids @ centroids.T,
    )


def _theme_features(books: Sequence[Book], theme_names: Sequence[str]) -> np.ndarray:
    column = {name: index for index, name in enumerate(theme_names)}
    present = np.zeros((len(books), len(theme_names)))
    for row, book in enumerate(books):
        present[row, [column[theme] for theme in book.themes]] = 1.0
    rarity = np.log(len(books) / (1.0 + present.sum(axis=0))).clip(min=0.5)
    weighted = present * rarity
    return weighted / np.linalg.norm(weighted, axis=1, keepdims=True)


def _theme_arcs(theme_names: Sequence[str]) -> np.ndarray:
    column = {name: index for index, name in enumerate(theme_names)}
    arcs = np.full(len(theme_names), -1)
    for line in _THEME_CHAINS.strip().splitlines():
        chain = [column[name.strip()] for name in line.split(",")]
        for theme, following in zip(chain, [*chain[1:], chain[0]], strict=True):
            if arcs[theme] < 0:
                arcs[theme] = following
    return np.where(arcs < 0, np.arange(len(theme_names)), arcs)


def _volume_links(books: Sequence[Book]) -> tuple[np.ndarray, np.ndarray]:
    volumes: dict[str, list[int]] = defaultdict(list)
    for row, book in enumerate(books):
        if book.series is not None:
            volumes[book.series].append(row)
    following = np.full(len(books), -1)
    preceding = np.full(len(books), -1)
    for rows in volumes.values():
        rows.sort(key=lambda row: books[row].series_position or 0)
        following[rows[:-1]] = rows[1:]
        preceding[rows[1:]] = rows[:-1]
    return following, preceding
