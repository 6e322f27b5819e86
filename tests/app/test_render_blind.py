"""The blind list's HTML: no word of whose an item is, and what is not ours is text."""

import pytest

from app.catalog import ItemFilter
from app.columns import ColumnAnswer, ColumnInfo
from app.interleaving import Draft
from app.render_blind import render_blind
from app.service import Answer, BlindList
from hllm.recommend import Recommendation, Recommendations
from tests.app.page_html import Reader, assert_only_text, card, hostile_card

SEED = "5eed" * 8
NOTHING = ItemFilter()


def answer_of(cards, *, failed=False):
    infos = [ColumnInfo("hllm", "HLLM", "ready"), ColumnInfo("baseline", "Baseline", "ready")]
    items = [Recommendation(c.item_id, 0.75, rank) for rank, c in enumerate(cards, 1)]
    result = Recommendations(items, 1.0, 1.0, len(items), 1, 1)
    columns = [ColumnAnswer(info, result) for info in infos]
    if failed:
        info = ColumnInfo("hllm", "HLLM", "failed", message="HLLM is <not> here.")
        columns[0] = ColumnAnswer(info, None)
    drafts = [Draft(c.item_id, at % 2) for at, c in enumerate(cards)]
    return Answer(
        [card("h")], (), columns=columns, cards={c.item_id: c for c in cards},
        blind=None if failed else BlindList("0" * 16, drafts),
    )  # fmt: skip


def test_nothing_tells_whose_an_item_is():
    html = render_blind(answer_of([card("a", "One"), card("b", "Two")]), SEED, NOTHING)
    other = answer_of([card("a", "One"), card("b", "Two")])
    other.blind.drafts[:] = [Draft(d.item_id, 1 - d.team) for d in other.blind.drafts]
    assert render_blind(other, SEED, NOTHING) == html
    for word in ("hllm", "baseline", "score", "0.75", "team"):
        assert word not in html.lower()
    read = Reader(html)
    rows = [names for names in read.attributes if names.get("data-source") == "blind"]
    assert [(row["data-id"], row["data-rank"]) for row in rows] == [("a", "1"), ("b", "2")]
    assert read.attributes[0]["data-seed"] == SEED


def test_an_item_without_a_card_keeps_its_place():
    answer = answer_of([card("a"), card("b"), card("c")])
    del answer.cards["b"]
    read = Reader(render_blind(answer, SEED, NOTHING))
    assert [names["data-rank"] for names in read.attributes if "data-rank" in names] == ["1", "3"]


@pytest.mark.parametrize("index", range(6))
def test_hostile_texts_are_text(hostile_titles, index):
    title = hostile_titles[index]
    assert_only_text(render_blind(answer_of([hostile_card(title)]), SEED, NOTHING), title)


def test_a_model_that_does_not_answer_is_said_with_the_way_back():
    read = Reader(render_blind(answer_of([card()], failed=True), SEED, NOTHING))
    assert "The blind test needs both models. HLLM is <not> here." in read.text
    assert {"data-action": "leave-blind"}.items() <= read.attributes[-1].items()


def test_a_filter_that_leaves_nothing_is_said():
    html = render_blind(answer_of([]), SEED, ItemFilter(category="X"))
    assert "nothing in “X”" in Reader(html).text
