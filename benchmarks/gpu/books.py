"""The built-in books' csv pair, simulated by the command itself, in the output folder."""

from pathlib import Path

from app.books.csv_pair import write_csv_pair
from app.books.facts import BOOKS_PATH, load_books
from app.books.simulate import DEFAULT_READERS, DEFAULT_SEED
from benchmarks.gpu.settings import Settings

_TINY_BOOKS, _TINY_READERS = 60, 40


def books_pair(settings: Settings) -> tuple[Path, Path]:
    """items.csv and interactions.csv; made if they are not there."""
    folder = settings.folder / "books-data"
    items, interactions = folder / "items.csv", folder / "interactions.csv"
    if not interactions.exists():  # it is written last
        books = load_books(BOOKS_PATH)
        write_csv_pair(
            books[:_TINY_BOOKS] if settings.tiny else books,
            folder,
            num_readers=_TINY_READERS if settings.tiny else DEFAULT_READERS,
            seed=DEFAULT_SEED,
        )
    return items, interactions
