"""What the drawer shows of one item, as HTML strings.

Pure, like app.render, whose rules hold here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.cards import Card
from app.catalog import CatalogItem
from app.catalog.items import NOTES_KEY
from app.columns import ColumnInfo
from app.detail import ColumnDetail, Detail, Explanation
from app.languages import marked, tr
from app.render import byline, cover, info_button, item_data, number, plural, price, text
from app.render_recommendations import item_words

if TYPE_CHECKING:
    from hllm.serving.explain import ScoreChange
    from hllm.serving.item_model import ItemText

MAX_EXTRA_FACTS = 30
MAX_FACT_CHARS = 1000
MAX_TOKENS = 14  # in the band
MAX_HEADLINE_CHARS = 80  # of a title; the drawer cuts a longer one after three lines
SCALARS = (str, int, float)
HOW_WHY = marked(
    "Each model ranked again without one item. To the left: the score falls, so the item speaks "
    "for this one. To the right: it speaks against it."
)


def render_detail(detail: Detail) -> str:
    """Everything about an item; the explanation comes into `.why-body` when it is there."""
    return "".join(
        (
            render_head(detail, "detail"),
            render_standing(detail),
            render_why_part(detail),
            render_description(detail.item),
            render_similar(detail),
            render_given(detail.text),
            render_facts(detail.item),
        )
    )


def render_inside(detail: Detail) -> str:
    """Its tokens and the first numbers of its embedding, for the band "How it works"."""
    given = detail.text
    if given is None or not detail.embedding:
        return ""
    shown = given.tokens[:MAX_TOKENS]
    tokens = "".join(f"<span>{text(token) or '&nbsp;'}</span>" for token in shown)
    more = given.num_tokens - len(shown)
    rest = f" &hellip; {tr('{count} more', count=number(more))}" if more > 0 else ""
    last = "[ITEM]" if given.has_item_token else tr("mean of all")
    numbers = " ".join(f"{value:+.2f}".replace("-", "−") for value in detail.embedding)
    return (
        f'<p class="opened" lang="" dir="auto">{text(detail.card.title)}</p>'
        f'<p class="tokens" dir="auto">{tokens}{rest} '
        f'<b class="item-token">{last}</b></p>'
        f'<p class="numbers">&rarr; {numbers} &hellip;</p>'
    )


def render_no_detail(sentence: str) -> str:
    """Why there is nothing to show."""
    return f'<p class="column-message" role="note">{text(sentence)}</p>'


def render_why(explanation: Explanation) -> str:
    """One row for each item of the history, with a signed bar for each column."""
    answered = [
        (info, {c.item_id: c for c in found}) for info, found in explanation.columns if found
    ]
    if not answered:
        return "".join(_unavailable(info) for info, _ in explanation.columns)
    heads = "".join(
        f'<th scope="col" class="{text(info.key)}-tone">{text(info.title)}</th>'
        for info, _ in answered
    )
    largest = [max(abs(c.change) for c in found.values()) or 1.0 for _, found in answered]
    rows = "".join(
        f'<tr><th scope="row" dir="auto"><span class="place">{place}</span> {text(card.title)}</th>'
        + "".join(
            _change(found.get(card.item_id), top, info)
            for (info, found), top in zip(answered, largest, strict=True)
        )
        + "</tr>"
        for place, card in enumerate(explanation.history, 1)
    )
    return (
        f'<p class="hint">{text(tr(HOW_WHY))}</p>'
        f'<table class="changes"><thead><tr><th scope="col">{tr("If removed")}</th>{heads}'
        "</tr></thead>"
        + f"<tbody>{rows}</tbody></table>"
        + "".join(_unavailable(info) for info, found in explanation.columns if not found)
    )


def render_head(detail: Detail, source: str) -> str:
    """Cover and byline, and the button that adds the item."""
    card = detail.card
    if card.item_id in detail.history:
        place = detail.history.index(card.item_id) + 1
        action = f'<p class="hint">{tr("Number {place} of this history", place=place)}</p>'
    else:
        action = (
            f'<a role="button" class="button add item" {item_data(card, source)}>'
            f"{tr('Add to your history')}</a>"
        )
    return (
        f'<header class="detail-head">{cover(card)}<div>'
        f'<p class="detail-by" dir="auto">{byline(card)}</p>{action}</div></header>'
    )


def render_standing(detail: Detail) -> str:
    """Where both models rank the item."""
    if detail.is_blind:
        words = tr("During the blind test ranks, reasons and neighbours stay hidden.")
        return f'<p class="hint">{words}</p>'
    if not detail.history:
        words = tr("The history is empty, so nothing is ranked yet.")
        return part(tr("Rank"), f'<p class="hint">{words}</p>')
    if detail.card.item_id in detail.history:
        words = tr("It is in the history: such items are not ranked again.")
        return part(tr("Rank"), f'<p class="hint">{words}</p>')
    places = "".join(_place(column) for column in detail.columns)
    words = tr(
        "Among all items, whatever is filtered. A score is on its own model's scale: compare "
        "ranks, not scores."
    )
    return part(
        tr("Rank for this history"),
        f'<dl class="standing">{places}</dl><p class="hint">{words}</p>',
    )


def _place(column: ColumnDetail) -> str:
    info, found = column.info, column.rank
    if found is None:
        said = f"<dd>{text(info.message or tr('no answer'))}</dd>"
    else:
        total = number(found.num_ranked)
        place = (
            tr("#{rank} of {total}", rank=number(found.rank), total=total)
            if found.rank
            else tr("not among the first {total}", total=total)
        )
        score = tr("score {score}", score=f"{found.score:.3f}")
        said = f"<dd><b>{place}</b> <span>{score}</span></dd>"
    return f'<div><dt class="{text(info.key)}-tone">{text(info.title)}</dt>{said}</div>'


def render_why_part(detail: Detail) -> str:
    """Where the explanation comes, or why there is none."""
    if detail.explains == "no":
        if detail.is_blind or len(detail.history) != 1 or detail.card.item_id in detail.history:
            return ""
        words = tr("The history has one item: without it there is nothing to compare.")
        body = f'<p class="hint">{words}</p>'
    elif detail.explains == "now":
        body = f'<p class="hint">{tr("Computing …")}</p>'
    else:
        words = tr("A large model takes a while to read the history once without each item.")
        body = (
            f'<p class="hint">{words}</p><button type="button" class="button" data-action="why">'
            f"{tr('Compute')}</button>"
        )
    return part(tr("Why: score change if removed"), f'<div class="why-body">{body}</div>')


def _change(found: ScoreChange | None, largest: float, info: ColumnInfo) -> str:
    if found is None:
        return "<td></td>"
    share = min(abs(found.change) / largest, 1.0) * 50
    side = "left" if found.change < 0 else "right"
    sign = "−" if found.change < 0 else "+"
    return (
        f'<td><span class="signed {text(info.key)}-tone" aria-hidden="true">'
        f'<span class="{side}" style="width:{share:.1f}%"></span></span>'
        f"<b>{sign}{abs(found.change):.3f}</b></td>"
    )


def _unavailable(info: ColumnInfo) -> str:
    return f'<p class="hint">{text(info.title)}: {text(info.message)}</p>' if info.message else ""


def render_description(item: CatalogItem) -> str:
    """Its description, if it has one."""
    if not item.description:
        return ""
    return part(
        tr("Description"), f'<p class="prose" lang="" dir="auto">{text(item.description)}</p>'
    )


def render_similar(detail: Detail) -> str:
    """The nearest items in both spaces."""
    lists = [
        (column.info, [(near.item_id, near.cosine) for near in column.similar])
        for column in detail.columns
    ]
    missing = " ".join(column.no_similar for column in detail.columns if column.no_similar)
    return render_spaces(tr("Nearest items by embedding"), missing, lists, detail.cards)


def render_spaces(
    title: str,
    lead: str,
    lists: Sequence[tuple[ColumnInfo, Sequence[tuple[str, float]]]],
    cards: Mapping[str, Card],
) -> str:
    """Two lists beside each other, of item ids with their cosines; "" where both are empty."""
    spaces = "".join(
        f'<div><h4 class="{text(info.key)}-tone">{text(info.title)}</h4>'
        f'<ul class="nears">{_nears(found, cards)}</ul></div>'
        for info, found in lists
        if found
    )
    hint = f'<p class="hint">{text(lead)}</p>' if lead else ""
    return part(title, f'{hint}<div class="spaces">{spaces}</div>') if spaces else ""


def _nears(found: Sequence[tuple[str, float]], cards: Mapping[str, Card]) -> str:
    return "".join(
        f'<li><a role="button" class="near item" {item_data(cards[item_id], "detail")} '
        f'title="{_near_tooltip(cards[item_id], cosine)}">'
        f'{cover(cards[item_id])}<span class="rec-text">{item_words(cards[item_id])}'
        f"</span></a>{info_button(cards[item_id])}</li>"
        for item_id, cosine in found
        if item_id in cards
    )


def _near_tooltip(card: Card, cosine: float) -> str:
    return text(tr("{title}, cosine {cosine}", title=card.title, cosine=f"{cosine:.3f}"))


def render_given(given: ItemText | None) -> str:
    """The text that the Item LLM was given, and its tokens."""
    if given is None:
        return ""
    tokens = plural(given.num_tokens, "token")
    if not given.is_cut:
        said = tr("{tokens}, special ones included.", tokens=tokens)
    elif given.unread:
        said = tr(
            "The first {tokens}, special ones included; the rest was cut off and is struck "
            "through.",
            tokens=tokens,
        )
    else:
        said = tr("The first {tokens}, special ones included; the rest was cut off.", tokens=tokens)
    read = given.text.removesuffix(given.unread)
    unread = f"<s>{text(given.unread)}</s>" if given.unread else ""
    words = f'<p class="given" dir="auto">{text(read)}{unread}</p>' if given.text else ""
    return part(tr("What the Item LLM was given"), f'<p class="hint">{said}</p>{words}')


def render_facts(item: CatalogItem) -> str:
    """Every other field."""
    cost = "" if item.price is None else price(item.price)
    categories, tags = ", ".join(item.categories), ", ".join(item.tags)
    # The columns that these were read from are among the others, too.
    shown = {item.title, categories, tags, item.creator}
    facts = [
        (tr("Title"), item.title if len(item.title) > MAX_HEADLINE_CHARS else ""),
        (tr("Categories"), categories),
        (tr("Tags"), tags),
        (tr("Creator"), item.creator),
        (tr("Year"), "" if item.year is None else str(item.year)),
        (tr("Price"), cost),
        (tr("Popularity"), number(item.popularity) if item.popularity else ""),
        *(fact for fact in _extra_facts(item.extra) if fact[1] not in shown),
        (tr("Id"), item.item_id),
    ]
    rows = "".join(
        f'<dt dir="auto">{text(name)}</dt>'
        f'<dd lang="" dir="auto">{text(value[:MAX_FACT_CHARS])}</dd>'
        for name, value in facts
        if value
    )
    return part(tr("Facts"), f'<dl class="detail-facts">{rows}</dl>')


def _extra_facts(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in extra.items():
        if key == NOTES_KEY or len(found) == MAX_EXTRA_FACTS:
            continue
        if isinstance(value, SCALARS):
            found.append((key, str(value)))
        elif isinstance(value, list) and value and all(isinstance(v, SCALARS) for v in value):
            found.append((key, ", ".join(map(str, value))))
    return found


def part(title: str, body: str) -> str:
    """A part of the drawer under a headline."""
    return f'<section class="detail-part"><h3>{text(title)}</h3>{body}</section>'
