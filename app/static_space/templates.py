"""What app.render* makes of an item, with gaps in the place of what is the item's.

A page without a server draws lists itself. So that there is one look and not two, the same Python
functions draw an item whose texts are names of gaps, such as "⟦title⟧", and the page's script
(assets/page/static_render.js) puts texts into the gaps, escaped. HTML that it has made itself goes
into gaps such as "⟦=rows⟧".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from app.cards import Card
from app.catalog import CatalogItem, ItemFilter
from app.catalog.filters import NO_FILTER
from app.columns import ColumnAnswer, ColumnInfo
from app.detail import ColumnDetail, Detail, Explains, Explanation
from app.render import byline, link_of, render_cards, render_no_cards, tooltip
from app.render_detail import (
    render_head,
    render_no_detail,
    render_similar,
    render_standing,
    render_why,
    render_why_part,
)
from app.render_recommendations import nothing_left, render_column
from app.session import BrowseRequest

if TYPE_CHECKING:
    from hllm.recommend import Recommendations

# Texts of an item, and of one that has a price of its own: what is computed stays recognisable.
ITEM = Card("⟦id⟧", "⟦title⟧", "⟦creator⟧", "⟦year⟧", "⟦cover⟧", "⟦about⟧")
# Numbers that occur nowhere else in what is drawn.
SCORE, RANK, OTHER_RANK, LISTED_RANK, COUNT = 0.625, 7_777, 88, 9, 987_654_321
LOW, HIGH = 111.11, 222.22
ROWS = "⟦=rows⟧"


def templates(infos: Sequence[ColumnInfo], catalog_size: int) -> dict[str, str]:
    """Templates by name.

    Args:
        infos: of the columns, HLLM first, as they are when they answer.
        catalog_size: number of items.
    """
    return {
        "card": of_item(render_cards([ITEM])),
        **_nothing_found(catalog_size),
        **_nothing_left(),
        **{k: v for at, info in enumerate(infos) for k, v in _column(info, infos[1 - at]).items()},
        **_detail(infos),
        **_explanation(infos),
        "no detail": render_no_detail("This item is not in this catalogue."),
    }


def of_item(html: str) -> str:
    """Gaps in the place of what functions of app.render made of several texts of ITEM."""
    made = {
        byline(ITEM): "⟦byline⟧",
        tooltip(ITEM): "⟦tooltip⟧",
        link_of(ITEM.item_id): "⟦link⟧",
    }
    for text, gap in made.items():
        html = html.replace(text, gap)
    return html


def gaps(html: str, places: Mapping[str, str]) -> str:
    """Gaps in the place of texts, all of which must be there.

    Raises:
        ValueError: one is not: what draws this has changed.
    """
    for text, gap in places.items():
        if text not in html:
            raise ValueError(f"there is no {text!r} for {gap} in {html!r}")
        html = html.replace(text, gap)
    return html


def split(html: str, pattern: str, gap: str) -> tuple[str, str]:
    """What is around the first match of a pattern, with a gap in its place, and the match."""
    found = re.search(pattern, html, re.S)
    if not found:
        raise ValueError(f"there is nothing like {pattern!r} in {html!r}")
    return html[: found.start()] + gap + html[found.end() :], found[0]


def _nothing_found(catalog_size: int) -> dict[str, str]:
    asked = product(("", "⟦text⟧"), ("", "⟦category⟧"))
    return {
        f"nothing found{' text' if text else ''}{' category' if category else ''}": render_no_cards(
            BrowseRequest(text=text, category=category), catalog_size
        )
        for text, category in asked
    }


def _nothing_left() -> dict[str, str]:
    found = {"nothing left": nothing_left(NO_FILTER, 0)}
    bounds = product(("", "⟦category⟧"), (None, LOW), (None, HIGH), (0, 1))
    for category, low, high, candidates in bounds:
        item_filter = ItemFilter(category=category, min_price=low, max_price=high)
        if not item_filter:
            continue
        named = {"category": category, "low": low, "high": high, "candidates": candidates}
        name = " ".join(["nothing left", *(word for word, value in named.items() if value)])
        html = nothing_left(item_filter, candidates)
        prices = {str(LOW): "⟦low⟧"} if low else {}
        prices |= {str(HIGH): "⟦high⟧"} if high else {}
        found[name] = gaps(html, prices)
    return found


def _column(info: ColumnInfo, other: ColumnInfo) -> dict[str, str]:
    """Head, list and row of one column, and what stands there without a list."""
    key = info.key
    drawn = _drawn(info, other, {})
    head, start, rest = drawn.partition("<ol")
    around, _ = split(start + rest, "<li>.*</li>", ROWS)
    reranked = _drawn(info, other, {}, by_score=SCORE + 0.5).partition("<ol")[0]
    ranks: dict[str, dict[str, int] | None] = {
        "alone": None,
        "none": {},
        "both": {ITEM.item_id: LISTED_RANK},
        "one": {ITEM.item_id: OTHER_RANK},
    }
    rows = {
        name: split(_drawn(info, other, found), "<li>.*</li>", "")[1]
        for name, found in ranks.items()
    }
    loading = replace(
        info, state="loading", message=f"{info.title} is warming up; recommendations follow."
    )
    failed = ColumnInfo(key, info.title, "failed", message="⟦message⟧")
    blank = ColumnAnswer(other, None)
    candidates = {f"{COUNT:,} items": "⟦candidates⟧"}
    cost = {
        "costs 0.500": "costs ⟦cost⟧",
        "1 of 1 item replaced": "⟦replaced⟧ of ⟦listed⟧ replaced",
    }
    row = {str(RANK): "⟦rank⟧", str(SCORE): "⟦score⟧", "width:100.0%": "width:⟦width⟧%"}
    return {
        f"{key} head": gaps(head, candidates),
        f"{key} head reranked": gaps(reranked, candidates | cost),
        f"{key} list": around,
        f"{key} row alone": gaps(of_item(rows["alone"]), row),
        f"{key} row none": gaps(of_item(rows["none"]), row),
        f"{key} row both": gaps(of_item(rows["both"]), {**row, f"#{LISTED_RANK} ": "#⟦other⟧ "}),
        f"{key} row one": gaps(of_item(rows["one"]), {**row, f"#{OTHER_RANK} ": "#⟦other⟧ "}),
        f"{key} loading": render_column(ColumnAnswer(loading, None), blank, {}),
        f"{key} failed": render_column(ColumnAnswer(failed, None), blank, {}),
    }


def _drawn(
    info: ColumnInfo,
    other: ColumnInfo,
    ranks: Mapping[str, int] | None,
    by_score: float | None = None,
) -> str:
    """A column with one row; ranks: of items in the other one, None where that has no answer."""
    from hllm.recommend import Recommendation, Recommendations  # noqa: PLC0415  imports torch

    def found(score: float, rank: int) -> list[Recommendation]:
        return [Recommendation(ITEM.item_id, score, rank)]

    best = [Recommendation("another", by_score, 1)] if by_score else None
    result: Recommendations = Recommendations(found(SCORE, RANK), 0, 0, COUNT, 0, 0, best)
    beside = [Recommendation(item_id, SCORE, rank) for item_id, rank in (ranks or {}).items()]
    others = None if ranks is None else Recommendations(beside, 0, 0, COUNT, 0, 0)
    cards = {ITEM.item_id: ITEM}
    return render_column(ColumnAnswer(info, result), ColumnAnswer(other, others), cards)


def _detail(infos: Sequence[ColumnInfo]) -> dict[str, str]:
    """The parts of the drawer that depend on the history, or are lists of items."""
    from hllm.serving.explain import ItemRank, Neighbour  # noqa: PLC0415  imports torch

    ranks = [ItemRank(ITEM.item_id, SCORE + at, RANK - at, COUNT - at) for at in range(len(infos))]
    near = [Neighbour(ITEM.item_id, SCORE)]
    columns = [ColumnDetail(info, rank, near) for info, rank in zip(infos, ranks, strict=True)]

    def detail(*history: str, explains: Explains = "no") -> Detail:
        item = CatalogItem(item_id=ITEM.item_id)
        cards = {ITEM.item_id: ITEM}
        return Detail(item, ITEM, history, columns, None, (), cards, explains)

    places: dict[str, str] = {}
    for at, info in enumerate(infos):
        places |= {
            f"#{RANK - at:,} of {COUNT - at:,}": f"#⟦{info.key} rank⟧ of ⟦{info.key} ranked⟧",
            f"score {SCORE + at:.3f}": f"score ⟦{info.key} score⟧",
        }
    similar = render_similar(detail())
    rows = {}
    for info in infos:  # the lists come one after the other
        similar, rows[info.key] = split(similar, "<li>.*?</li>", f"⟦={info.key}⟧")
    cosine = {f"cosine {SCORE:.3f}": "cosine ⟦cosine⟧"}
    number_seven = gaps(
        render_head(detail(*"abcdef", ITEM.item_id), "detail"), {"Number 7 ": "Number ⟦place⟧ "}
    )
    return {
        "head": of_item(render_head(detail(), "detail")),
        "head known": of_item(number_seven),
        "standing empty": render_standing(detail()),
        "standing known": render_standing(detail(ITEM.item_id)),
        "standing": gaps(render_standing(detail("another")), places),
        "why one": render_why_part(detail("another")),
        "why": render_why_part(detail("another", "more", explains="now")),
        "similar": similar,
        "near": of_item(gaps(rows[infos[0].key], cosine)),
    }


def _explanation(infos: Sequence[ColumnInfo]) -> dict[str, str]:
    """The table of what each item of the history does to a score."""
    from hllm.serving.explain import ScoreChange  # noqa: PLC0415  imports torch

    cells = {}
    for sign, name in ((-1, "less"), (1, "more")):
        changes = [ScoreChange(ITEM.item_id, sign * SCORE)]
        html = render_why(Explanation([ITEM], [(info, changes) for info in infos]))
        table, row = split(html, r"<tr><th scope=\"row\".*</tr>", ROWS)
        for info in infos:
            row, cell = split(row, "<td>.*?</td>", f"⟦={info.key}⟧")
            places = {"width:50.0%": "width:⟦width⟧%", f"{SCORE:.3f}": "⟦change⟧"}
            cells[f"change {info.key} {name}"] = gaps(cell, places)
    place = {'<span class="place">1</span>': '<span class="place">⟦place⟧</span>'}
    return {"why table": table, "why row": gaps(row, place), **cells}
