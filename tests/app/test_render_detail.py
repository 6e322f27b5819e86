"""The drawer's HTML: every text that is not ours is escaped, and what is missing is left out."""

import re
from dataclasses import replace

import pytest

from app.catalog import CatalogItem
from app.columns import ColumnInfo
from app.detail import ColumnDetail, Detail, Explanation
from app.render_detail import (
    MAX_EXTRA_FACTS,
    MAX_TOKENS,
    render_detail,
    render_inside,
    render_no_detail,
    render_why,
)
from hllm.serving.explain import ItemRank, Neighbour, ScoreChange
from hllm.serving.item_model import ItemText
from tests.app.page_html import Reader, assert_only_text, card, hostile_card

HLLM, BASELINE = ColumnInfo("hllm", "HLLM", "ready"), ColumnInfo("baseline", "Baseline", "ready")


def some_detail(**changes):
    rank = ItemRank("a", 0.8125, 3, 38)
    detail = Detail(
        CatalogItem(
            item_id="a", title="Title", description="Long ago.", popularity=1234, year=1999
        ),
        card("a"),
        ("h1", "h2"),
        [
            ColumnDetail(HLLM, rank, [Neighbour("n", 0.5)]),
            ColumnDetail(BASELINE, replace(rank, rank=None, num_ranked=100), []),
        ],
        ItemText("title: Title", 5, False, "", ("title", ":", "title"), True),
        (0.5, -0.25),
        {"n": card("n", "Near")},
        "now",
    )
    return replace(detail, **changes)


def some_changes(*pairs):
    return [ScoreChange(item_id, change) for item_id, change in pairs]


@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text(hostile_titles, index):
    title = hostile_titles[index]
    bad = hostile_card(title)
    item = CatalogItem(
        item_id=title,
        title=title,
        creator=title,
        categories=(title,),
        tags=(title,),
        description=title,
        extra={title: title, "list": [title]},
    )
    info = ColumnInfo("hllm", title, "failed", message=title)
    detail = some_detail(
        item=item,
        card=bad,
        columns=[ColumnDetail(info, None, [Neighbour(title, 0.1)])],
        text=ItemText(title * 2, 3, True, title, (title, title), True),
        cards={title: bad},
    )
    why = Explanation([bad], [(info, some_changes((title, -0.5)))])
    for html in (
        render_detail(detail),
        render_detail(replace(detail, history=())),
        render_no_detail(title),
        render_why(why),
        render_why(Explanation([bad], [(info, None)])),
    ):
        assert_only_text(html, title)


def test_everything_about_an_item_is_there():
    read = Reader(render_detail(some_detail()))
    for words in (
        "Long ago.",
        "#3 of 38 score 0.812",
        "not among the first 100",
        "title: Title",
        "5 tokens, special ones included.",
        "Popularity1,234",
        "Near",
    ):
        assert words in read.text, words
    links = [names for names in read.attributes if "data-id" in names]
    assert [(link["data-id"], link["data-source"]) for link in links] == [
        ("a", "detail"),
        ("n", "detail"),
    ]
    assert [names["data-info"] for names in read.attributes if "data-info" in names] == ["n"]


def test_what_is_not_ranked_says_why():
    empty = render_detail(some_detail(history=(), explains="no"))
    assert "nothing is ranked yet" in empty and "score change" not in empty
    chosen = render_detail(some_detail(history=("h", "a"), explains="no"))
    assert "Number 2 of this history" in chosen and 'data-id="a"' not in chosen
    one = render_detail(some_detail(history=("h",), explains="no"))
    assert "The history has one item" in one
    assert 'data-action="why"' in render_detail(some_detail(explains="request"))


def test_text_that_was_cut_off_is_struck_through():
    html = render_detail(some_detail(text=ItemText("read unread", 4, True, " unread", (), True)))
    assert "The first 4 tokens" in html and "read<s> unread</s>" in html
    unknown = render_detail(some_detail(text=ItemText("read unread", 4, True, "", (), True)))
    assert "the rest was cut off." in unknown and "<s>" not in unknown
    assert "Item LLM" not in render_detail(some_detail(text=None))


def test_facts_are_bounded_and_notes_are_none_of_them():
    extra = {f"k{n}": n for n in range(100)} | {"": {"original": {"title": "secret"}}}
    extra |= {"nested": {"a": 1}}
    html = render_detail(
        some_detail(item=CatalogItem(item_id="a", extra={"x": "y" * 9000, **extra}))
    )
    assert "secret" not in html and "nested" not in html and "y" * 1001 not in html
    assert len(re.findall(r">k\d+<", html)) == MAX_EXTRA_FACTS - 1


def test_a_column_that_became_a_field_is_not_told_twice():
    item = CatalogItem(
        item_id="a",
        title="Title",
        tags=("Cat", "Dog"),
        creator="Ada",
        year=7,
        extra={"tag": ["Cat", "Dog"], "author": "Ada", "pages": 7},
    )
    facts = render_detail(some_detail(item=item)).rpartition("detail-facts")[2]
    assert re.findall(r">(\w+)</dt>", facts) == ["Tags", "Creator", "Year", "pages", "Id"]


def test_a_title_that_the_headline_cuts_is_whole_among_the_facts():
    html = render_detail(some_detail(item=CatalogItem(item_id="a", title="word " * 100)))
    assert ">Title</dt>" in html and "word " * 100 in html
    assert ">Title</dt>" not in render_detail(some_detail())


def test_bars_are_signed_and_the_largest_fills_its_side():
    html = render_why(
        Explanation(
            [card("h1", "One"), card("h2", "Two")],
            [
                (HLLM, some_changes(("h1", -0.2), ("h2", 0.05))),
                (BASELINE, some_changes(("h1", 0.0), ("h2", -0.001))),
            ],
        )
    )
    bars = re.findall(r'class="(left|right)" style="width:([\d.]+)%".*?<b>(.+?)</b>', html)
    assert bars == [
        ("left", "50.0", "−0.200"),
        ("right", "0.0", "+0.000"),
        ("right", "12.5", "+0.050"),
        ("left", "50.0", "−0.001"),
    ]
    assert html.count('scope="row"') == 2


def test_a_column_without_an_answer_says_why():
    failed = ColumnInfo("hllm", "HLLM", "failed", message="No model here.")
    html = render_why(
        Explanation(
            [card("h1"), card("h2")], [(failed, None), (BASELINE, some_changes(("h1", -1.0)))]
        )
    )
    assert "HLLM: No model here." in html and html.count("<td></td>") == 1


def test_inside_shows_tokens_the_item_token_and_the_first_numbers():
    said = Reader(render_inside(some_detail())).text
    assert "title : title" in " ".join(said.split()).replace("title:title", "title : title")
    assert "2 more" in said and "[ITEM]" in said
    assert "+0.50" in said and "−0.25" in said
    many = ItemText("x", 99, False, "", ("x",) * 32, False)
    html = render_inside(some_detail(text=many))
    assert html.count("<span>") == MAX_TOKENS and f"{99 - MAX_TOKENS} more" in html
    assert "[ITEM]" not in html and "mean of all" in html
    assert render_inside(some_detail(text=None)) == ""
    assert render_inside(some_detail(embedding=())) == ""


@pytest.mark.parametrize("index", range(6))
def test_hostile_tokens_are_text(hostile_titles, index):
    title = hostile_titles[index]
    given = ItemText(title, 3, False, "", (title, title), True)
    assert_only_text(render_inside(some_detail(card=hostile_card(title), text=given)), title)


def test_during_a_blind_test_nothing_tells_how_a_model_ranks_the_item():
    html = render_detail(some_detail(columns=[], explains="no", is_blind=True, history=("h1",)))
    read = Reader(html)
    assert "During the blind test ranks, reasons and neighbours stay hidden." in read.text
    for told in ("HLLM", "Baseline", "score", "Rank", "Nearest", "why-body"):
        assert told not in html
    assert "Long ago." in read.text
