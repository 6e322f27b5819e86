"""The endpoints for programs: recommend, search, item, similar, explain and rank.

They are Gradio's, so that gradio_client, curl and the page's own description of them know their
names and arguments. The page asks by other ways (app.ui).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import gradio as gr

from app.api_items import explain_payload, item_payload, rank_payload, similar_payload
from app.api_payloads import recommend_payload, search_payload
from app.columns import LIST_LENGTH
from app.detail import Details
from app.errors import CatalogError
from app.line import MAX_WAITING, PLACES, TOO_MANY, Line
from app.service import Service
from app.writing import Writer
from hllm.serving.request_batching import BusyError


def is_crowded(demo: gr.Blocks) -> bool:
    """Whether more programs wait than can be answered soon. Whoever left is not in the queue."""
    return len(demo._queue) > MAX_WAITING


async def stays() -> bool:
    """Of a program's call: has_left of app.line. Gradio's queue drops those that have left."""
    return False


@contextmanager
def told_to_programs() -> Iterator[None]:
    """Errors that a program can do something about reach it as a sentence, without a traceback."""
    try:
        yield
    except (ValueError, CatalogError, BusyError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def add_api(service: Service, demo: gr.Blocks, line: Line) -> None:
    """Add the endpoints for programs to the blocks that are being built.

    They return plain dictionaries: Gradio's description of an endpoint does not know TypedDicts.
    """

    async def recommend(
        history: list[str],
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
        if is_crowded(demo):
            raise gr.Error(TOO_MANY, print_exception=False)
        ask = partial(recommend_payload, service, history, top_k, category, min_price, max_price)
        with told_to_programs():
            return dict(await line.run(ask, stays) or {})

    gr.api(recommend, api_name="recommend", concurrency_limit=PLACES)
    details = Details(service)
    add_catalog_api(service, details)
    add_questions_api(service, details, Writer(service))


def add_catalog_api(service: Service, details: Details) -> None:
    """Add those about the catalogue and its items."""

    def search(text: str, category: str = "", sort: str = "popularity", cursor: str = "") -> dict:
        """Search the catalogue.

        Args:
            text: words, or beginnings of words; empty for everything.
            category: only items of this category; empty for all.
            sort: popularity, title, year or newest.
            cursor: next_cursor of the page before; empty for the first page.

        Returns:
            items (item_id, title, creator, year), total and next_cursor.
        """
        with told_to_programs():
            return dict(search_payload(service, text, category, sort, cursor))

    def item(item_id: str) -> dict[str, Any]:
        """All about an item of the catalogue.

        Args:
            item_id: as search finds it.

        Returns:
            Its texts and facts, and the text that the Item LLM is given of it, with its length in
            tokens.
        """
        with told_to_programs():
            return dict(item_payload(details, item_id))

    def similar(item_id: str, top_k: int = LIST_LENGTH) -> dict[str, Any]:
        """Find the items that are nearest to one, by the embeddings of both models.

        Args:
            item_id: as search finds it.
            top_k: how many, 1 to 100.

        Returns:
            For each model the items (item_id, title, cosine), or why it has none.
        """
        with told_to_programs():
            return dict(similar_payload(details, service, item_id, top_k))

    gr.api(search, api_name="search", queue=False)
    gr.api(item, api_name="item", queue=False)
    gr.api(similar, api_name="similar", queue=False)


def add_questions_api(service: Service, details: Details, writer: Writer) -> None:
    """Add those about an item and a history; both are bounded as for the page."""

    def explain(history: list[str], item_id: str) -> dict[str, Any]:
        """Say why an item is ranked where it is.

        Args:
            history: item ids, oldest first, two at least.
            item_id: of an item that is not in the history.

        Returns:
            For each model and item of the history (item_id, title, change) the change of the
            score of item_id if that item were removed.
        """
        with told_to_programs():
            return dict(explain_payload(details, history, item_id))

    def rank(
        history: list[str], title: str, creator: str = "", category: str = "", description: str = ""
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
        with told_to_programs():
            return dict(
                rank_payload(writer, service, history, {**texts, "description": description})
            )

    gr.api(explain, api_name="explain", queue=False)
    gr.api(rank, api_name="rank", queue=False)
