"""Simulated readers of the built-in books as the csv pair (python -m app.books.simulate).

The readers are not real: app.books.readers invents them from the facts, see docs/data-card.md.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.books.facts import Book
from app.books.readers import REASONS, SERIES, simulate
from app.books.shelf import build_shelf
from app.catalog import text_fields
from hllm.atomic import atomic_text

ITEM_COLUMNS = (
    "item_id", "title", "creator", "categories", "tags", "series", "year", "description",
)  # fmt: skip
INTERACTION_COLUMNS = ("item_id", "user_id", "timestamp")

_START, _END = 1_420_070_400, 1_546_300_800  # first books are read from 2015 to 2018
_DAY = 86_400


def write_csv_pair(books: Sequence[Book], output: Path, *, num_readers: int, seed: int) -> str:
    """Simulate readers and write `items.csv` and `interactions.csv`.

    Args:
        books: the facts.
        output: folder for the two files; made if missing. Each file appears only when complete.
        num_readers: how many readers to invent.
        seed: the same seed, books and versions of numpy give the same bytes.

    Returns:
        One line for a person: what was written.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tqdm(total=num_readers, unit=" readers", desc="simulating") as bar:
        histories, reasons = simulate(build_shelf(books), num_readers, seed, bar.update)
    _write_csv(output / "items.csv", ITEM_COLUMNS, _item_rows(books))
    rows = _interaction_rows(books, histories, reasons, seed)
    _write_csv(output / "interactions.csv", INTERACTION_COLUMNS, rows)
    return _summary(histories, reasons)


def _item_rows(books: Iterable[Book]) -> Iterator[list[str]]:
    for book in books:
        # The catalogue's own texts: what is trained on is what is served.
        texts = text_fields(book.as_item())
        yield [book.item_id, *(texts.get(column, "") for column in ITEM_COLUMNS[1:])]


def _interaction_rows(
    books: Sequence[Book],
    histories: Sequence[np.ndarray],
    reasons: Sequence[np.ndarray],
    seed: int,
) -> Iterator[tuple[str, str, int]]:
    # A generator of its own: other dates must not mean other books.
    rng = np.random.default_rng([seed, 1])
    item_ids = [book.item_id for book in books]
    for number, (history, reason) in enumerate(zip(histories, reasons, strict=True), 1):
        user_id = f"reader-{number:05d}"
        for row, timestamp in zip(history, _timestamps(rng, reason), strict=True):
            yield item_ids[row], user_id, int(timestamp)


def _timestamps(rng: np.random.Generator, reason: np.ndarray) -> np.ndarray:
    """Seconds since 1970, increasing: about two books a month, the next volume sooner."""
    gaps = rng.lognormal(mean=np.log(12 * _DAY), sigma=0.8, size=len(reason))
    gaps[reason == SERIES] *= 0.5
    gaps[0] = 0
    return rng.integers(_START, _END) + np.cumsum(np.maximum(gaps.astype(np.int64), 1))


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _summary(histories: Sequence[np.ndarray], reasons: Sequence[np.ndarray]) -> str:
    lengths = np.array([len(history) for history in histories])
    counts = np.bincount(np.concatenate(reasons), minlength=len(REASONS))
    shares = ", ".join(
        f"{name} {share:.1%}" for name, share in zip(REASONS, counts / counts.sum(), strict=True)
    )
    low, median, high = np.percentile(lengths, [10, 50, 90])
    return (
        f"{len(lengths):,} simulated readers, {lengths.sum():,} interactions; books a reader: "
        f"median {median:.0f}, 80% from {low:.0f} to {high:.0f}; why a book was picked: {shares}"
    )
