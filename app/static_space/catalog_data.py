"""The catalogue as data of a page without a server: cards, orders, words to search, details."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cards import Card, make_card
from app.catalog import Catalog, CatalogItem, Query, Sort, text_fields
from app.catalog.search import MAX_COUNT, MAX_LIMIT
from app.catalog.search_text import (
    MAX_QUERY_CHARS,
    MAX_QUERY_TOKENS,
    MAX_TOKEN_CHARS,
    TITLE_MARK,
)
from app.catalog.write import search_tokens
from app.columns import COMPARE_DEPTH, LIST_LENGTH
from app.detail import NUM_SIMILAR, NUMBERS_SHOWN, Detail
from app.examples import Example
from app.models_payload import shown_payload
from app.render import byline_words, tooltip
from app.render_detail import render_description, render_facts, render_given, render_inside
from app.render_recommendations import render_popular
from app.service import PAGE_SIZE, Service
from app.session import MAX_HISTORY, MAX_PRICE, MAX_ROWS, MAX_SEARCH_CHARS, SORTS
from app.static_space.files import write_json

if TYPE_CHECKING:
    from hllm.serving.ranker import ItemRanker

DETAILS_PER_FILE = 128  # of what the drawer shows: one file is loaded when it opens
WORDS_PER_FILE = 4000  # items; all of these files are loaded for the first search
LIMITS = {
    "history": MAX_HISTORY,
    "list": LIST_LENGTH,
    "compare": COMPARE_DEPTH,
    "page": PAGE_SIZE,
    "count": MAX_COUNT,
    "similar": NUM_SIMILAR,
    "rows": MAX_ROWS,
    "price": MAX_PRICE,
    "search": min(MAX_SEARCH_CHARS, MAX_QUERY_CHARS),
    "words": MAX_QUERY_TOKENS,
    "word": MAX_TOKEN_CHARS,
}


def in_order(catalog: Catalog, sort: Sort) -> Iterator[CatalogItem]:
    """All items as the catalogue sorts them."""
    cursor = None
    while True:
        page = catalog.page(Query(sort=sort), cursor=cursor, limit=MAX_LIMIT)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def catalog_data(
    service: Service, items: Sequence[CatalogItem], covers: Sequence[str]
) -> dict[str, Any]:
    """What the page needs of every item before anything is clicked.

    Args:
        service: over the catalogue.
        items: all, the most popular first: an item's place in it is its number.
        covers: their addresses.
    """
    number_of = {item.item_id: number for number, item in enumerate(items)}
    cards = [with_cover(item, cover) for item, cover in zip(items, covers, strict=True)]
    names = sorted({name for item in items for name in item.categories})
    category_of = {name: number for number, name in enumerate(names)}

    def numbers(item_ids: Sequence[str]) -> list[int]:
        return [number_of[item_id] for item_id in item_ids]

    return {
        "limits": LIMITS,
        "mark": TITLE_MARK,
        "categoryNames": names,
        "orders": {
            sort: numbers([item.item_id for item in in_order(service.catalog, sort)])
            for sort in SORTS
            if sort != "popularity"
        },
        "items": {
            "id": [card.item_id for card in cards],
            "title": [card.title for card in cards],
            "creator": [card.creator for card in cards],
            "byline": [byline_words(card) for card in cards],
            "tooltip": [tooltip(card) for card in cards],
            "cover": list(covers),
            "price": [item.price for item in items],
            "popularity": [item.popularity for item in items],
            "categories": [[category_of[name] for name in item.categories] for item in items],
        },
        "hasPopularity": service.has_popularity,
        "examples": [
            {"name": example.name, "items": numbers([card.item_id for card in example.cards])}
            for example in service.examples
        ],
        "popular": _popular(service.examples, cards, number_of),
        "shown": shown_payload(service),
    }


def _popular(examples: Sequence[Example], cards: Sequence[Card], number_of: dict[str, int]) -> str:
    """What stands in the place of the lists while the history is empty."""
    shown = [
        Example(example.name, tuple(cards[number_of[card.item_id]] for card in example.cards))
        for example in examples
    ]
    return render_popular(cards[:LIST_LENGTH], shown)


def with_cover(item: CatalogItem, cover: str) -> Card:
    """The card of an item, its cover a file of the page."""
    return replace(make_card(item), cover=cover)


def write_words(folder: Path, items: Sequence[CatalogItem]) -> list[str]:
    """The words of every item, as the full-text index of the catalogue has them."""
    return [
        write_json(
            folder,
            f"data/words-{start // WORDS_PER_FILE}.json.gz",
            [search_tokens(item) for item in items[start : start + WORDS_PER_FILE]],
        )
        for start in range(0, len(items), WORDS_PER_FILE)
    ]


def write_details(
    folder: Path, service: Service, hllm: ItemRanker, items: Sequence[CatalogItem]
) -> int:
    """What the drawer shows of each item whatever the history is; gives the items per file.

    Args:
        folder: of the page.
        service: over the catalogue.
        hllm: tells what its Item LLM was given.
        items: in the order of their numbers.
    """
    for start in range(0, len(items), DETAILS_PER_FILE):
        part = items[start : start + DETAILS_PER_FILE]
        write_json(
            folder,
            f"data/details-{start // DETAILS_PER_FILE}.json.gz",
            [_detail(hllm, item) for item in part],
        )
    return DETAILS_PER_FILE


def _detail(hllm: ItemRanker, item: CatalogItem) -> list[str]:
    """Before and behind the neighbours, and for the band "How it works"."""
    given = hllm.item_text(text_fields(item))
    numbers = hllm.item_embedding(item.item_id)[:NUMBERS_SHOWN].tolist() if given else ()
    shown = Detail(item, make_card(item), (), [], given, tuple(numbers), {}, "no")
    behind = render_given(given) + render_facts(item)
    return [render_description(item), behind, render_inside(shown)]
