"""The facts about the built-in books, and what happens when they are damaged."""

import json
import re
from collections import Counter, defaultdict

import pytest

from app.books.facts import BOOKS_PATH, Book, build_books_catalog, load_books, slug, surname
from app.catalog import Catalog, Query, index, text_fields, write
from app.errors import CatalogError
from hllm.errors import DataError

GOOD = {
    "title": "Emma",
    "author": "Jane Austen",
    "year": 1815,
    "genre": "Classics",
    "themes": ["love", "class", "humour"],
    "series": None,
    "series_position": None,
    "fame": 4,
    "description": "A matchmaker meddles.",
}


def write_facts(tmp_path, *records):
    path = tmp_path / "books.jsonl"
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_there_are_as_many_books_as_promised(books):
    volumes = Counter(book.series for book in books if book.series)
    assert len(books) > 1100
    assert len({book.genre for book in books}) >= 15
    assert len({book.author for book in books}) >= 300
    assert sum(count >= 2 for count in volumes.values()) >= 60
    assert BOOKS_PATH.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("item_id", "year", "author", "series"),
    [
        ("a-wizard-of-earthsea-le-guin", 1968, "Ursula K. Le Guin", "Earthsea 1"),
        ("one-hundred-years-of-solitude-marquez", 1967, "Gabriel García Márquez", ""),
        ("pride-and-prejudice-austen", 1813, "Jane Austen", ""),
        ("the-two-towers-tolkien", 1954, "J. R. R. Tolkien", "The Lord of the Rings 2"),
        ("death-on-the-nile-christie", 1937, "Agatha Christie", "Hercule Poirot 15"),
        ("nineteen-eighty-four-orwell", 1949, "George Orwell", ""),
        ("the-blue-lotus-herge", 1936, "Hergé", "The Adventures of Tintin 5"),
        ("the-left-hand-of-darkness-le-guin", 1969, "Ursula K. Le Guin", "Hainish Cycle 4"),
        ("on-the-origin-of-species-darwin", 1859, "Charles Darwin", ""),
        ("the-second-sex-de-beauvoir", 1949, "Simone de Beauvoir", ""),
        ("the-aeneid-virgil", -19, "Virgil", ""),
        ("dune-messiah-herbert", 1969, "Frank Herbert", "Dune 2"),
    ],
)
def test_spot_checks(books, item_id, year, author, series):
    book = {book.item_id: book for book in books}[item_id]
    assert (book.year, book.author, book.series_label) == (year, author, series)


def test_item_ids_are_readable_ascii_and_do_not_depend_on_the_order(books):
    ids = [book.item_id for book in books]
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", item_id) for item_id in ids)
    assert len(set(ids)) == len(ids)
    alone = Book(**{**GOOD, "themes": tuple(GOOD["themes"])})
    assert alone.item_id == "emma-austen" in ids


def test_no_book_occurs_twice_under_another_genre_or_spelling(books):
    keys = Counter((slug(book.title).removeprefix("the-"), surname(book.author)) for book in books)
    assert [key for key, count in keys.items() if count > 1] == []
    spellings = defaultdict(set)
    for book in books:
        for name in book.author.split(" & "):
            spellings[slug(name).replace("-", "")].add(name)
    assert [names for names in spellings.values() if len(names) > 1] == []


def test_a_series_is_of_one_author_group_and_in_plausible_years(books):
    series = defaultdict(list)
    for book in books:
        if book.series:
            series[book.series].append(book)
    for name, volumes in series.items():
        assert len({volume.genre for volume in volumes}) == 1, name
        assert len({volume.author for volume in volumes}) == 1, name


def test_descriptions_are_short_concrete_and_without_praise(books):
    for book in books:
        assert 15 <= len(book.description.split()) <= 46, book.title
        assert not book.description.startswith(f"{book.title} "), book.title
        assert book.description.endswith((".", "?", "!")), book.title
        assert not re.search(
            r"masterpiece|acclaimed|unforgettable|must-read|page-turner|<|http",
            book.description,
        ), book.title


def test_an_item_holds_what_a_model_reads_and_no_estimate_of_ours(books):
    book = next(book for book in books if book.item_id == "a-wizard-of-earthsea-le-guin")
    assert text_fields(book.as_item()) == {
        "title": "A Wizard of Earthsea",
        "creator": "Ursula K. Le Guin",
        "categories": "Fantasy",
        "tags": "; ".join(book.themes),
        "year": "1968",
        "description": book.description,
        "series": "Earthsea 1",
    }
    assert book.as_item().popularity == book.fame


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("Ursula K. Le Guin", "Le Guin"),
        ("Terry Pratchett & Neil Gaiman", "Pratchett"),
        ("Walter M. Miller Jr.", "Miller"),
        ("Simone de Beauvoir", "de Beauvoir"),
        ("Bessel van der Kolk", "van der Kolk"),
        ("Homer", "Homer"),
        ("Gabriel García Márquez", "Márquez"),
    ],
)
def test_surnames(author, expected):
    assert surname(author) == expected


def test_slugs_are_ascii():
    assert (
        slug("'Salem's Lot & Père Goriot: Łódź, Nesbø") == "salems-lot-and-pere-goriot-lodz-nesbo"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"year": "1815"}, r"books\.jsonl:2: year must be an integer"),
        ({"year": True}, "year must be an integer"),
        ({"fame": 6}, "fame must be an integer from 1 to 5"),
        ({"themes": ["love", "class"]}, "3 to 6 different themes"),
        ({"themes": ["love", "class", "love"]}, "3 to 6 different themes"),
        ({"themes": ["love", "class", "wombats"]}, "unknown theme 'wombats'"),
        ({"series": "Highbury"}, "belong together"),
        ({"series": "Highbury", "series_position": 1.5}, "series_position must be an integer"),
        ({"title": " Emma"}, "title must be text without stray white space"),
        ({"author": ""}, "author must be text"),
        ({"pages": 400}, "a book has exactly the keys title, author"),
        ({"title": "Persuasion"}, "the item_id 'persuasion-austen' occurs twice"),
    ],
)
def test_a_wrong_fact_is_refused_with_its_place(tmp_path, change, message):
    path = write_facts(tmp_path, {**GOOD, "title": "Persuasion"}, {**GOOD, **change})
    with pytest.raises(DataError, match=message):
        load_books(path)


def test_a_series_position_is_taken_only_once(tmp_path):
    first = {**GOOD, "series": "Highbury", "series_position": 1}
    path = write_facts(tmp_path, first, {**first, "title": "Emma Again"})
    with pytest.raises(DataError, match="series position 'Highbury 1' occurs twice"):
        load_books(path)


def test_damaged_files_give_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read .*restore the file from git"):
        load_books(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"books\.jsonl:2: not JSON"):
        load_books(write_facts(tmp_path, GOOD, '{"title": "Em'))
    with pytest.raises(DataError, match="are empty"):
        load_books(write_facts(tmp_path))


def test_the_catalogue_is_made_in_one_pass(books, tmp_path, monkeypatch):
    """Each book is read into words once, and all are indexed once, when all are there."""
    steps = []
    for module, name in ((write, "index_tokens"), (index, "reindex")):
        real = getattr(module, name)

        def noting(*arguments, name=name, real=real, **options):
            steps.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, noting)
    build_books_catalog(tmp_path / "books.db")
    assert steps == ["index_tokens"] * len(books) + ["reindex"]


def test_the_catalogue_holds_all_books_with_the_texts_of_the_csv_pair(books, tmp_path):
    path = tmp_path / "books.db"
    build_books_catalog(path)
    assert [file.name for file in tmp_path.iterdir()] == ["books.db"]
    with Catalog.open(path) as catalog:
        assert (catalog.name, catalog.num_items, catalog.is_stale) == ("Books", len(books), False)
        assert dict(catalog.iter_texts()) == {
            book.item_id: text_fields(book.as_item()) for book in books
        }
        assert len(catalog.categories()) == len({book.genre for book in books})
        found = catalog.page(Query(search="garcia marquez")).items
        assert {item.title for item in found} >= {"One Hundred Years of Solitude"}


def test_the_most_famous_come_first_and_mixed(tmp_path):
    build_books_catalog(tmp_path / "books.db")
    with Catalog.open(tmp_path / "books.db") as catalog:
        popular = catalog.popular(24)
    assert {item.popularity for item in popular} == {5}
    assert len({item.categories for item in popular}) >= 6


def test_a_catalogue_that_is_there_is_replaced(books, tmp_path):
    path = tmp_path / "books.db"
    build_books_catalog(path, books[:10])
    with Catalog.open(path) as catalog:
        # The writer stays open, so its -wal file is still there when the new one arrives.
        catalog.note_covers("here")
        build_books_catalog(path, books[:20])
        with Catalog.open(path) as replaced:
            assert replaced.num_items == 20


def test_a_failed_build_leaves_nothing_behind_and_the_old_one_alone(books, tmp_path):
    path = tmp_path / "books.db"
    build_books_catalog(path, books[:10])
    before = path.read_bytes()

    class Damaged(list):
        def __iter__(self):
            yield books[0]
            raise DataError("no more")

    with pytest.raises(DataError):
        build_books_catalog(path, Damaged())
    assert [file.name for file in tmp_path.iterdir()] == ["books.db"]
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_gives_one_sentence(books, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="cannot be"):
        build_books_catalog(tmp_path / "file" / "books.db", books[:3])
