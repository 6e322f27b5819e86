"""Encodes what a visitor writes, and says what both models make of it: nothing of it is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.asking import Asker
from app.cards import Card, make_card
from app.catalog import CatalogItem
from app.catalog.items import text_fields
from app.columns import Column, ColumnInfo
from app.detail import NUM_SIMILAR, Detail, column_detail, first_text
from app.places import place
from app.service import Service
from app.written import cover_address

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.recommend import Recommendation

MAX_AT_ONCE = 2


@dataclass(frozen=True)
class Writing:
    """What is shown of a written item.

    Attributes:
        is_wish: it is a wish: what is near it is wanted.
        detail: as of an item of the catalogue, without an explanation.
        lead: which column speaks for what was written: the first whose model reads texts.
        unread: names of the fields that were written and that its model does not read.
        encode_ms: by key of the column: that its encoder took; those that have answered.
        alone: by key of the column: what it recommends for a history of a wish alone.
    """

    is_wish: bool
    detail: Detail
    lead: int
    unread: list[str]
    encode_ms: Mapping[str, float]
    alone: Mapping[str, Sequence[Recommendation]]


class Writer(Asker):
    """Answers what the page asks about written items."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)

    def prepare(self) -> ColumnInfo:
        """Load what encodes texts; the first column whose model reads them says what came of it.

        Raises:
            BusyError: too many ask at once.
        """
        with place(self._places):
            columns = self._service.columns
            infos = [column.question(lambda r: r.load_item_encoder())[0] for column in columns]
        return infos[_lead(columns)]

    def write(self, item: CatalogItem, raw_history: object, *, is_wish: bool) -> Writing:
        """What both models make of a written item.

        Args:
            item: see app.written.
            raw_history: what a page sent; see app.session.clean_history.
            is_wish: it is a wish: also ask what is recommended for it alone.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        service, fields = self._service, text_fields(item)
        history = service.clean(raw_history)
        ranked_for = () if is_wish or item.item_id in history.item_ids else history.items
        encode_ms, alone, columns = {}, {}, []
        with place(self._places):
            for column in service.columns:
                info, new = column.question(lambda r: r.new_item(fields))
                if new is not None:
                    encode_ms[column.key] = new.encode_ms
                if is_wish and (found := column.ask([fields], NUM_SIMILAR).result):
                    alone[column.key] = found.items
                known = column_detail(column, fields, ranked_for)
                columns.append(known if new is not None else replace(known, info=info))
            _, text = first_text(service.columns, fields)
        near = [near.item_id for column in columns for near in column.similar]
        near += [found.item_id for items in alone.values() for found in items]
        detail = Detail(
            item,
            own_card(item),
            history.item_ids,
            columns,
            text,
            (),
            {card.item_id: card for card in service.cards_of(list(dict.fromkeys(near)))},
            "no",
        )
        lead = _lead(service.columns)
        unread = _unread(fields, service.columns[lead].info())
        return Writing(is_wish, detail, lead, unread, encode_ms, alone)


def _lead(columns: Sequence[Column]) -> int:
    """The first column whose model reads texts, as far as that is known; 0 where none does."""
    infos = [column.info() for column in columns]
    reading = (at for at, info in enumerate(infos) if info.reads or info.state == "loading")
    return next(reading, 0)


def _unread(fields: Mapping[str, Any], info: ColumnInfo) -> list[str]:
    """Names of fields that say something and that a column does not read; [] until it is loaded."""
    return [
        name for name, value in fields.items() if value and info.reads and name not in info.reads
    ]


def own_card(item: CatalogItem) -> Card:
    """The card of a written item, its drawn cover in it."""
    return replace(make_card(item), cover=cover_address(item))
