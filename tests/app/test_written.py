"""What a visitor writes becomes an item as an import would make it, or a sentence says why not."""

from urllib.parse import unquote

import pytest

from app.catalog.items import bounded, text_fields
from app.ingest.clean import clean_text
from app.written import (
    ID_PREFIX,
    MAX_CHARS,
    MAX_WRITTEN,
    cover_address,
    written_item,
    written_payload,
)

MARS = {
    "title": "A funny heist on Mars",
    "creator": "Nobody",
    "category": "Science Fiction",
    "description": "Four thieves, one rover.\nNo plan.",
}


def test_its_texts_are_those_of_an_item_of_the_catalogue():
    item = written_item(MARS)
    assert item.item_id.startswith(ID_PREFIX)
    assert text_fields(item) == {
        "title": MARS["title"],
        "creator": "Nobody",
        "categories": "Science Fiction",
        "description": MARS["description"],
    }
    assert bounded(item) == item
    assert written_item(dict(reversed(MARS.items()))).item_id == item.item_id
    assert written_item({**MARS, "title": "Another"}).item_id != item.item_id
    assert written_item({"title": "Only this", "more": [1]}).description == ""


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (None, "It needs a title."),
        ("A title", "It needs a title."),
        ([MARS], "It needs a title."),
        ({}, "It needs a title."),
        ({**MARS, "title": " \u200b\x00\n<br> "}, "It needs a title."),
        ({**MARS, "title": 7}, "The title must be a text."),
        ({**MARS, "description": ["x"]}, "The text must be a text."),
        ({**MARS, "title": "x" * 201}, "The title must have at most 200 characters."),
        ({**MARS, "creator": "x" * 121}, "The author must have at most 120 characters."),
        ({**MARS, "category": "x" * 81}, "The category must have at most 80 characters."),
        ({**MARS, "description": "x" * 1001}, "The text must have at most 1,000 characters."),
    ],
)
def test_what_is_no_item_is_told_in_a_sentence(raw, sentence):
    with pytest.raises(ValueError) as error:
        written_item(raw)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>Dune",
        "&" + "amp;" * 40 + "lt;b&gt;Dune",
        "Du\u200bne\x07\ufeff",
        "\u202eenuD\u202c",
        "Dune \ud800",
        "List<T> and <Untitled>",
        "a \n b\r\nc",
        "\u05d3\u05d5\u05e0\u05d4 & \u0643\u062b\u064a\u0628",
    ],
)
def test_hostile_texts_are_cleaned_as_imported_ones_and_once_for_all(title):
    item = written_item({**MARS, "title": title, "description": title})
    assert item.title == " ".join(item.title.split())
    assert clean_text(item.description) == item.description
    assert not set(item.title) & set("\u200b\x07\ufeff\x00\n")
    item.title.encode()
    assert written_item(written_payload(item)) == item
    svg = unquote(cover_address(item).removeprefix("data:image/svg+xml,"))
    assert svg.startswith("<svg") and "<script" not in svg


def test_as_many_as_count_fit_a_request_in_any_script():
    longest = sum(MAX_CHARS.values()) * len("\U0001f600".encode())
    assert MAX_WRITTEN * longest < 48 * 1024
