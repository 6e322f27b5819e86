"""What the endpoints for programs answer."""

from typing import NotRequired, TypedDict

from app.columns import ColumnAnswer
from app.service import Answer, Service
from app.session import SORTS, check_filter, clean_browse, clean_top_k

MAX_TOP_K = 100


class RecommendationPayload(TypedDict):
    """A recommended item; its score is on the scale of its model, a cosine for HLLM and MiniLM."""

    item_id: str
    title: str
    score: float
    rank: int


class ModelPayload(TypedDict):
    """One model's recommendations.

    Attributes:
        name: for people.
        state: loading, ready or failed.
        message: why there are no recommendations, where there are none.
        items: best first.
        model, precision, device: what ran; like all below only if there is an answer.
        encode_ms, search_ms: how long the model and the search took, in milliseconds.
        num_candidates: how many items were ranked.
    """

    name: str
    state: str
    message: str
    items: list[RecommendationPayload]
    model: NotRequired[str]
    precision: NotRequired[str]
    device: NotRequired[str]
    encode_ms: NotRequired[float]
    search_ms: NotRequired[float]
    num_candidates: NotRequired[int]


class RecommendPayload(TypedDict):
    """The answer of the recommend endpoint: the history that counts, notices, both models."""

    history: list[str]
    notices: list[str]
    models: list[ModelPayload]


class FoundPayload(TypedDict):
    """An item that was found; all texts as the page shows them."""

    item_id: str
    title: str
    creator: str
    year: str


class SearchPayload(TypedDict):
    """The answer of the search endpoint; `total` is None where counting would take too long."""

    items: list[FoundPayload]
    total: int | None
    next_cursor: str | None


def recommend_payload(
    service: Service,
    history: list[str | dict[str, str]],
    top_k: int,
    category: str = "",
    min_price: float | None = None,
    max_price: float | None = None,
) -> RecommendPayload:
    """The answer of the recommend endpoint.

    Raises:
        ValueError: what is asked makes no sense; the message says why.
        CatalogError: the catalogue cannot be read.
    """
    if not isinstance(history, list):
        raise ValueError(f"history must be a list of item ids, not {type(history).__name__}.")
    top_k = clean_top_k(top_k, MAX_TOP_K)
    has_category = service.catalog.filters.has_category
    item_filter = check_filter(category, min_price, max_price, has_category)
    answer = service.answer(history, "api", top_k, item_filter)
    if not answer.history:
        raise ValueError(
            "The history has no item of this catalogue: give at least one item_id, as the endpoint "
            "search finds them."
        )
    return {
        "history": [card.item_id for card in answer.history],
        "notices": list(answer.notices),
        "models": [model_payload(column, answer, top_k) for column in answer.columns],
    }


def model_payload(column: ColumnAnswer, answer: Answer, top_k: int) -> ModelPayload:
    """One model's part of the recommend endpoint's answer."""
    info, result = column.info, column.result
    if result is None:
        return {"name": info.title, "state": info.state, "message": info.message, "items": []}
    found = [item for item in result.items[:top_k] if item.item_id in answer.cards]
    return {
        "name": info.title,
        "state": info.state,
        "message": info.message,
        "model": info.model,
        "precision": info.precision,
        "device": info.device,
        "encode_ms": round(result.encode_ms, 3),
        "search_ms": round(result.search_ms, 3),
        "num_candidates": result.num_candidates,
        "items": [
            {
                "item_id": item.item_id,
                "title": answer.cards[item.item_id].title,
                "score": round(item.score, 6),
                "rank": item.rank,
            }
            for item in found
        ],
    }


def search_payload(
    service: Service, text: str, category: str, sort: str, cursor: str
) -> SearchPayload:
    """The answer of the search endpoint.

    Raises:
        ValueError: there is no such order.
        CatalogError: the catalogue cannot be read.
    """
    raw = {"text": text, "category": category, "sort": sort, "cursor": cursor}
    for name, value in raw.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text, not {type(value).__name__}.")
    if sort not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}, not {sort!r}.")
    found = service.browse(clean_browse(raw))
    return {
        "items": [
            {"item_id": c.item_id, "title": c.title, "creator": c.creator, "year": c.year}
            for c in found.cards
        ],
        "total": found.total,
        "next_cursor": found.next_cursor,
    }
