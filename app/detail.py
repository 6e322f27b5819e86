"""What the page asks beside its clicks: all about one item, and what a history's items push.

Off the queue of clicks, so that opening an item waits for no click; how many are answered at once
is bounded here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from app.asking import Asker
from app.cards import Card, make_card
from app.catalog import CatalogItem
from app.catalog.items import text_fields
from app.columns import Column, ColumnInfo
from app.places import place
from app.service import Service
from app.session import History

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.serving.explain import ItemRank, Neighbour, ScoreChange
    from hllm.serving.item_model import ItemText
    from hllm.serving.new_items import Item
    from hllm.serving.ranker import ItemRanker, WholeReading

NUM_SIMILAR = 6
NUMBERS_SHOWN = 6  # of an embedding
MAX_AT_ONCE = 2  # details; of explanations one, since a large model takes minutes for it

# Whether there is an explanation: at once, or when the visitor asks for it since it takes long.
Explains = Literal["no", "now", "request"]


@dataclass(frozen=True)
class ColumnDetail:
    """What one column knows of an item.

    Attributes:
        info: of the column; its message says why there is nothing.
        rank: for the history; None where nothing is ranked.
        similar: nearest items by its item embeddings.
        no_similar: why there are none although the item is ranked, as a sentence; mostly empty.
    """

    info: ColumnInfo
    rank: ItemRank | None
    similar: Sequence[Neighbour]
    no_similar: str = ""


@dataclass(frozen=True)
class Detail:
    """What is shown of an item.

    Attributes:
        item: of the catalogue.
        card: of the item.
        history: the items that count, oldest first.
        columns: HLLM, then baseline.
        text: what the Item LLM was given; None where there is none.
        embedding: its first numbers, as the User LLM reads it; empty where there is no Item LLM.
        cards: of similar items, by item id.
        explains: whether `explain` has something to say.
        is_blind: for a blind test, so that no column was asked.
    """

    item: CatalogItem
    card: Card
    history: tuple[str, ...]
    columns: list[ColumnDetail]
    text: ItemText | None
    embedding: tuple[float, ...]
    cards: dict[str, Card]
    explains: Explains
    is_blind: bool = False


@dataclass(frozen=True)
class Explanation:
    """The change of an item's score if one item of the history were removed, in each column.

    Attributes:
        history: oldest first.
        columns: with the change for each item of the history; None where there is no answer.
    """

    history: list[Card]
    columns: list[tuple[ColumnInfo, list[ScoreChange] | None]]

    @property
    def scaled_changes(self) -> dict[str, float]:
        """Those of the first column that has an answer, by item id, the largest scaled to 1."""
        changes = next((found for _, found in self.columns if found), [])
        largest = max((abs(found.change) for found in changes), default=0.0)
        return {found.item_id: found.change / (largest or 1.0) for found in changes}


class Details(Asker):
    """Answers what the page asks beside its clicks."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._finding = threading.BoundedSemaphore(MAX_AT_ONCE)
        self._explaining = threading.BoundedSemaphore(1)

    @property
    def columns(self) -> list[Column]:
        """Left, then right."""
        return self._service.columns

    def find(self, item_id: str, raw_history: object, *, is_blind: bool = False) -> Detail | None:
        """Everything about an item but the explanation; None if the catalogue does not have it.

        Args:
            item_id: of the item.
            raw_history: what a page sent; see app.session.clean_history.
            is_blind: leave out what tells how a model ranks the item.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        service = self._service
        item = service.catalog.get([item_id]).get(item_id)
        if item is None:
            return None
        history = service.clean(raw_history)
        is_known = item_id in history.item_ids
        is_ranked = bool(history.item_ids) and not is_known and not is_blind
        with place(self._finding):
            columns = [
                column_detail(column, item_id, history.items if is_ranked else ())
                for column in ([] if is_blind else service.columns)
            ]
            reader, text = first_text(service.columns, text_fields(item))
            numbers = _first_numbers(reader, item_id) if reader else ()
        near = dict.fromkeys(n.item_id for column in columns for n in column.similar)
        return Detail(
            item,
            make_card(item, service.covers),
            history.item_ids,
            columns,
            text,
            numbers,
            {card.item_id: card for card in service.cards_of(list(near))},
            _explains(service.columns) if is_ranked and len(history.item_ids) > 1 else "no",
            is_blind,
        )

    def explain(self, item_id: str, raw_history: object) -> Explanation | None:
        """Why an item is ranked where it is; None where nothing can be left out.

        Args:
            item_id: of the item.
            raw_history: what a page sent; see app.session.clean_history.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        service = self._service
        history = service.clean(raw_history)
        ids = history.item_ids
        if len(ids) < 2 or item_id in ids or not service.cards_of([item_id]):
            return None
        with place(self._explaining):
            columns = [
                c.question(lambda r: _named(ids, r.explain(history.items, item_id)))
                for c in service.columns
            ]
        return Explanation(service.history_cards(history), columns)

    def similar(
        self, item_id: str, top_k: int
    ) -> list[tuple[ColumnInfo, Sequence[Neighbour] | None]] | None:
        """The nearest items in each column; None if the catalogue does not have the item.

        Args:
            item_id: of the item.
            top_k: how many at most.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        if not self._service.cards_of([item_id]):
            return None
        with place(self._finding):
            return [c.question(lambda r: r.similar(item_id, top_k)) for c in self.columns]

    def read_whole(self, raw_history: object) -> WholeReading | None:
        """What reading a history takes where nothing is known of it; None without a User LLM.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        history = self._service.clean(raw_history)
        if not history.item_ids:
            return None
        with place(self._explaining):
            found = (c.question(lambda r: r.read_whole(history.items))[1] for c in self.columns)
            return next((whole for whole in found if whole is not None), None)

    def pushes(
        self, raw_history: object, rows: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Which rows of the lists would fall without one item of the history, and how far.

        Args:
            raw_history: what a page sent; see app.session.clean_history.
            rows: item ids by key of the column.

        Returns:
            By column, item of the history and row, the largest fall of a column as 1. Columns whose
            model takes long for it are left out.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        history = self._service.clean(raw_history)
        if len(history.item_ids) < 2:
            return {}
        found = {}
        with place(self._explaining):
            for column in self.columns:
                asked = [row for row in rows.get(column.key, ()) if row not in history.item_ids]
                _, falls = column.question(partial(_falls, history, asked))
                if falls:
                    found[column.key] = falls
        return found


def first_text(
    columns: Sequence[Column], fields: Mapping[str, Any]
) -> tuple[Column | None, ItemText | None]:
    """The first column with an Item LLM, and what that is given of an item."""
    for column in columns:
        _, text = column.question(lambda r: r.item_text(fields))
        if text is not None:
            return column, text
    return None, None


def column_detail(column: Column, item: Item, history: Sequence[Item]) -> ColumnDetail:
    """What one column knows of an item; its rank is for a history that may be empty."""
    info, similar = column.question(lambda r: r.similar(item, NUM_SIMILAR))
    rank, why_none = None, info.message if similar is None else ""
    if history:  # a model may rank what it knows no neighbours of
        info, rank = column.question(lambda r: r.rank_of(history, item))
    return ColumnDetail(info, rank, similar or [], why_none if rank is not None else "")


def _first_numbers(column: Column, item_id: str) -> tuple[float, ...]:
    _, vector = column.question(lambda r: r.item_embedding(item_id))
    return () if vector is None else tuple(vector[:NUMBERS_SHOWN].tolist())


def _named(item_ids: Sequence[str], changes: Sequence[ScoreChange]) -> list[ScoreChange]:
    """Changes under the ids of the history: a model calls written items otherwise."""
    return [replace(c, item_id=i) for i, c in zip(item_ids, changes, strict=True)]


def _falls(
    history: History, rows: Sequence[str], recommender: ItemRanker
) -> dict[str, dict[str, float]]:
    if not rows or not recommender.explains_at_once:
        return {}
    found = [_named(history.item_ids, c) for c in recommender.explain_all(history.items, rows)]
    largest = max((-change.change for changes in found for change in changes), default=0.0)
    falls: dict[str, dict[str, float]] = {item_id: {} for item_id in history.item_ids}
    for row, changes in zip(rows, found, strict=True):
        for change in changes:
            if change.change < 0:
                falls[change.item_id][row] = round(-change.change / largest, 3)
    return falls


def _explains(columns: Sequence[Column]) -> Explains:
    found = [column.question(lambda r: r.explains_at_once)[1] for column in columns]
    if all(answer is None for answer in found):
        return "no"
    return "request" if False in found else "now"
