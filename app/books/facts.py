"""The built-in catalogue: reads and checks the facts about books, and makes the database of them.

The facts are in `assets/books/books.jsonl`, one book a line; docs/data-card.md says what they are.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.catalog import Catalog, CatalogItem
from app.settings import ROOT
from hllm.errors import DataError

BOOKS_PATH = ROOT / "assets" / "books" / "books.jsonl"
CATALOG_NAME = "Books"

THEMES = frozenset(
    theme.strip()
    for theme in """
    adventure, coming of age, war, love, family, friendship, betrayal, politics, empire, revolution,
    magic, dragons, quest, mythology, folklore, ghosts, vampires, monsters, survival, dystopia,
    utopia, space travel, aliens, artificial intelligence, time travel, alternate history,
    post-apocalypse, technology, detectives, crime, murder, serial killers, spies, courtroom,
    conspiracy, heist, psychology, madness, grief, memory, identity, race, class, gender, religion,
    philosophy, science, nature, animals, sea, journey, small town, big city, school, art, music,
    food, sport, money, work, humour, satire, tragedy, immigration, colonialism, holocaust, slavery,
    exploration, medicine, mathematics, evolution, leadership, creativity, happiness, royalty,
    secrets, revenge, justice, loneliness, ageing, illness, marriage, motherhood, exile, isolation,
    books, language, fate, superheroes, history, physics, climate, economics, habits, faith,
    fairy tale, robots, piracy, prison, death
    """.replace("\n", " ").split(",")
)

# Parts of a surname that are written before it ("Le Guin", "de Beauvoir", "van der Kolk").
_PARTICLES = frozenset("al bin da de del della der di dos du el la le les van von".split())
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "phd"})
# Letters that Unicode does not take apart into a base letter and an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "ı": "i"}
)


@dataclass(frozen=True, kw_only=True)
class Book:
    """One line of books.jsonl: the facts, our description, and `fame`, our estimate from 1 to 5."""

    title: str
    author: str
    year: int
    genre: str
    themes: tuple[str, ...]
    series: str | None
    series_position: int | None
    fame: int
    description: str

    @property
    def item_id(self) -> str:
        """A readable name made of title and surname, so that it survives edits of the file."""
        return f"{slug(self.title)}-{slug(surname(self.author))}"

    @property
    def series_label(self) -> str:
        """Series and position as one text ("Earthsea 1"), or "" for a book that stands alone."""
        return f"{self.series} {self.series_position}" if self.series else ""

    def as_item(self) -> CatalogItem:
        """The book as the catalogue holds it.

        Popularity is our estimate of fame and nothing else: counts of simulated readers would look
        like counts of real ones.
        """
        return CatalogItem(
            item_id=self.item_id,
            title=self.title,
            creator=self.author,
            categories=(self.genre,),
            tags=self.themes,
            year=self.year,
            description=self.description,
            popularity=self.fame,
            extra={"series": self.series_label} if self.series else {},
        )


def slug(text: str) -> str:
    """Turn text into lower-case ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore")
    words = plain.decode("ascii").lower().replace("'", "").replace("&", " and ")
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def surname(author: str) -> str:
    """The first author's surname with its particles: "Le Guin" of "Ursula K. Le Guin"."""
    words = author.split(" & ")[0].split()
    while len(words) > 1 and slug(words[-1]) in _SUFFIXES:
        words.pop()
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return " ".join(words[start:])


def load_books(path: Path = BOOKS_PATH) -> list[Book]:
    """Read the facts.

    Args:
        path: a JSON lines file with one book a line.

    Returns:
        The books in the order of the file, each of them valid and no two with the same item_id.

    Raises:
        DataError: the file is missing, or a line is not a valid book; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DataError(
            f"The book facts {path} cannot be read ({reason}); restore the file from git."
        ) from error
    books = [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    if not books:
        raise DataError(f"The book facts {path} are empty; restore the file from git.")
    _check_distinct(books, path)
    return books


def build_books_catalog(path: Path, books: Sequence[Book] | None = None) -> None:
    """Make the catalogue database of the built-in books; one that is there is replaced.

    Args:
        path: the SQLite file. It appears under this name only when it is complete.
        books: the books to put in, those that ship with the app if left out.

    Raises:
        DataError: the facts are missing or damaged.
        CatalogError: the database cannot be written.
    """
    books = load_books() if books is None else books
    with Catalog.replacing(path, CATALOG_NAME) as catalog:
        # Equal fame is shown in this order: by genre it would be a page of biographies.
        mixed = sorted(books, key=lambda book: sha256(book.item_id.encode()).digest())
        catalog.add_items(book.as_item() for book in mixed)


def _parse(line: str, where: str) -> Book:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}); write one book as one JSON line.") from error
    expected = [field.name for field in fields(Book)]
    if not isinstance(record, dict) or list(record) != expected:
        raise DataError(f"{where}: a book has exactly the keys {', '.join(expected)}.")
    problem = _problem(record)
    if problem:
        raise DataError(f"{where}: {problem}.")
    return Book(**{**record, "themes": tuple(record["themes"])})


def _problem(record: dict[str, Any]) -> str:
    """What is wrong with a record, or "" if nothing is."""
    for key in ("title", "author", "genre", "description"):
        value = record[key]
        if not isinstance(value, str) or not value or value != " ".join(value.split()):
            return f"{key} must be text without stray white space, not {value!r}"
    themes = record["themes"]
    if not isinstance(themes, list) or not 3 <= len(themes) <= 6 or len({*themes}) < len(themes):
        return f"themes must be 3 to 6 different themes, not {themes!r}"
    if unknown := [theme for theme in themes if theme not in THEMES]:
        return f"unknown theme {unknown[0]!r}; the known ones are THEMES in app/books/facts.py"
    return _number_problem(record)


def _number_problem(record: dict[str, Any]) -> str:
    year, fame, position = record["year"], record["fame"], record["series_position"]
    if type(year) is not int or not -3000 <= year <= 2026:
        return f"year must be an integer from -3000 to 2026, not {year!r}"
    if type(fame) is not int or not 1 <= fame <= 5:
        return f"fame must be an integer from 1 to 5, not {fame!r}"
    if (record["series"] is None) != (position is None):
        return "series and series_position belong together: give both or neither"
    if position is not None and (type(position) is not int or position < 0):
        return f"series_position must be an integer from 0, not {position!r}"
    return ""


def _check_distinct(books: Sequence[Book], path: Path) -> None:
    for what, keys in (
        ("item_id", [book.item_id for book in books]),
        ("series position", [book.series_label for book in books]),
    ):
        if twice := _first_repeated(keys):
            raise DataError(f"{path}: the {what} {twice!r} occurs twice; keep one of the books.")


def _first_repeated(keys: Iterable[str]) -> str:
    seen: set[str] = set()
    for key in keys:
        if key and key in seen:
            return key
        seen.add(key)
    return ""
