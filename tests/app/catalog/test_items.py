"""What an item may hold, what a model reads of it, and its hash."""

import pytest

from app.catalog import Catalog, CatalogItem
from app.catalog.items import (
    MAX_DESCRIPTION_CHARS,
    MAX_EXTRA_CHARS,
    MAX_ID_CHARS,
    MAX_LABEL_CHARS,
    MAX_TITLE_CHARS,
    bounded,
    content_hash,
    storable,
    text_fields,
)


def test_oversized_and_unstorable_values_are_bounded(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(
        [
            CatalogItem(
                item_id="a",
                title="t\x00\ud800",
                description="x" * 5_000_000,
                tags=tuple(f"t{n}" for n in range(5000)),
                year=10**30,
                price=float("nan"),
                popularity=-5,
                extra={"huge": 10**40, "inf": float("inf"), "long": "y" * 10**6, "object": object},
            )
        ]
    )
    item = catalog.get(["a"])["a"]
    assert item.title == "t?" and len(item.description) == MAX_DESCRIPTION_CHARS
    assert item.extra[""]["cut"] == {"description": 5_000_000, "long": 10**6}
    assert (item.year, item.price, item.popularity, len(item.tags)) == (None, None, 0, 100)


def test_what_fits_is_left_as_it_is():
    item = CatalogItem(
        item_id="i" * MAX_ID_CHARS,
        title="t" * MAX_TITLE_CHARS,
        categories=("a, b",),
        year=-9999,
        price=0.0,
        extra={"deep": {"list": [1, None, True, "x"]}},
    )
    assert bounded(item) == item


def test_one_character_too_many_is_cut_and_noted():
    item = bounded(CatalogItem(item_id="i", title="t" * MAX_TITLE_CHARS + "!", year=10_000))
    assert item.title == "t" * MAX_TITLE_CHARS
    assert item.extra[""] == {"cut": {"title": MAX_TITLE_CHARS + 1}}
    assert item.year is None


def test_a_second_cut_keeps_the_note_of_the_first():
    once = bounded(CatalogItem(item_id="i", title="t" * 2000))
    again = bounded(CatalogItem(item_id="i", creator="c" * 2000, extra=once.extra))
    assert again.extra[""]["cut"] == {"title": 2000, "creator": 2000}


@pytest.mark.parametrize("item_id", ["", "\x00", "x" * (MAX_ID_CHARS + 1)])
def test_an_id_that_cannot_be_kept_whole_is_refused(item_id):
    with pytest.raises(ValueError, match="must have 1 to 500 characters"):
        bounded(CatalogItem(item_id=item_id))


def test_labels_are_trimmed_cut_and_listed_once():
    labels = (" a ", "a", "", "  ", "b" * 300)
    item = bounded(CatalogItem(item_id="i", tags=labels, categories=labels))
    assert item.tags == item.categories == ("a", "b" * MAX_LABEL_CHARS)


def test_endless_nesting_ends_as_text():
    value = "x"
    for _ in range(50):
        value = {"k": value}
    kept = bounded(CatalogItem(item_id="i", extra={"deep": value})).extra["deep"]
    for _ in range(4):
        kept = kept["k"]
    assert isinstance(kept, str) and len(kept) <= MAX_EXTRA_CHARS


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a\x00b", "ab"), ("\ud83d", "?"), ("\U0001f600 \ufffe", "\U0001f600 \ufffe"), (3, "3")],
)
def test_storable(text, stored):
    assert storable(text) == stored


def test_a_model_reads_named_fields_first_and_scalars_of_extra():
    item = CatalogItem(
        item_id="i",
        title="T",
        creator="C",
        tags=("x", "y, z"),
        categories=("A", "B"),
        year=0,
        description="D",
        price=3.5,
        extra={"pages": 12, "title": "hidden", "list": [1], "none": None, "empty": "", "w": 0.5},
    )
    assert list(text_fields(item).items()) == [
        ("title", "T"),
        ("creator", "C"),
        ("categories", "A; B"),
        ("tags", "x; y, z"),
        ("year", "0"),
        ("description", "D"),
        ("pages", "12"),
        ("w", "0.5"),
    ]
    assert text_fields(CatalogItem(item_id="i")) == {}


def test_the_hash_is_that_of_the_content_whatever_its_order():
    assert content_hash({"a": "1", "b": "é"}) == content_hash({"b": "é", "a": "1"})
    assert content_hash({"a": "1"}) != content_hash({"a": 1})
    # printf '{}' | sha256sum begins with 44136fa355b3678a
    assert content_hash({}) == 0x44136FA355B3678A
    assert -(2**63) <= content_hash({"a": "x"}) < 2**63
