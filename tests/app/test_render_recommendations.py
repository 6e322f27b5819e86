"""The right half of the page: rows, what is said in their place, and nothing of it runs."""

import re
from dataclasses import replace

import pytest

from app.catalog import ItemFilter
from app.columns import BASELINE_DOES, HLLM_DOES, ColumnAnswer, ColumnInfo
from app.examples import Example
from app.render_recommendations import render_column, render_popular, summary
from hllm.recommend import Recommendation, Recommendations
from tests.app.page_html import Reader, assert_only_text, card, hostile_card

READY = ColumnInfo(
    "hllm", "HLLM", "ready", model="m <1>", precision="fp32", device="cpu", does=HLLM_DOES
)


OTHER = ColumnInfo("baseline", "Baseline", "ready", does=BASELINE_DOES)


def answer(info, *pairs):
    items = [Recommendation(i, score, rank) for rank, (i, score) in enumerate(pairs, 1)]
    return ColumnAnswer(info, Recommendations(items, 12.4, 0.42, 1397, 1, 4))


@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text(hostile_titles, index):
    title = hostile_titles[index]
    hostile = hostile_card(title)
    column = answer(READY, (title, 0.5))
    for html in (
        render_column(column, column, {title: hostile}),
        render_column(ColumnAnswer(ColumnInfo("hllm", title, "failed", title), None), column, {}),
        render_popular([hostile], [Example(title, (hostile, hostile))]),
        render_column(answer(READY), column, {}, ItemFilter(category=title)),
    ):
        assert_only_text(html, title)


def test_row_shows_rank_bar_and_place_in_the_other_column():
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
    # Cosines of two models cannot be compared, so that none is shown beside the other's.
    assert "score 0.900" in rows[0] and not re.search(r">-?\d\.\d", html.split("</header>")[1])


def test_head_says_what_each_model_does_also_while_it_loads():
    assert "predicts your next choice" in render_column(
        answer(READY, ("a", 1.0)), answer(OTHER), {"a": card()}
    )
    loading = answer(replace(OTHER, state="loading", message="warming up"))
    assert "Not trained on histories" in render_column(loading, answer(READY), {})


def test_numbers_of_an_evaluation_stand_in_the_head_as_text():
    info = replace(READY, numbers="recall@10 0.340 <b>(test)</b>")
    html = render_column(answer(info, ("a", 1.0)), answer(OTHER), {"a": card()})
    assert "recall@10 0.340 &lt;b&gt;(test)&lt;/b&gt;" in html.split("</header>")[0]
    assert "numbers-of" not in render_column(answer(READY), answer(OTHER), {})


def test_also_is_said_within_the_ten_that_are_shown():
    cards = {"a": card("a")}
    html = render_column(answer(READY, ("a", 0.9)), answer(OTHER, ("b", 0.9), ("a", 0.8)), cards)
    assert "also #2 in Baseline" in html


def test_head_shows_model_size_and_fields_but_no_times():
    info = replace(READY, reads=("title", "tag"))
    html = Reader(render_column(answer(info, ("a", 1.0)), answer(OTHER), {"a": card()})).text
    for fact in ("1,397 items", "m <1>", "title, tag"):
        assert fact in html
    assert " ms" not in html


def test_a_note_of_a_column_is_shown_as_text():
    info = replace(READY, note="<b>Weights</b> are missing.")
    html = render_column(answer(info, ("a", 1.0)), answer(OTHER), {"a": card()})
    assert "&lt;b&gt;Weights&lt;/b&gt; are missing." in html and 'role="note"' in html
    assert 'role="note"' not in render_column(answer(READY, ("a", 1.0)), answer(OTHER), {})


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


@pytest.mark.parametrize(
    ("item_filter", "words"),
    [
        (ItemFilter(category="War"), "nothing in “War”."),
        (ItemFilter(min_price=2.0), "nothing at a price from 2."),
        (ItemFilter(max_price=2.5), "nothing at a price up to 2.50."),
        (
            ItemFilter(category="War", min_price=1.0, max_price=2.0),
            "nothing in “War” at a price from 1 to 2.",
        ),
    ],
)
def test_what_the_filter_left_out_is_said_with_a_way_on(item_filter, words):
    empty = ColumnAnswer(READY, Recommendations([], 1.0, 1.0, 0, 1, 0))
    html = render_column(empty, empty, {}, item_filter)
    assert words in Reader(html).text
    assert 'data-action="everything"' in html
    chosen = render_column(answer(READY), empty, {}, item_filter)  # 1,397 were ranked
    assert words[:-1] + " that you have not chosen." in Reader(chosen).text


def test_without_any_item_popular_says_how_to_get_some():
    html = render_popular([], [])
    assert "python -m app.ingest" in html and "<button" not in html


def test_popular_items_are_ranked_buttons_and_examples_come_first():
    html = render_popular([card("a"), card("b")], [Example("Both", (card("a"), card("b")))])
    read = Reader(html)
    assert read.text.index("Start from an example") < read.text.index("Popular in this catalogue")
    buttons = [
        names
        for tag, names in zip(read.tags, read.attributes, strict=True)
        if tag in ("button", "a")
    ]
    assert buttons[0]["aria-label"] == "Start with the example Both, 2 items"
    assert [n.get("data-id") for n in buttons[1::2]] == ["a", "b"]
    assert [n.get("data-info") for n in buttons[2::2]] == ["a", "b"]
    assert "examples" not in render_popular([card()], [])


def test_a_loading_column_shows_no_list_and_hides_its_decoration():
    info = ColumnInfo("hllm", "HLLM", "loading", "HLLM is warming up.")
    html = render_column(ColumnAnswer(info, None), answer(OTHER, ("a", 1.0)), {"a": card()})
    assert "HLLM is warming up." in html and "<ol" not in html
    assert 'aria-hidden="true"' in html


def test_bars_stay_within_their_place_whatever_the_scores():
    cards = {i: card(i) for i in "ab"}
    html = render_column(answer(READY, ("a", -0.5), ("b", -0.7)), answer(OTHER), cards)
    assert re.findall(r"width:([\d.]+)%", html) == ["0.0", "0.0"]


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


def test_what_re_ranking_costs_is_said_and_bars_are_relative_to_the_highest():
    cards = {i: card(i) for i in ("a", "b", "c")}
    mine = answer(READY, ("b", 0.4), ("a", 0.8))
    before = [Recommendation("a", 0.8, 1), Recommendation("c", 0.5, 2)]
    mine = replace(mine, result=replace(mine.result, by_score=before))
    html = render_column(mine, answer(OTHER), cards)
    said = "Re-ranked: costs 0.050 of mean score, 1 of 2 items replaced."
    assert said in html
    assert re.findall(r"width:([\d.]+)%", html) == ["50.0", "100.0"]
    assert "Re-ranked" not in render_column(answer(READY, ("a", 0.8)), answer(OTHER), cards)
