"""What a visitor can take along: a history and both lists as JSON and CSV, and lines of Python.

Made when somebody asks for it, off the queue of clicks; how many are made at once is bounded here.
"""

from __future__ import annotations

import csv
import io
import json
import threading
from dataclasses import dataclass

from app.api_payloads import model_payload
from app.asking import Asker
from app.catalog import ItemFilter
from app.columns import LIST_LENGTH
from app.languages import speaking
from app.places import place
from app.service import Answer, Service
from app.snippet import Snippet, make_snippet
from app.spreadsheet import harmless

MAX_AT_ONCE = 2
BYTE_ORDER_MARK = "\ufeff"  # or spreadsheets take UTF-8 for an older encoding
COLUMNS = ("list", "rank", "item_id", "title", "creator", "score", "model")


@dataclass(frozen=True)
class Download:
    """A history with what both models recommend for it.

    Attributes:
        as_json, as_csv: texts of files.
        snippet: Python that gives the first list again, or why there is none.
    """

    as_json: str
    as_csv: str
    snippet: Snippet


class Downloads(Asker):
    """Makes downloads."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)

    def make(self, raw_history: object, item_filter: ItemFilter) -> Download | None:
        """Everything that can be taken along of a history; None where it has no item.

        Args:
            raw_history: what a page sent; see app.session.clean_history.
            item_filter: what may be recommended.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        # In files models are named as the API names them, whatever language the page is in.
        with place(self._places), speaking("en"):
            answer = self._service.answer(raw_history, None, item_filter=item_filter)
        if not answer.columns:
            return None
        service = self._service
        return Download(
            to_json(answer, service.catalog_name, item_filter),
            to_csv(answer),
            make_snippet(service.columns, answer, item_filter, service.catalog.place),
        )


def to_json(answer: Answer, catalog_name: str, item_filter: ItemFilter) -> str:
    """The models have the form that the endpoint recommend gives them."""
    values = {
        "catalog": catalog_name,
        "history": [
            {"item_id": card.item_id, "title": card.title, "creator": card.creator}
            for card in answer.history
        ],
        "filter": {
            "category": item_filter.category,
            "min_price": item_filter.min_price,
            "max_price": item_filter.max_price,
        },
        "models": [model_payload(column, answer, LIST_LENGTH) for column in answer.columns],
    }
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def to_csv(answer: Answer) -> str:
    """A row for each item of the history and of both lists, for a spreadsheet: no formulas."""
    rows: list[tuple[object, ...]] = [COLUMNS]
    for place_in_history, card in enumerate(answer.history, 1):
        rows.append(("history", place_in_history, card.item_id, card.title, card.creator, "", ""))
    for column in answer.columns:
        model = model_payload(column, answer, LIST_LENGTH)
        for item in model["items"]:
            card = answer.cards[item["item_id"]]
            texts = (card.item_id, card.title, card.creator)
            rows.append((model["name"], item["rank"], *texts, item["score"], model["model"]))
    file = io.StringIO()
    csv.writer(file).writerows([harmless(cell) for cell in row] for row in rows)
    return BYTE_ORDER_MARK + file.getvalue()
