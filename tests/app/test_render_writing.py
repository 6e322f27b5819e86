"""The drawer's HTML of what a visitor has written: nothing in it is markup."""

import pytest

from app.render_writing import render_writing
from app.writing import Writer
from app.written import written_item
from tests.app.page_html import assert_only_text

BOTH = pytest.mark.parametrize("is_wish", [False, True], ids=["item", "wish"])


@BOTH
@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text(service, hostile_titles, index, is_wish):
    title = hostile_titles[index]
    raw = dict.fromkeys(("creator", "category", "description"), title[:80])
    item = written_item({**raw, "title": f"x {title}"})
    writing = Writer(service).write(item, ["book-001"], is_wish=is_wish)
    html = render_writing(writing)
    assert_only_text(html, item.title)


def test_what_was_written_in_vain_is_said(service):
    item = written_item({"title": "Mars", "creator": "Nobody"})
    html = render_writing(Writer(service).write(item, [], is_wish=False))
    assert "HLLM reads title, description, and not creator." in html
    item = written_item({"title": "Mars"})
    assert "and not" not in render_writing(Writer(service).write(item, [], is_wish=False))


@BOTH
def test_the_parts_of_an_item_and_of_a_wish(service, is_wish):
    item = written_item({"title": "A funny heist on Mars"})
    html = render_writing(Writer(service).write(item, ["book-001"], is_wish=is_wish))
    assert ("Recommended for it" in html) == is_wish
    assert ("Rank for this history" in html) != is_wish
    assert (f'data-id="{item.item_id}"' in html) != is_wish
    assert "Nearest items by embedding" in html and "What the Item LLM was given" in html
    assert "title: A funny heist on Mars" in html and "special ones included" in html
    assert html.count("12 ms") == 2 and "nobody has clicked it yet" in html
