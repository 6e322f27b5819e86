import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.cards import Card
from app.catalog import ItemFilter
from app.columns import ColumnAnswer, ColumnInfo
from app.examples import Example
from app.render import plural, render_cards, render_no_cards, render_shell
from app.render_recommendations import render_column, render_popular, summary
from app.session import BrowseRequest
from app.settings import ROOT
from hllm.recommend import Recommendation, Recommendations

READY = ColumnInfo("hllm", "HLLM", "ready", model="m <1>", precision="fp32", device="cpu")
OTHER = ColumnInfo("baseline", "Baseline", "ready")


class Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would see them."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def card(item_id="a", title="Title", creator="Creator"):
    return Card(item_id, title, creator, "1999", "data:image/svg+xml,x", "About it.")


def answer(info, *pairs):
    items = [Recommendation(i, score, rank) for rank, (i, score) in enumerate(pairs, 1)]
    return ColumnAnswer(info, Recommendations(items, 12.4, 0.42, 1397))


@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text_everywhere(hostile_titles, index):
    title = hostile_titles[index]
    hostile = Card(title, title, title, title, "data:image/svg+xml,x", title)
    column = answer(READY, (title, 0.5))
    for html in (
        render_cards([hostile]),
        render_no_cards(BrowseRequest(text=title, category=title), 5),
        render_column(column, column, {title: hostile}),
        render_popular([hostile], [Example(title, (hostile, hostile))]),
        render_shell(
            "<p>$catalog_name $catalog_key $catalog_size</p><select>$category_options"
            "$sort_options</select>",
            catalog_name=title,
            catalog_key=title,
            catalog_size=1,
            categories=[(title, 1)],
            price_range=None,
        ),
        render_column(answer(READY), column, {}, ItemFilter(category=title)),
    ):
        read = Reader(html)
        assert title in read.text
        assert "script" not in read.tags
        assert not any(name.startswith("on") for names in read.attributes for name in names)
        assert all(
            names.get("src", "").startswith("data:") for names in read.attributes if "src" in names
        )


def test_card_is_a_button_with_a_name_and_its_data():
    read = Reader(render_cards([card(title='A "b"')]))
    button = next(names for names in read.attributes if "data-id" in names)
    assert read.tags.count("button") == 1
    assert button["data-title"] == 'A "b"'
    assert button["aria-label"] == 'Add A "b" by Creator to the history'


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


def test_row_shows_rank_score_and_place_in_the_other_column():
    cards = {i: card(i) for i in ("a", "b", "c")}
    mine = answer(READY, ("a", 0.9), ("b", 0.45), ("c", -0.1))
    others = answer(OTHER, *[(f"x{n}", 0.5) for n in range(11)], ("b", 0.4), ("a", 0.3))
    others.result.items[0] = Recommendation("a", 0.9, 1)
    html = render_column(mine, others, cards)
    assert "also #1 in Baseline" not in html.split('data-rank="2"')[1]
    rows = html.split("<li>")[1:]
    assert "also #1 in Baseline" not in rows[1]
    assert "#12 in Baseline" in rows[1] and "also" not in rows[1]
    assert "not in Baseline top 100" in rows[2]
    assert [re.search(r"width:([\d.]+)%", row)[1] for row in rows] == ["100.0", "50.0", "0.0"]
    assert ">0.900<" in rows[0] and ">-0.100<" in rows[2]


def test_also_is_said_within_the_ten_that_are_shown():
    cards = {"a": card("a")}
    html = render_column(answer(READY, ("a", 0.9)), answer(OTHER, ("b", 0.9), ("a", 0.8)), cards)
    assert "also #2 in Baseline" in html


def test_head_shows_times_size_model_precision_device():
    html = Reader(render_column(answer(READY, ("a", 1.0)), answer(OTHER), {"a": card()})).text
    for fact in ("12 ms", "0.4 ms", "1,397 items", "m <1>", "fp32", "cpu"):
        assert fact in html


def test_without_the_other_column_nothing_is_said_about_it():
    broken = ColumnAnswer(ColumnInfo("baseline", "Baseline", "failed", "Gone."), None)
    html = render_column(answer(READY, ("a", 1.0)), broken, {"a": card()})
    assert "Baseline" not in html
    assert "Gone." in render_column(broken, answer(READY, ("a", 1.0)), {})


def test_everything_clicked_says_so():
    assert "Nothing is left to recommend" in render_column(answer(READY), answer(OTHER), {})


def test_only_ten_rows_are_shown():
    ids = [f"i{n}" for n in range(30)]
    html = render_column(
        answer(READY, *[(i, 0.5) for i in ids]), answer(OTHER), {i: card(i) for i in ids}
    )
    assert html.count("<li>") == 10


def test_summary_counts_the_overlap():
    both = [answer(READY, ("a", 1), ("b", 1)), answer(OTHER, ("b", 1), ("c", 1))]
    assert summary(both) == "1 of 2 in both lists"
    assert summary([both[0], ColumnAnswer(OTHER, None)]) == ""


def test_plural():
    assert [plural(n, "item") for n in (0, 1, 16859)] == ["0 items", "1 item", "16,859 items"]


def test_columns_say_what_they_read_and_whether_it_differs():
    def shown(keys, other_keys):
        mine = answer(replace(READY, reads=keys), ("a", 1.0))
        other = answer(replace(OTHER, reads=other_keys), ("a", 1.0))
        return Reader(render_column(mine, other, {"a": card()})).text

    same = shown(("title", "<b>tag"), ("<b>tag", "title"))
    assert "reads title, <b>tag" in same and "not read the same" not in same
    different = shown(("title",), ("title", "description"))
    assert "reads title" in different
    assert "HLLM and Baseline do not read the same texts of an item" in different
    # While one of them loads, or cannot say, nothing is claimed.
    assert "not read the same" not in shown(("title",), ())
