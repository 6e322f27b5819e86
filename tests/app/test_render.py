"""The page's HTML: every text that is not ours is escaped."""

import re

import pytest

from app.render import plural, render_cards, render_no_cards, render_shell
from app.session import BrowseRequest
from app.settings import ROOT
from tests.app.page_html import Reader, assert_only_text, card, hostile_card


@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text(hostile_titles, index):
    title = hostile_titles[index]
    for html in (
        render_cards([hostile_card(title)]),
        render_no_cards(BrowseRequest(text=title, category=title), 5),
        render_shell(
            "<p>$catalog_name $catalog_key $catalog_size</p><select>$category_options"
            "$sort_options</select>",
            catalog_name=title,
            catalog_key=title,
            catalog_size=1,
            categories=[(title, 1)],
            price_range=None,
        ),
    ):
        assert_only_text(html, title)


def test_card_is_a_link_with_a_name_and_its_data():
    read = Reader(render_cards([card(title='A "b"')]))
    link = next(names for names in read.attributes if "data-id" in names)
    assert read.tags.count("a") == 1
    assert link["data-title"] == 'A "b"'
    assert read.text == 'Add A "b"Creator · 1999i'
    button = next(names for names in read.attributes if "data-info" in names)
    assert (button["data-info"], button["aria-label"]) == ("a", 'Details of A "b"')


def test_link_of_an_item_is_an_address_within_the_page():
    read = Reader(render_cards([card('a/b?"c" &d')]))
    link = next(names for names in read.attributes if "data-id" in names)
    assert link["href"] == "#item=a%2Fb%3F%22c%22%20%26d"


def test_page_template_has_no_name_left_open():
    html = render_shell(
        (ROOT / "assets" / "page.html").read_text("utf-8"),
        catalog_name="N",
        catalog_key="k",
        catalog_size=3,
        categories=[("C", 2)],
        price_range=(1.0, 12.5),
    )
    assert "$" not in html
    assert "3 items" in html and "C (2)" in html


def test_nothing_found_says_what_to_do():
    html = render_no_cards(BrowseRequest(text="zzz", category="War"), 10)
    assert "zzz" in html and "War" in html and 'data-action="reset-search"' in html
    assert "app.ingest" in render_no_cards(BrowseRequest(), 0)


def test_plural():
    assert [plural(n, "item") for n in (0, 1, 16859)] == ["0 items", "1 item", "16,859 items"]


@pytest.mark.parametrize(
    ("days", "sentence", "buttons"),
    [(0, "keeps nothing of what you see", 0), (1, "deleted after 1 day.", 1), (90, "90 days.", 1)],
)
def test_the_page_says_what_is_recorded_and_offers_to_delete_it(days, sentence, buttons):
    html = render_shell(
        "$recorded",
        catalog_name="",
        catalog_key="",
        catalog_size=0,
        categories=[],
        price_range=None,
        events_days=days,
    )
    assert sentence in html
    assert html.count('data-action="forget"') == buttons


@pytest.mark.parametrize("known", [True, False])
def test_a_slider_without_anything_to_go_by_is_hidden(known):
    html = render_shell(
        (ROOT / "assets" / "page.html").read_text("utf-8"),
        catalog_name="N",
        catalog_key="k",
        catalog_size=3,
        categories=[],
        price_range=None,
        has_popularity=known,
    )
    [label] = re.findall(r"<label ([^>]*)>Less popular", html)
    assert label.startswith("hidden") != known
