"""What goes between the page and the server: the names of every payload, and the payloads made.

The TypedDicts are the contract. assets/page/contract.js has them for the scripts under the same
names; a test holds the two together. What a page sends can be anything, whatever the types here
say: app.session checks it.
"""

import logging
from typing import Any, TypedDict

from app.cards import Card
from app.catalog import ItemFilter
from app.columns import LIST_LENGTH
from app.detail import Details
from app.errors import CatalogError
from app.examples import Example
from app.render import plural, render_cards, render_no_cards
from app.render_detail import render_detail, render_no_detail, render_why
from app.render_recommendations import render_column, render_popular, summary
from app.service import Answer, Service
from app.session import (
    clean_browse,
    clean_detail,
    clean_filter,
    clean_session_id,
    clean_session_ids,
)
from hllm.errors import HLLMError

TOO_MANY = "Too many visitors at once: try again in a few seconds."

logger = logging.getLogger(__name__)


class ItemPayload(TypedDict):
    """An item of the history; the page sets its texts as text, never as markup."""

    id: str
    title: str
    creator: str
    cover: str


class FilterPayload(TypedDict):
    """Which items are recommended: "" and None mean: no bound."""

    category: str
    min_price: float | None
    max_price: float | None


class AnswerRequest(TypedDict):
    """The page asks for recommendations.

    Attributes:
        version: grows with every request of a page; the answer carries it.
        history: item ids, oldest first.
        filter: what may be recommended.
        session: random id of the browser tab.
        example: while the history is empty, answer for the first example.
    """

    version: int
    history: list[str]
    filter: FilterPayload
    session: str
    example: bool


class ExamplePayload(TypedDict):
    """A named history to start from."""

    name: str
    items: list[ItemPayload]


class AnswerPayload(TypedDict):
    """Everything that the page shows for a history.

    Attributes:
        version: of the request.
        history: the items that count, oldest first.
        filter: the one that was applied.
        notices: what was left out of history and filter, as sentences.
        warming: a recommender is still loading: ask again soon.
        agreement: how far the columns agree, as text.
        live: what a screen reader says, and what stands above the columns.
        start: HTML in the columns' place while the history is empty, otherwise None.
        examples: histories that `start` offers by name.
        columns: HTML of each column by its key; empty if the history is.
        example: name of the example whose history this is; "" for the visitor's own.
    """

    version: int
    history: list[ItemPayload]
    filter: FilterPayload
    notices: list[str]
    warming: bool
    agreement: str
    live: str
    start: str | None
    examples: list[ExamplePayload]
    columns: dict[str, str]
    example: str


class ErrorPayload(TypedDict):
    """Why there is no answer to a request, as a sentence; busy: the page asks again by itself."""

    version: int
    error: str
    busy: bool


class BrowseQuery(TypedDict):
    """The page asks for a part of the catalogue; cursor None is the first."""

    text: str
    category: str
    sort: str
    cursor: str | None


class BrowsePayload(TypedDict):
    """A part of the catalogue.

    Attributes:
        html: list items for the grid.
        cursor: of the part that follows, None if nothing does.
        count: how many items there are, or why there are none, as text.
    """

    html: str
    cursor: str | None
    count: str


class DetailQuery(TypedDict):
    """The page asks about an item, given a history of item ids, oldest first."""

    item: str
    history: list[str]


class DetailPayload(TypedDict):
    """What the drawer shows of an item.

    Attributes:
        title: of the item, or why there is nothing, as text.
        html: the rest of the drawer.
        explains: "now" or "request": when to ask why it is ranked where it is; "no": never.
    """

    title: str
    html: str
    explains: str


class WhyPayload(TypedDict):
    """Why an item is ranked where it is.

    Attributes:
        html: into the drawer.
        changes: for the items of the history: the score change if removed, the largest scaled to 1.
    """

    html: str
    changes: dict[str, float]


class ClickPayload(TypedDict):
    """The page tells what was put into the history, and where it was found."""

    item_id: str
    source: str
    rank: int | None
    session: str


class ForgetRequest(TypedDict):
    """The page asks to delete what was recorded of its browser: the random ids of its tabs."""

    sessions: list[str]


class ForgetPayload(TypedDict):
    """What came of that, as a sentence."""

    message: str


def forget_payload(service: Service, raw: Any) -> ForgetPayload:
    """Delete what was recorded under the ids of a ForgetRequest."""
    sessions = clean_session_ids(raw.get("sessions") if isinstance(raw, dict) else None)
    try:
        count = service.events.forget(sessions)
    except CatalogError as error:
        logger.warning("%s", error)
        return {"message": "It could not be deleted: try again later."}
    return {"message": f"{plural(count, 'entry', 'entries')} of this browser deleted."}


def browse_payload(service: Service, raw: Any) -> BrowsePayload:
    """The part of the catalogue that a page asks for with a BrowseQuery."""
    request = clean_browse(raw)
    try:
        found = service.browse(request)
    except CatalogError as error:
        return {"html": "", "cursor": None, "count": str(error)}
    if not found.cards:
        html = render_no_cards(request, service.num_items)
        return {"html": html, "cursor": None, "count": "No items"}
    count = plural(found.total, "item") if found.total is not None else "Many items"
    return {"html": render_cards(found.cards), "cursor": found.next_cursor, "count": count}


def detail_payload(details: Details, raw: Any) -> DetailPayload:
    """What a page shows for a DetailQuery."""
    item_id, history = clean_detail(raw)
    try:
        found = details.find(item_id, history)
    except (CatalogError, HLLMError) as error:
        return {"title": "Details", "html": render_no_detail(str(error)), "explains": "no"}
    if found is None:
        sentence = "This item is not in this catalogue."
        return {"title": "Not found", "html": render_no_detail(sentence), "explains": "no"}
    return {
        "title": found.card.title,
        "html": render_detail(found),
        "explains": found.explains,
    }


def why_payload(details: Details, raw: Any) -> WhyPayload:
    """The explanation that a page asks for with a DetailQuery."""
    item_id, history = clean_detail(raw)
    try:
        found = details.explain(item_id, history)
    except (CatalogError, HLLMError) as error:
        return {"html": render_no_detail(str(error)), "changes": {}}
    if found is None:
        return {"html": "", "changes": {}}
    return {"html": render_why(found), "changes": found.scaled_changes}


def answer_payload(service: Service, raw: Any) -> AnswerPayload | ErrorPayload:
    """The answer to an AnswerRequest."""
    request = raw if isinstance(raw, dict) else {}
    version = _version(request)
    try:
        has_category = service.catalog.filters.has_category
        item_filter, gone = clean_filter(request.get("filter"), has_category)
        session = clean_session_id(request.get("session"))
        answer = service.answer(
            request.get("history"),
            session,
            item_filter=item_filter,
            with_example=request.get("example") is True,
        )
    except CatalogError as error:
        return {"version": version, "error": str(error), "busy": False}
    is_start = not answer.columns
    return {
        "version": version,
        "history": [item_payload(card) for card in answer.history],
        "filter": filter_payload(item_filter),
        "notices": [*answer.notices, *gone],
        "warming": answer.warming,
        "agreement": summary(answer.columns),
        "live": live_line(answer),
        "start": render_popular(answer.popular, service.examples) if is_start else None,
        "examples": [example_payload(e) for e in service.examples] if is_start else [],
        "columns": render_columns(answer, item_filter),
        "example": answer.example,
    }


def busy_payload(raw: Any) -> ErrorPayload:
    """What a page gets at once where too many wait before it."""
    return {"version": _version(raw), "error": TOO_MANY, "busy": True}


def _version(raw: Any) -> int:
    version = raw.get("version") if isinstance(raw, dict) else None
    return version if isinstance(version, int) else 0


def render_columns(answer: Answer, item_filter: ItemFilter) -> dict[str, str]:
    """HTML of each column by its key."""
    if not answer.columns:
        return {}
    first, second = answer.columns
    return {
        first.info.key: render_column(first, second, answer.cards, item_filter),
        second.info.key: render_column(second, first, answer.cards, item_filter),
    }


def item_payload(card: Card) -> ItemPayload:
    """What the history shows of an item."""
    return {
        "id": card.item_id,
        "title": card.title,
        "creator": card.creator,
        "cover": card.cover,
    }


def filter_payload(item_filter: ItemFilter) -> FilterPayload:
    """A filter as the page keeps it."""
    return {
        "category": item_filter.category,
        "min_price": item_filter.min_price,
        "max_price": item_filter.max_price,
    }


def example_payload(example: Example) -> ExamplePayload:
    """A history to start from."""
    return {"name": example.name, "items": [item_payload(card) for card in example.cards]}


def live_line(answer: Answer) -> str:
    """What a screen reader says after an update, and what stands above the columns."""
    if not answer.columns:
        return "Nothing clicked yet"
    if answer.warming:
        return "Warming up"
    counts = [len(c.result.items[:LIST_LENGTH]) for c in answer.columns if c.result is not None]
    if not any(counts):
        return "No recommendations"
    if answer.example:
        return "Recommended for the example"
    return f"{plural(max(counts), 'recommendation')} updated"
