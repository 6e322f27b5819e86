"""The model of simulated readers: who they are, and how each picks the next book.

Shapes: B readers of a chunk, N books, T themes, G genres, E eras, S steps (books a reader reads).
docs/data-card.md tells the same in words and states every probability.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.books.shelf import NUM_ERAS, Shelf

TASTE, SERIES, AUTHOR, NOISE = range(4)
REASONS = ("taste", "series", "author", "noise")
SETTLED, THEME_LED, GROWING_UP = range(3)
KIND_SHARES = (0.62, 0.26, 0.12)
# Stages of somebody growing up; the last is one of several.
_CHILD, _TEEN, _ADULT = "Children's", "Young Adult", ("Fantasy", "Science Fiction", "Classics")

MIN_HISTORY, MAX_HISTORY = 5, 60
NOISE_RATE = 0.12
AUTHOR_RATE = 0.10
# Chance that the next volume is taken, by how many books ago the last one was, times loyalty.
SERIES_RATE_BY_LAG = (1.0, 0.35, 0.12)
# Chance to go back to an unread earlier volume: usual, unless the one met is the more famous one.
GO_BACK_RATE = 0.90
GO_BACK_FROM_FAMOUS_RATE = 0.45
CHUNK = 400


@dataclass(frozen=True)
class TasteWeights:
    """How much each thing adds to the logit of a book."""

    fame: float = 0.8
    later_volume: float = -0.8
    own_themes: float = 2.2
    mood: float = 3.4
    recent: float = 2.6
    own_genres: float = 1.0
    genre_focus: float = 1.6
    era: float = 1.3
    mood_stays: float = 0.72
    focus_stays: float = 0.85
    recency: float = 0.6


@dataclass
class Readers:
    """The readers of a chunk: latent taste, fixed, and the state that drifts as they read.

    Attributes:
        kind: (B,) SETTLED, THEME_LED or GROWING_UP. loyalty: (B,) chance to go on with a series.
        genre_logits: (B, G). themes: (B, T) weights of own themes.
        era_centre, era_drift, era_width: (B,) in eras, eras a book and eras.
        stages: (B, 3) genres of somebody growing up.
        mood: (B,) theme of the moment. focus: (B,) genre of the moment.
        recent: (B, T) decayed mean of the themes of the books read.
    """

    kind: np.ndarray
    loyalty: np.ndarray
    genre_logits: np.ndarray
    themes: np.ndarray
    era_centre: np.ndarray
    era_drift: np.ndarray
    era_width: np.ndarray
    stages: np.ndarray
    mood: np.ndarray
    focus: np.ndarray
    recent: np.ndarray


def simulate(
    shelf: Shelf, num_readers: int, seed: int, on_progress: Callable[[int], object] = lambda n: None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Let readers read.

    Args:
        shelf: the books.
        num_readers: how many readers.
        seed: the same seed gives the same readers.
        on_progress: called with the number of readers that were just finished.

    Returns:
        Histories and reasons, a pair of arrays per reader: rows of the books in the order they were
        read, and why each was picked (index into REASONS).
    """
    rng = np.random.default_rng(seed)
    lengths = _history_lengths(rng, num_readers, limit=len(shelf.genre))
    by_length = np.argsort(lengths, kind="stable")
    histories: list[np.ndarray] = [np.empty(0, dtype=int)] * num_readers
    reasons = list(histories)
    # Readers of like length share a chunk, so that hardly any step is computed in vain.
    for start in range(0, num_readers, CHUNK):
        members = by_length[start : start + CHUNK]
        picks, why = _read_books(shelf, rng, lengths[members])
        for row, reader in enumerate(members):
            histories[reader] = picks[row, : lengths[reader]]
            reasons[reader] = why[row, : lengths[reader]]
        on_progress(len(members))
    return histories, reasons


def _history_lengths(rng: np.random.Generator, num_readers: int, limit: int) -> np.ndarray:
    lengths = MIN_HISTORY + rng.lognormal(mean=2.45, sigma=0.85, size=num_readers)
    return np.clip(lengths.astype(int), MIN_HISTORY, min(MAX_HISTORY, limit))


def _read_books(
    shelf: Shelf, rng: np.random.Generator, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read on until the longest history is full: picks and reasons, both (B, S)."""
    weights = TasteWeights()
    readers = _new_readers(shelf, rng, len(lengths))
    num_steps = int(lengths.max())
    unread = np.ones((len(lengths), len(shelf.genre)), dtype=np.float32)
    picks = np.full((len(lengths), num_steps), -1)
    why = np.zeros_like(picks)
    rows = np.arange(len(lengths))
    for step in range(num_steps):
        progress = step / np.maximum(lengths - 1, 1)
        appeal = _appeal(shelf, readers, weights, step, progress) * unread
        book = _draw(rng, appeal)
        reason = np.full(len(lengths), TASTE)
        _apply_author(shelf, rng, picks, step, appeal, book, reason)
        _apply_noise(shelf, rng, unread, book, reason)
        book = _enter_series(shelf, rng, unread, book)
        _apply_series(shelf, rng, readers, unread, picks, step, book, reason)
        picks[:, step], why[:, step] = book, reason
        unread[rows, book] = 0.0
        _drift(shelf, rng, readers, weights, book)
    return picks, why


def _new_readers(shelf: Shelf, rng: np.random.Generator, count: int) -> Readers:
    """Draw latent taste: two or three related genres, four themes of theirs, an era."""
    genre_mass = np.bincount(shelf.genre, weights=np.sqrt(shelf.fame))
    first = rng.choice(shelf.num_genres, size=count, p=genre_mass / genre_mass.sum())
    kin = (
        np.exp(3.0 * shelf.genre_kinship)[first]
        * genre_mass
        * (1.0 - np.eye(len(genre_mass)))[first]
    )
    second = _draw(rng, kin)
    third = rng.choice(shelf.num_genres, size=count, p=genre_mass / genre_mass.sum())
    liking = np.full((count, shelf.num_genres), 0.05)
    for genre, typical in ((third, 0.18), (second, 0.45), (first, 1.0)):
        liking[np.arange(count), genre] = typical * rng.lognormal(0.0, 0.3, size=count)
    kind = rng.choice(len(KIND_SHARES), size=count, p=KIND_SHARES)
    themes = _own_themes(shelf, rng, liking, np.where(kind == THEME_LED, 1.8, 1.0))
    genre_logits = np.log(liking) * np.where(kind == THEME_LED, 0.3, 1.0)[:, None]
    era_of_first = np.array(
        [shelf.era[rng.choice(np.flatnonzero(shelf.genre == g))] for g in first]
    )
    return Readers(
        kind=kind,
        loyalty=rng.beta(4.0, 2.4, size=count),
        genre_logits=genre_logits,
        themes=themes,
        era_centre=era_of_first + rng.normal(0.0, 1.0, size=count),
        era_drift=rng.choice([0.0, 0.12, -0.12], size=count, p=[0.5, 0.3, 0.2]),
        era_width=rng.uniform(1.5, 4.0, size=count),
        stages=_stages(shelf, rng, first),
        mood=_draw(rng, themes),
        focus=first,
        recent=np.zeros((count, shelf.num_themes)),
    )


def _own_themes(
    shelf: Shelf, rng: np.random.Generator, liking: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Four themes a reader, drawn from the books of the genres liked, with Zipf weights: (B, T)."""
    themes = shelf.features[:, : shelf.num_themes]
    per_genre = np.stack([themes[shelf.genre == g].mean(axis=0) for g in range(shelf.num_genres)])
    chances = liking @ per_genre
    own = np.zeros_like(chances)
    rows = np.arange(len(liking))
    for place in range(1, 5):
        theme = _draw(rng, chances * (own == 0))
        own[rows, theme] = strength / place
    return own


def _stages(shelf: Shelf, rng: np.random.Generator, fallback: np.ndarray) -> np.ndarray:
    """Genres of childhood, youth and adulthood: (B, 3); a missing genre is the favourite one."""
    index = {name: number for number, name in enumerate(shelf.genre_names)}
    adult = rng.choice(len(_ADULT), size=len(fallback))
    stages = np.repeat(fallback[:, None], 3, axis=1)
    for stage, name in enumerate((_CHILD, _TEEN)):
        if name in index:
            stages[:, stage] = index[name]
    for number, name in enumerate(_ADULT):
        if name in index:
            stages[adult == number, 2] = index[name]
    return stages


def _appeal(
    shelf: Shelf, readers: Readers, weights: TasteWeights, step: int, progress: np.ndarray
) -> np.ndarray:
    """Unnormalised chance of each book for each reader: (B, N)."""
    rows = np.arange(len(readers.kind))
    themes = weights.own_themes * readers.themes + weights.recent * readers.recent
    themes[rows, readers.mood] += weights.mood
    genres = weights.own_genres * readers.genre_logits
    focused = np.where(readers.kind == THEME_LED, 0.4, 1.0)
    growing = readers.kind == GROWING_UP
    stage = readers.stages[rows, np.minimum((progress * 3).astype(int), 2)]
    genres[rows, np.where(growing, stage, readers.focus)] += weights.genre_focus * focused
    genres[growing, stage[growing]] += 1.8
    centre = readers.era_centre + readers.era_drift * step
    distance = (np.arange(NUM_ERAS) - centre[:, None]) / readers.era_width[:, None]
    eras = -0.5 * weights.era * distance**2
    wanted = np.hstack([themes, genres, eras]).astype(np.float32)
    standing = weights.fame * shelf.fame + weights.later_volume * (shelf.previous_volume >= 0)
    logits = wanted @ shelf.features.T + standing.astype(np.float32)
    return np.exp(logits - logits.max(axis=1, keepdims=True))


def _draw(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """One column a row, with probability in proportion to the chances (B, anything): (B,)."""
    cumulated = np.cumsum(chances, axis=1, dtype=np.float64)
    target = rng.random(len(chances)) * cumulated[:, -1]
    # The first column that exceeds the target has a chance above 0, so nothing read is drawn.
    return np.argmax(cumulated > target[:, None], axis=1)


def _apply_author(
    shelf: Shelf,
    rng: np.random.Generator,
    picks: np.ndarray,
    step: int,
    appeal: np.ndarray,
    book: np.ndarray,
    reason: np.ndarray,
) -> None:
    """Some readers take another book by the author they have just read."""
    binging = rng.random(len(book)) < AUTHOR_RATE
    if step == 0:
        return
    same_author = shelf.author[None, :] == shelf.author[picks[:, step - 1]][:, None]
    chances = appeal * same_author
    rows = np.flatnonzero(binging & (chances.sum(axis=1) > 0))
    book[rows] = _draw(rng, chances[rows])
    reason[rows] = AUTHOR


def _apply_noise(
    shelf: Shelf, rng: np.random.Generator, unread: np.ndarray, book: np.ndarray, reason: np.ndarray
) -> None:
    """A gift, a book club, a shop window: a pick that has nothing to do with the reader."""
    rows = np.flatnonzero(rng.random(len(book)) < NOISE_RATE)
    book[rows] = _draw(rng, unread[rows] * np.exp(0.35 * shelf.fame))
    reason[rows] = NOISE


def _enter_series(
    shelf: Shelf, rng: np.random.Generator, unread: np.ndarray, book: np.ndarray
) -> np.ndarray:
    """Whoever meets a later volume usually goes back to the first that is not read yet."""
    rows = np.arange(len(book))
    patience = rng.random(len(book))
    while True:
        before = shelf.previous_volume[book]
        famous = shelf.fame[book] > shelf.fame[before]
        patient = patience < np.where(famous, GO_BACK_FROM_FAMOUS_RATE, GO_BACK_RATE)
        back = patient & (before >= 0) & (unread[rows, before] > 0)
        if not back.any():
            return book
        book = np.where(back, before, book)


def _apply_series(
    shelf: Shelf,
    rng: np.random.Generator,
    readers: Readers,
    unread: np.ndarray,
    picks: np.ndarray,
    step: int,
    book: np.ndarray,
    reason: np.ndarray,
) -> None:
    """The next volume of a series that was read lately; noise picks are left alone."""
    rows = np.arange(len(book))
    open_to = reason != NOISE
    for lag, rate in enumerate(SERIES_RATE_BY_LAG, 1):
        wants = rng.random(len(book)) < rate * readers.loyalty
        if lag > step:
            continue
        following = shelf.next_volume[picks[:, step - lag]]
        goes_on = open_to & wants & (following >= 0) & (unread[rows, following] > 0)
        book[goes_on] = following[goes_on]
        reason[goes_on] = SERIES
        open_to &= ~goes_on


def _drift(
    shelf: Shelf,
    rng: np.random.Generator,
    readers: Readers,
    weights: TasteWeights,
    book: np.ndarray,
) -> None:
    """After a book: what was recent fades, the mood and the genre of the moment may move on."""
    read_themes = shelf.features[book, : shelf.num_themes]
    readers.recent = weights.recency * readers.recent + (1.0 - weights.recency) * read_themes
    moves = rng.random(len(book)) >= weights.mood_stays
    # Three of four moves follow the arc from the mood; the others start from the book just read.
    along = shelf.theme_arcs[readers.mood]
    inspired = _draw(rng, read_themes)
    onward = np.where(rng.random(len(book)) < 0.75, along, inspired)
    readers.mood = np.where(moves, onward, readers.mood)
    refocus = rng.random(len(book)) >= weights.focus_stays
    readers.focus = np.where(refocus, _draw(rng, np.exp(readers.genre_logits)), readers.focus)
