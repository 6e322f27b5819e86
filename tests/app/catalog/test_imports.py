"""Versions of files by number, and which records each of them left in the catalogue."""

import pytest

from app.catalog import CatalogItem
from app.catalog.imports import (
    FIRST_PLACE,
    FileImport,
    ImportMark,
    begin,
    claim_interactions,
    forget_empty,
    items_left_over,
    left_over,
    remove_interactions,
    resume_line,
    write_mark,
)

LINE = 2**40  # a place is number * LINE + line


@pytest.fixture
def db(new_catalog):
    """A transaction in a catalogue of items a and b (internal ids 1 and 2) and user u (1)."""
    with new_catalog() as catalog:
        catalog.add_items([CatalogItem(item_id="a"), CatalogItem(item_id="b")])
        with catalog._file.writing() as db:
            db.execute("INSERT INTO users (id, user_id) VALUES (1, 'u')")
            yield db


def mark(**changes):
    given = {"file": "x.csv", "fingerprint": "one", "line": 5, "finished": False}
    return ImportMark(**given | changes)


def add(db, *rows):
    db.executemany(
        'INSERT INTO interactions (id, "user", item, timestamp) VALUES (?, ?, ?, ?)', rows
    )


def rows_of(db):
    rows = db.execute('SELECT id, "user", item, timestamp FROM interactions ORDER BY id')
    return rows.fetchall()


def test_places_are_ordered_by_version_then_line():
    assert FIRST_PLACE == LINE
    assert mark(number=1, lines=[1, 7]).places() == [LINE + 1, LINE + 7]
    assert mark(number=3, lines=[2]).places() == [3 * LINE + 2]
    assert mark(number=1, lines=[LINE - 1]).places() < mark(number=2, lines=[0]).places()


def test_every_version_of_a_file_has_a_number_for_good(db):
    assert begin(db, "x.csv", "one") == FileImport(number=1, older=(), after=0)
    assert begin(db, "y.csv", "one") == FileImport(number=2, older=(), after=0)
    assert begin(db, "x.csv", "two") == FileImport(number=3, older=(1,), after=0)
    # The first version again: what came from the second is now what it stands in for.
    assert begin(db, "x.csv", "one") == FileImport(number=1, older=(3,), after=0)


def test_only_an_interrupted_import_of_the_same_version_goes_on(db):
    begin(db, "x.csv", "one")
    write_mark(db, mark(line=5))
    assert begin(db, "x.csv", "one").after == 5
    assert resume_line(db, "x.csv", "one") == 5
    assert resume_line(db, "x.csv", "two") == resume_line(db, "y.csv", "one") == 0
    write_mark(db, mark(line=9, finished=True))
    assert begin(db, "x.csv", "one").after == 0
    assert db.execute("SELECT count(*) FROM imports").fetchone() == (1,)


def test_interactions_take_their_place_in_the_newer_version(db):
    # Without a file; from the older version; from another file; again from the older version.
    add(db, (1, 1, 1, 10), (LINE + 2, 1, 1, 20), (2 * LINE + 2, 1, 1, 30), (LINE + 3, 1, 2, 40))
    new = 3 * LINE
    claim_interactions(db, [(new + n, 1, 1, 10 * n) for n in (1, 2, 3)], older=[1])
    assert rows_of(db) == [
        (LINE + 3, 1, 2, 40), (2 * LINE + 2, 1, 1, 30), (new + 1, 1, 1, 10), (new + 2, 1, 1, 20),
    ]  # fmt: skip


def test_without_older_versions_only_rows_without_a_file_are_claimed(db):
    add(db, (1, 1, 1, 10), (LINE + 2, 1, 1, 20))
    claim_interactions(db, [(2 * LINE + n, 1, 1, 10 * n) for n in (1, 2)], older=[])
    assert rows_of(db) == [(LINE + 2, 1, 1, 20), (2 * LINE + 1, 1, 1, 10)]


def test_what_only_older_versions_have_is_counted_and_removed(db):
    add(db, (9, 1, 1, 1), (LINE, 1, 1, 2), (2 * LINE - 1, 1, 1, 3), (2 * LINE, 1, 1, 4))
    db.execute("INSERT INTO item_places (item, place) VALUES (1, ?), (2, ?)", [LINE + 5, 3 * LINE])
    assert left_over(db, [1]) == (1, 2)
    assert left_over(db, [1, 3]) == (2, 2)
    assert left_over(db, []) == (0, 0)
    assert (items_left_over(db, [1]), items_left_over(db, [3]), items_left_over(db, [])) == (
        [1], [2], [],
    )  # fmt: skip
    remove_interactions(db, [])
    assert len(rows_of(db)) == 4
    remove_interactions(db, [1])
    assert [row[0] for row in rows_of(db)] == [9, 2 * LINE]


def test_versions_are_forgotten_when_nothing_of_them_is_left(db):
    for fingerprint in ("one", "two", "three", "four"):
        begin(db, "x.csv", fingerprint)
    add(db, (LINE + 1, 1, 1, 1))
    db.execute("INSERT INTO item_places (item, place) VALUES (1, ?)", [2 * LINE + 1])
    forget_empty(db, [1, 2, 3])
    numbers = db.execute("SELECT number FROM import_files ORDER BY number").fetchall()
    assert numbers == [(1,), (2,), (4,)]
