"""What the page can ask: browse the catalogue, recommend for a history, note a click.

Plain functions over the catalogue and two recommenders. Nothing about a visitor is kept between
calls; every call brings the whole history.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cards import Card, make_card
from app.catalog import NO_FILTER, Catalog, CatalogItem, ItemFilter, Query, Sort
from app.catalog.opening import open_events
from app.columns import COMPARE_DEPTH, LIST_LENGTH, Column, ColumnAnswer
from app.errors import AwayError, CatalogError
from app.event_log import EventLog
from app.examples import MAX_ITEMS, Example, book_examples, catalog_examples
from app.filter_rows import FilterRows
from app.interleaving import Draft, coin_of, interleave, list_id_of
from app.item_map import ItemMap
from app.line import Line
from app.models import KEYS, Models
from app.option_values import BOOKS
from app.session import BrowseRequest, Click, History, WhatIf, clean_history

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.recommend import ItemRanker

PAGE_SIZE = 48

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrowsePage:
    """Part of the catalogue; `total` is None where counting would take too long."""

    cards: list[Card]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True)
class BlindList:
    """The one list of a blind test.

    Attributes:
        list_id: of this list: seed, history and filter.
        drafts: its items; `team` is the number of the column that drafted one.
    """

    list_id: str
    drafts: list[Draft]


@dataclass(frozen=True)
class Answer:
    """What the page shows for a history.

    Attributes:
        history: the items that count, oldest first.
        notices: what was left out of the history, as sentences.
        columns: HLLM, then baseline; empty if the history is.
        cards: of everything that the columns rank highest, by item id.
        popular: shown instead of columns if the history is empty.
        warming: a recommender is still loading: ask again soon.
        items: of the history as recommenders take them: item ids, and texts of written items.
        example: name of the example whose history this is; "" for one of the visitor's own.
        blind: drafted from both columns; None where it was not asked for, or one has no answer.
    """

    history: list[Card]
    notices: tuple[str, ...]
    columns: list[ColumnAnswer] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)
    popular: list[Card] = field(default_factory=list)
    warming: bool = False
    example: str = ""
    items: Sequence[str | dict[str, str]] = ()
    blind: BlindList | None = None


class Service:
    """The app without its page.

    Args:
        catalog: an open catalogue.
        columns: HLLM and baseline; None: those of `models`, as they are when they are asked.
        filter_rows: what filters allow; default: made here, not prepared.
        events: where to note what is shown and clicked; default: beside the catalogue.
        covers: folder with pictures, or None.
        built_in: the catalogue is the built-in one, which has examples by name.
        models: from which a visitor may choose two; None: the columns are all there is.
        counts_picks: the columns are HLLM and the MiniLM baseline, as which what is shown and
            picked is recorded; of other models nothing is.
        name: of the catalogue in addresses and questions of the page.

    Attributes:
        installed: the services of all catalogues that the app was started with, by name; of each
            the same ones, which whoever starts the app says.
    """

    def __init__(
        self,
        catalog: Catalog,
        columns: Sequence[Column] | None,
        *,
        filter_rows: FilterRows | None = None,
        events: EventLog | None = None,
        covers: Path | None = None,
        built_in: bool = False,
        models: Models | None = None,
        counts_picks: bool = True,
        name: str = BOOKS,
    ) -> None:
        self.catalog = catalog
        self.line = Line()
        self._columns = None if columns is None else list(columns)
        self.models = models
        self.name = name
        self.installed: Mapping[str, Service] = {self.name: self}
        self.pair = models.default if models else KEYS
        self.counts_picks = counts_picks
        self.item_map = ItemMap(lambda: self.columns, catalog)
        self.covers = covers
        self.events = events or EventLog(open_events(catalog.place))
        self._filter_rows = filter_rows or FilterRows(catalog)
        self.catalog_name = catalog.name
        # Under which browsers keep the history of this catalogue, and links name it.
        self.key = hashlib.sha256(self.catalog_name.encode()).hexdigest()[:12]
        self.num_items = catalog.num_items
        self.categories = catalog.categories()
        self.price_range = catalog.filters.price_range()
        self.has_popularity = catalog.filters.has_popularity()
        self.is_built_in = built_in
        self.examples = self._make_examples()

    @property
    def columns(self) -> list[Column]:
        """Left, then right."""
        if self._columns is not None:
            return self._columns
        assert self.models is not None
        return self.models.columns_of(self.pair)

    @property
    def model_names(self) -> tuple[str, str]:
        """Of both columns, for the operator: their keys where HLLM and the baseline stand there."""
        return KEYS if self.counts_picks else self.pair

    def in_catalog(self, raw: Any) -> Service:
        """The service of the catalogue that a question names; this one where it names none.

        Args:
            raw: what a page sent; of a dictionary `catalog` counts.

        Raises:
            CatalogError: there is no such catalogue. app.gate does not let such a question in:
                no history is ever asked of another catalogue than its own.
        """
        name = raw.get("catalog") if isinstance(raw, dict) else None
        if name is None:
            return self
        if not isinstance(name, str) or name not in self.installed:
            raise CatalogError("This catalogue is not installed here.")
        return self.installed[name]

    def seen_with(self, raw: Any) -> Service:
        """The service of a question's catalogue and its two models, for that question alone.

        Args:
            raw: what a page sent; of a dictionary `catalog` counts, see in_catalog, and `models`,
                two names of what is installed. For anything else these are the models that the
                catalogue is shown with first.

        Raises:
            CatalogError: see in_catalog.
        """
        service = self.in_catalog(raw)
        if service.models is None:
            return service
        pair = service.models.pair_of(raw.get("models") if isinstance(raw, dict) else None)
        if pair == service.pair and service._columns is not None:
            return service
        view = copy.copy(service)
        view.counts_picks = service.counts_picks and pair == service.pair
        view.pair, view._columns = pair, service.models.columns_of(pair)
        return view

    def cards_of(self, item_ids: Sequence[str]) -> list[Card]:
        """The cards of those items that exist, in the order asked for."""
        items = self.catalog.get(item_ids)
        return [make_card(items[i], self.covers) for i in item_ids if i in items]

    def browse(self, request: BrowseRequest) -> BrowsePage:
        """One page of the catalogue; a cursor that cannot be read starts at the first page."""
        # What is searched for by name comes first; among the rest the order is the same.
        by_popularity = request.sort == "popularity"
        sort: Sort = "relevance" if by_popularity and request.text else request.sort
        query = Query(search=request.text, category=request.category, sort=sort)
        try:
            page = self.catalog.page(query, cursor=request.cursor, limit=PAGE_SIZE)
        except ValueError:
            page = self.catalog.page(query, limit=PAGE_SIZE)
        return BrowsePage(self._cards(page.items), page.next_cursor, page.total)

    def history_cards(self, history: History) -> list[Card]:
        """The cards of a history; those of written items have no cover, which their page has."""
        cards = {card.item_id: card for card in self.cards_of(history.item_ids)}
        for item_id, item in history.written.items():
            cards[item_id] = replace(make_card(item), cover="")
        return [cards[item_id] for item_id in history.item_ids if item_id in cards]

    def clean(self, raw_history: object) -> History:
        """Check a history that a page sent."""
        return clean_history(raw_history, self.catalog.get)

    def answer(
        self,
        raw_history: object,
        session_id: str | None,
        top_k: int = LIST_LENGTH,
        item_filter: ItemFilter = NO_FILTER,
        with_example: bool = False,
        blind_seed: str = "",
        what_if: WhatIf | None = None,
        question: str = "",
    ) -> Answer:
        """Recommend for a history, or show popular items if it is empty.

        Args:
            raw_history: what a page or program sent; anything that is not a history is left out.
            session_id: random id of a visitor's page, to record what was shown; None: it is not.
            top_k: how many recommendations of each column will be shown, up to COMPARE_DEPTH.
            item_filter: what may be recommended; the popular items are those of everything.
            with_example: for an empty history take the first example's, to show what the page is.
            blind_seed: of a blind test: one list is drafted from both columns; "" for none.
            what_if: the history is one that the visitor does not have, and nothing is recorded.
            question: of the session's: asked again, of another replica, it is recorded once.
        """
        session_id = session_id if what_if is None else None
        history, example = self.clean(raw_history), ""
        if with_example and not history.item_ids and self.examples:
            example = self.examples[0].name
            history = self.clean([card.item_id for card in self.examples[0].cards])
        cards = self.history_cards(history)
        if not cards:
            popular = self._cards(self.catalog.popular(LIST_LENGTH))
            self._record_shown(session_id, question, "popular", [c.item_id for c in popular])
            return Answer([], history.notices, popular=popular)
        columns = self._ask(history, item_filter, what_if)
        blind = _drafted(blind_seed, history, item_filter, columns) if blind_seed else None
        if blind_seed:
            shown = self._shown_drafts(session_id, question, blind)
        else:
            shown = [self._shown(session_id, question, column, top_k) for column in columns]
        found = self.cards_of(list(dict.fromkeys(i for ids in shown for i in ids)))
        return Answer(
            cards,
            history.notices,
            columns=columns,
            cards={card.item_id: card for card in found},
            warming=any(column.info.state == "loading" for column in columns),
            example=example,
            items=history.items,
            blind=blind,
        )

    def blind_list(self, history: History, item_filter: ItemFilter, seed: str) -> BlindList | None:
        """The list of a blind test, the same one as in the answer; None where there is none.

        Args:
            history: checked, of one item at least.
            item_filter: what may be recommended.
            seed: of the test.
        """
        return _drafted(seed, history, item_filter, self._ask(history, item_filter))

    def record_click(self, click: Click) -> bool:
        """Note a click on an item of the catalogue; never fails.

        Returns:
            Whether it is stored, or never will be; otherwise it may be told again.
        """
        if click.source in KEYS and not self.counts_picks:
            return True
        try:
            if not self.catalog.get([click.item_id]):
                return True
        except AwayError:  # said by the catalogue, once
            return False
        except CatalogError as error:  # the answer to the same click says it on the page
            logger.warning("A click is not recorded: %s", error)
            return False
        return self.events.add(
            click.session_id, "clicked", click.source, [click.item_id], click.rank, click.key
        ).is_stored()

    def let_go(self, column: Column) -> None:
        """Keep nothing of a column whose model is to leave memory."""
        self._filter_rows.forget()
        self.item_map.forget(column)

    def close(self) -> None:
        """Write the last events and close the files, of all catalogues."""
        for service in self.installed.values():
            service.events.close()
            service.catalog.close()

    def _ask(
        self, history: History, item_filter: ItemFilter, what_if: WhatIf | None = None
    ) -> list[ColumnAnswer]:
        allowed = partial(self._filter_rows.rows, item_filter) if item_filter else None
        reranking = self._reranking(what_if)
        return [
            column.ask(history.items, COMPARE_DEPTH, allowed, reranking) for column in self.columns
        ]

    def _shown(
        self, session_id: str | None, question: str, column: ColumnAnswer, top_k: int
    ) -> list[str]:
        if column.result is None:
            return []
        item_ids = [item.item_id for item in column.result.items[:top_k]]
        self._record_shown(session_id, question, column.info.key, item_ids)
        return item_ids

    def _shown_drafts(
        self, session_id: str | None, question: str, blind: BlindList | None
    ) -> list[list[str]]:
        if blind is None:
            return []
        item_ids = [draft.item_id for draft in blind.drafts]
        self._record_shown(session_id, question, "blind", item_ids)
        return [item_ids]

    def _reranking(self, what_if: WhatIf | None) -> Callable[[ItemRanker], dict[str, Any]] | None:
        """Options of a recommender for the sliders; None where both are at 0."""
        if what_if is None or not (what_if.diversity or what_if.less_popular):
            return None
        options: dict[str, Any] = {"diversity": what_if.diversity}
        if not what_if.less_popular:
            return lambda recommender: options
        options["less_popular"] = what_if.less_popular
        popularity = self._filter_rows.popularity
        return lambda recommender: {**options, "popularity": popularity(recommender)}

    def _record_shown(
        self, session_id: str | None, question: str, what: str, item_ids: list[str]
    ) -> None:
        # Under the key of a column another model would be taken for the usual one.
        if session_id is not None and (self.counts_picks or what not in (*KEYS, "blind")):
            key = f"{question}-{what}" if question else ""
            self.events.add(session_id, "shown", what, item_ids, key=key)

    def _cards(self, items: Sequence[CatalogItem]) -> list[Card]:
        return [make_card(item, self.covers) for item in items]

    def _make_examples(self) -> list[Example]:
        if self.is_built_in:
            return book_examples(self.cards_of)

        def popular_in(category: str) -> list[Card]:
            page = self.catalog.page(Query(category=category), limit=3 * MAX_ITEMS)
            return self._cards(page.items)

        return catalog_examples(self.categories, self.num_items, popular_in)


def blind_list_id(seed: str, history: Sequence[str], item_filter: ItemFilter) -> str:
    """The id of a list of a blind test, whether it can be drafted or not."""
    return list_id_of(seed, list(history), astuple(item_filter))


def _drafted(
    seed: str, history: History, item_filter: ItemFilter, columns: Sequence[ColumnAnswer]
) -> BlindList | None:
    rankings = [[item.item_id for item in c.result.items] for c in columns if c.result is not None]
    if len(rankings) < len(columns):
        return None
    list_id = blind_list_id(seed, history.item_ids, item_filter)
    first, second = rankings
    return BlindList(list_id, interleave(first, second, coin_of(list_id), LIST_LENGTH))
