"""The right half of the page as HTML strings: two ranked columns, or popular items to begin with.

Pure, like app.render, whose rules hold here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.cards import Card
from app.catalog import NO_FILTER, ItemFilter
from app.columns import COMPARE_DEPTH, LIST_LENGTH, ColumnAnswer, ColumnInfo, ranks_of
from app.examples import Example
from app.languages import marked, tr, tr_parts
from app.render import add, byline, cover, info_button, item_data, plural, price, text

if TYPE_CHECKING:
    from hllm.recommend import Recommendation, Recommendations

IMPORT = "python -m app.ingest --help"
NOTHING_YET = marked(
    "The history is empty, so there is nothing to predict from yet. Click any item and both models "
    "answer."
)
ALL_TAKEN = marked(
    "Nothing is left to recommend: every item of this catalogue is in the history. Remove one to "
    "go on."
)
SCORE = marked(
    "score {score}, the bar relative to the highest; not comparable with the other column"
)
SKELETON = '<span class="skeleton"></span>'


def render_column(
    answer: ColumnAnswer,
    other: ColumnAnswer,
    cards: Mapping[str, Card],
    item_filter: ItemFilter = NO_FILTER,
) -> str:
    """One column: what runs, and its list with the other's ranks.

    Args:
        answer: of this column.
        other: of the column beside it, for the same history.
        cards: by item id; items without a card are left out.
        item_filter: what was left out, in case nothing remains.
    """
    head = _head(answer, other.info)
    if answer.result is None:
        return head + _message(answer.info)
    shown = [item for item in answer.result.items if item.item_id in cards][:LIST_LENGTH]
    if not shown:
        return head + nothing_left(item_filter, answer.result.num_candidates)
    best = max(1e-6, *(item.score for item in shown))  # re-ranked, it need not be the first
    ranks = ranks_of(other)
    rows = "".join(
        _row(item, cards[item.item_id], answer.info, other.info, ranks, best) for item in shown
    )
    label = text(tr("Recommendations of {model}", model=answer.info.title))
    return f'{head}<ol class="recs" aria-label="{label}">{rows}</ol>'


def render_popular(cards: Sequence[Card], examples: Sequence[Example]) -> str:
    """What stands in the columns' place while the history is empty."""
    if not cards:
        return (
            f'<div class="popular"><h2>{tr("Nothing to recommend yet")}</h2>'
            f"<p>{tr('This catalogue is empty.')} "
            f"{tr('Import items with: {command}', command=f'<code>{IMPORT}</code>')}</p></div>"
        )
    rows = "".join(
        f'<li><a role="button" class="pop item" {item_data(card, "popular")}>'
        f'<span class="rank">{rank}</span>{cover(card)}<span class="rec-text">'
        f"{item_words(card)}</span></a>{info_button(card)}</li>"
        for rank, card in enumerate(cards, 1)
    )
    return (
        '<div class="popular">'
        f"{_render_examples(examples)}"
        f"<h2>{tr('Popular in this catalogue')}</h2>"
        f'<p class="popular-lead">{tr(NOTHING_YET)}</p>'
        f'<ol class="pops">{rows}</ol></div>'
    )


def summary(answers: Sequence[ColumnAnswer], top_k: int = LIST_LENGTH) -> str:
    """How far the columns agree, as plain text; empty if there is nothing to compare."""
    lists = [
        {item.item_id for item in answer.result.items[:top_k]}
        for answer in answers
        if answer.result is not None
    ]
    if len(lists) < 2 or not all(lists):
        return ""
    both, total = len(lists[0] & lists[1]), max(map(len, lists))
    return tr("{count} of {total} in both lists", count=both, total=total)


def _render_examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    buttons = "".join(
        f'<li><button type="button" class="example" data-example="{text(example.name)}" '
        f'aria-label="{_example_label(example)}">'
        f'<span class="example-covers">{"".join(cover(card) for card in example.cards[:4])}</span>'
        f'<span class="example-name" dir="auto">{text(example.shown_name)}</span></button></li>'
        for example in examples
    )
    return f'<h2>{tr("Start from an example")}</h2><ul class="examples">{buttons}</ul>'


def _example_label(example: Example) -> str:
    items = plural(len(example.cards), "item")
    label = tr("Start with the example {name}, {items}", name=example.shown_name, items=items)
    return text(label)


def _head(answer: ColumnAnswer, other: ColumnInfo) -> str:
    info, result = answer.info, answer.result
    facts = []
    if result is not None:
        items = plural(result.num_candidates, "item")
        facts = [_fact(tr("ranks"), items, tr("how many items were ranked for this history"))]
    if info.reads:
        meaning = tr("the fields of an item that it reads")
        facts.append(_fact(tr("reads"), ", ".join(info.reads), meaning))
    name = text(tr_parts(info.model))
    model = f'<p class="model" title="{name}">{name}</p>'
    return (
        f'<header class="column-head"><h2>{text(info.title)}</h2>'
        f'<p class="does">{text(info.does)}</p>'
        f"{model if info.model else ''}"
        f"{_numbers(info.numbers)}"
        f"{'<p class=facts>' + ' '.join(facts) + '</p>' if facts else ''}"
        f"{_sentence(info.note)}{_different_texts(info, other)}{_rerank_cost(result)}</header>"
    )


def _rerank_cost(result: Recommendations | None) -> str:
    """What the sliders take from a list, where they are not off."""
    cost = result.rerank_cost(LIST_LENGTH) if result else None
    if cost is None:
        return ""
    return _sentence(
        tr(
            "Re-ranked: costs {score} of mean score, {count} of {items} replaced.",
            score=f"{cost.score:.3f}",
            count=cost.num_replaced,
            items=plural(cost.num_items, "item"),
        )
    )


def _different_texts(info: ColumnInfo, other: ColumnInfo) -> str:
    """Said where the columns compare more than the models."""
    if not info.reads or not other.reads or set(info.reads) == set(other.reads):
        return ""
    return _sentence(
        tr(
            "{model} and {other} do not read the same texts of an item: the lists differ for this "
            "reason, too.",
            model=info.title,
            other=other.title,
        )
    )


def _sentence(words: str) -> str:
    return f'<p class="column-note" role="note">{text(words)}</p>' if words else ""


def _numbers(numbers: str) -> str:
    return f'<p class="numbers-of" title="{text(numbers)}">{text(numbers)}</p>' if numbers else ""


def _fact(name: str, value: str, meaning: str) -> str:
    return f'<span title="{text(meaning)}">{text(name)} <b>{text(value)}</b></span>'


def _message(info: ColumnInfo) -> str:
    if info.state == "loading":
        lines = f'<div aria-hidden="true">{5 * SKELETON}</div>'
        return f'<p class="column-message">{text(info.message)}</p>{lines}'
    return f'<p class="column-message failed" role="note">{text(info.message)}</p>'


def nothing_left(item_filter: ItemFilter, num_candidates: int) -> str:
    """What stands in the place of a list that has no items."""
    if not item_filter:
        return f'<p class="column-message">{tr(ALL_TAKEN)}</p>'
    where = tr(
        "{category} {prices}",
        category=_category_words(item_filter),
        prices=_price_words(item_filter),
    )
    return (
        f'<div class="column-message"><p>{text(_none_of(where.strip(), num_candidates))}</p>'
        '<button type="button" class="button" data-action="everything">'
        f"{tr('Recommend from everything')}</button></div>"
    )


def _none_of(where: str, num_candidates: int) -> str:
    if num_candidates:
        return tr("There is nothing {where} that you have not chosen.", where=where)
    return tr("There is nothing {where}.", where=where)


def _category_words(item_filter: ItemFilter) -> str:
    category = item_filter.category
    return tr("in “{category}”", category=category) if category else ""


def _price_words(item_filter: ItemFilter) -> str:
    low, high = item_filter.min_price, item_filter.max_price
    if low is not None and high is not None:
        return tr("at a price from {low} to {high}", low=price(low), high=price(high))
    if low is not None:
        return tr("at a price from {low}", low=price(low))
    return "" if high is None else tr("at a price up to {high}", high=price(high))


def _row(
    item: Recommendation,
    card: Card,
    info: ColumnInfo,
    other: ColumnInfo,
    ranks: Mapping[str, int] | None,
    best: float,
) -> str:
    width = min(max(item.score / best, 0.0), 1.0)
    return (
        f'<li><a role="button" class="rec item" {item_data(card, info.key)} '
        f'data-rank="{item.rank}">'
        f'<span class="rank">{item.rank}</span>{cover(card)}'
        f'<span class="rec-text">{item_words(card)}{_elsewhere(item.item_id, other, ranks)}</span>'
        # Cosines of two models cannot be compared: as numbers they would read as if they could.
        f'<span class="rec-score" title="{tr(SCORE, score=f"{item.score:.3f}")}">'
        f'<span class="bar"><span style="width:{width * 100:.1f}%"></span></span>'
        f'<span class="move"></span></span></a>{info_button(card)}</li>'
    )


def item_words(card: Card) -> str:
    """Title and byline of an item in a list."""
    return (
        f'{add()}<span class="rec-title" lang="" dir="auto">{text(card.title)}</span>'
        f'<span class="rec-by" dir="auto">{byline(card)}</span>'
    )


def _elsewhere(item_id: str, other: ColumnInfo, ranks: Mapping[str, int] | None) -> str:
    if ranks is None:
        return ""
    rank = ranks.get(item_id)
    name = text(other.title)
    if rank is None:
        words = tr("not in {model} top {depth}", model=name, depth=COMPARE_DEPTH)
        return f'<span class="elsewhere none">{words}</span>'
    if rank <= LIST_LENGTH:
        words = tr("also #{rank} in {model}", rank=rank, model=name)
        return f'<span class="elsewhere both">{words}</span>'
    words = tr("#{rank} in {model}", rank=rank, model=name)
    return f'<span class="elsewhere">{words}</span>'
