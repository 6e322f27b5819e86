"""What the endpoints for programs answer about one item, or about a text that is none.

Each reads what the page's drawer reads (app.detail, app.writing), under the same bounds.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from app.columns import ColumnInfo
from app.detail import Details
from app.service import Service
from app.session import clean_top_k
from app.writing import Writer
from app.written import written_item
from hllm.serving.request_batching import BusyError

MAX_SIMILAR = 100


class ModelItemsPayload(TypedDict):
    """What one model says; `message` is why there is nothing, `items` are in its order.

    Attributes:
        rank, score, num_ranked: of the text for the history, 1 is the best of num_ranked; rank is
            None where approximate search does not reach it.
    """

    name: str
    state: str
    message: str
    items: NotRequired[list[dict[str, Any]]]
    rank: NotRequired[int | None]
    score: NotRequired[float]
    num_ranked: NotRequired[int]


class ItemDetailPayload(TypedDict):
    """The answer of the endpoint item; `text` is what the Item LLM is given of it, or ""."""

    item_id: str
    title: str
    creator: str
    categories: list[str]
    year: int | None
    price: float | None
    description: str
    text: str
    num_tokens: int
    is_cut: bool


class AboutPayload(TypedDict):
    """The answer of the endpoints similar, explain and rank: of each model."""

    models: list[ModelItemsPayload]


def item_payload(details: Details, item_id: Any) -> ItemDetailPayload:
    """The answer of the endpoint item.

    Raises:
        ValueError: there is no such item.
        CatalogError: the catalogue cannot be read.
        BusyError: too many ask at once.
    """
    found = details.find(_id(item_id), [])
    if found is None:
        raise ValueError(_unknown(item_id))
    item, given = found.item, found.text
    return {
        "item_id": item.item_id,
        "title": item.title,
        "creator": item.creator,
        "categories": list(item.categories),
        "year": item.year,
        "price": item.price,
        "description": item.description,
        "text": given.text if given else "",
        "num_tokens": given.num_tokens if given else 0,
        "is_cut": bool(given and given.is_cut),
    }


def similar_payload(details: Details, service: Service, item_id: Any, top_k: Any) -> AboutPayload:
    """The answer of the endpoint similar: the nearest items, with the cosine of the embeddings.

    Raises:
        ValueError: there is no such item, or no such number of them.
        CatalogError: the catalogue cannot be read.
        BusyError: too many ask at once.
    """
    columns = details.similar(_id(item_id), clean_top_k(top_k, MAX_SIMILAR))
    if columns is None:
        raise ValueError(_unknown(item_id))
    models: list[ModelItemsPayload] = []
    for info, near in columns:
        titles = _titles(service, [found.item_id for found in near or ()])
        models.append(
            {
                **_head(info),
                "items": [
                    {"item_id": i, "title": titles[i], "cosine": round(found.cosine, 6)}
                    for found in near or ()
                    if (i := found.item_id) in titles
                ],
            }
        )
    return {"models": models}


def explain_payload(details: Details, history: Any, item_id: Any) -> AboutPayload:
    """The answer of the endpoint explain: the change of the score without each item of a history.

    Raises:
        ValueError: there is nothing to leave out, or no such item.
        CatalogError: the catalogue cannot be read.
        BusyError: too many ask at once.
    """
    found = details.explain(_id(item_id), _history(history))
    if found is None:
        raise ValueError(
            "explain needs a history of two items of this catalogue, at least, and an item of it "
            "that is not in the history."
        )
    titles = {card.item_id: card.title for card in found.history}
    models: list[ModelItemsPayload] = [
        {
            **_head(info),
            "items": [
                {"item_id": c.item_id, "title": titles[c.item_id], "change": round(c.change, 6)}
                for c in changes or ()
            ],
        }
        for info, changes in found.columns
    ]
    return {"models": models}


def rank_payload(writer: Writer, service: Service, history: Any, texts: Any) -> AboutPayload:
    """The answer of the endpoint rank: where an item that nobody has would stand.

    Args:
        writer: encodes it.
        service: names the items that are near it.
        history: what was sent.
        texts: title, creator, category and description; see app.written.

    Raises:
        ValueError: no history, or texts that are none.
        CatalogError: the catalogue cannot be read.
        BusyError: too many ask at once, or what encodes texts is still loading.
    """
    item, history = written_item(texts), _history(history)
    if not service.clean(history).item_ids:
        raise ValueError("The history has no item of this catalogue: search finds them.")
    loading = writer.prepare()
    if loading.state == "loading":
        raise BusyError(loading.message or "The models are still loading: ask again.")
    models: list[ModelItemsPayload] = []
    for column in writer.write(item, history, is_wish=False).detail.columns:
        titles = _titles(service, [near.item_id for near in column.similar])
        model: ModelItemsPayload = {
            **_head(column.info),
            "items": [
                {"item_id": i, "title": titles[i], "cosine": round(near.cosine, 6)}
                for near in column.similar
                if (i := near.item_id) in titles
            ],
        }
        if column.rank is not None:
            model["rank"] = column.rank.rank
            model["score"] = round(column.rank.score, 6)
            model["num_ranked"] = column.rank.num_ranked
        models.append(model)
    return {"models": models}


def _head(info: ColumnInfo) -> ModelItemsPayload:
    return {"name": info.title, "state": info.state, "message": info.message}


def _titles(service: Service, item_ids: Sequence[str]) -> dict[str, str]:
    return {card.item_id: card.title for card in service.cards_of(item_ids)}


def _id(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"item_id must be a text, not {type(raw).__name__}.")
    return raw


def _history(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise ValueError(f"history must be a list of item ids, not {type(raw).__name__}.")
    return raw


def _unknown(item_id: str) -> str:
    return f"There is no item {item_id[:80]!r} in this catalogue: search finds items."
