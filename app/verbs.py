"""What programs can ask: recommend, search, item, similar, explain and rank.

Plain functions with typed arguments; signature and docstring are what a program, or a language
model, is told of them. app.api gives them to Gradio, app.mcp_tools to MCP.
"""

from collections.abc import Callable
from typing import Any

from app.api_items import explain_payload, item_payload, rank_payload, similar_payload
from app.api_payloads import recommend_payload, search_payload
from app.columns import LIST_LENGTH
from app.detail import Details
from app.errors import CatalogError
from app.service import Service
from app.writing import Writer
from hllm.serving.request_batching import BusyError

# Their messages are sentences for whoever asked; other errors are faults of the app.
TOLD = (ValueError, CatalogError, BusyError)

# They return plain dictionaries: Gradio's description of an endpoint does not know TypedDicts.
Verb = Callable[..., dict[str, Any]]


def verbs_of(service: Service) -> list[Verb]:
    """All that programs can ask, by their names; each raises TOLD where it has no answer."""
    details = Details(service)
    return [
        *catalog_verbs(service, details),
        *history_verbs(service, details, Writer(service)),
        recommend_verb(service),
    ]


def recommend_verb(service: Service) -> Verb:
    """What computes most: it waits in app.line."""

    def recommend(
        history: list[str | dict[str, str]],
        top_k: int = LIST_LENGTH,
        category: str = "",
        min_price: float | None = None,
        max_price: float | None = None,
    ) -> dict[str, Any]:
        """Recommend items for a history with both models.

        Args:
            history: item ids, oldest first; search finds them. Up to five may be objects of title,
                creator, category and description: items that the catalogue does not have.
            top_k: how many recommendations of each model, 1 to 100.
            category: recommend only items of this category; empty for all.
            min_price: recommend only items that cost at least this; empty for no bound.
            max_price: recommend only items that cost at most this; empty for no bound.

        Returns:
            For each model its recommendations (item_id, title, score, rank), or why it has none.
        """
        return dict(recommend_payload(service, history, top_k, category, min_price, max_price))

    return recommend


def catalog_verbs(service: Service, details: Details) -> list[Verb]:
    """Those about the catalogue and its items."""

    def search(
        text: str, category: str = "", sort: str = "popularity", cursor: str = ""
    ) -> dict[str, Any]:
        """Search the catalogue.

        Args:
            text: words, or beginnings of words; empty for everything.
            category: only items of this category; empty for all.
            sort: popularity, title, year or newest.
            cursor: next_cursor of the page before; empty for the first page.

        Returns:
            items (item_id, title, creator, year), total and next_cursor.
        """
        return dict(search_payload(service, text, category, sort, cursor))

    def item(item_id: str) -> dict[str, Any]:
        """All about an item of the catalogue.

        Args:
            item_id: as search finds it.

        Returns:
            Its texts and facts, and the text that the Item LLM is given of it, with its length in
            tokens.
        """
        return dict(item_payload(details, item_id))

    def similar(item_id: str, top_k: int = LIST_LENGTH) -> dict[str, Any]:
        """Find the items that are nearest to one, by the embeddings of both models.

        Args:
            item_id: as search finds it.
            top_k: how many, 1 to 100.

        Returns:
            For each model the items (item_id, title, cosine), or why it has none.
        """
        return dict(similar_payload(details, service, item_id, top_k))

    return [search, item, similar]


def history_verbs(service: Service, details: Details, writer: Writer) -> list[Verb]:
    """Those about an item and a history; both are bounded as for the page."""

    def explain(history: list[str | dict[str, str]], item_id: str) -> dict[str, Any]:
        """Say why an item is ranked where it is.

        Args:
            history: item ids, oldest first, two at least.
            item_id: of an item that is not in the history.

        Returns:
            For each model and item of the history (item_id, title, change) the change of the
            score of item_id if that item were removed.
        """
        return dict(explain_payload(details, history, item_id))

    def rank(
        history: list[str | dict[str, str]],
        title: str,
        creator: str = "",
        category: str = "",
        description: str = "",
    ) -> dict[str, Any]:
        """Say where a text would stand as an item: nobody needs to have seen it.

        Args:
            history: item ids, oldest first.
            title: of the item, or a wish in words.
            creator: its author or maker; may be empty.
            category: may be empty.
            description: may be empty; the answer of item shows which texts a model reads.

        Returns:
            For each model rank, score and num_ranked for this history, and the nearest items
            (item_id, title, cosine), or why it has none.
        """
        texts = {"title": title, "creator": creator, "category": category}
        return dict(rank_payload(writer, service, history, {**texts, "description": description}))

    return [explain, rank]
