"""The page: Gradio blocks, and handlers of a few lines between it and app.service.

One gr.HTML holds the whole page (assets/page.html and scripts). Browsing and clicks go through its
server functions, off the queue; recommendations through one event of the queue, always_last, so
that a visitor who clicks faster than the models answer gets the newest answer and loses no click.
"""

import hashlib
import inspect
import logging
import os
from dataclasses import asdict
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app.bodies import Endpoint, Surface
from app.cards import Card
from app.columns import ColumnAnswer
from app.errors import CatalogError
from app.gate import Gate
from app.hosts import hosts_of
from app.pictures import picture_route
from app.render import plural, render_cards, render_no_cards, render_shell
from app.render_recommendations import render_column, render_popular, summary
from app.service import TOP_K, Answer, Service
from app.session import (
    SORTS,
    check_filter,
    clean_browse,
    clean_click,
    clean_filter,
    clean_session_id,
    clean_top_k,
)
from app.settings import ROOT, Settings
from hllm.errors import HLLMError
from hllm.serving.request_batching import MAX_BATCH

ASSETS = ROOT / "assets"
SCRIPTS = ("history.js", "strip.js", "filter.js", "page.js")
# One batch of visitors in the User LLM's forward pass, another that gathers
# (hllm.serving.request_batching).
MODEL_CALLS = {"concurrency_id": "model", "concurrency_limit": 2 * MAX_BATCH}
MAX_WAITING = 64
MAX_SESSIONS = 200
MAX_TOP_K = 100


def build_demo(service: Service) -> gr.Blocks:
    """Build the page and its API over a service."""

    def browse(raw: Any) -> dict[str, Any]:
        return browse_payload(service, raw)

    def record(raw: Any) -> None:
        click = clean_click(raw)
        if click is not None:
            service.record_click(click)

    def recompute(raw: Any) -> Any:
        return gr.HTML(answer=answer_payload(service, raw))

    with gr.Blocks(title="HLLM Live", analytics_enabled=False, fill_width=True) as demo:
        page = gr.HTML(
            html_template="${shell}",
            shell=shell(service),
            answer=None,
            js_on_load="\n".join((ASSETS / name).read_text("utf-8") for name in SCRIPTS),
            server_functions=[browse, record],
            apply_default_css=False,
            elem_id="hllm-page",
        )
        page.recompute(
            recompute,
            inputs=page,
            outputs=page,
            trigger_mode="always_last",
            show_progress="hidden",
            api_visibility="private",
            **MODEL_CALLS,
        )
        add_api(service)
    return demo.queue(max_size=MAX_WAITING)


def add_api(service: Service) -> None:
    """Add the endpoints for programs to the blocks that are being built."""

    def recommend(
        history: list[str],
        top_k: int = TOP_K,
        category: str = "",
        min_price: float | None = None,
        max_price: float | None = None,
    ) -> dict[str, Any]:
        """Recommend items for a history with both models.

        Args:
            history: item ids, oldest first; search finds them.
            top_k: how many recommendations of each model, 1 to 100.
            category: recommend only items of this category; empty for all.
            min_price: recommend only items that cost at least this; empty for no bound.
            max_price: recommend only items that cost at most this; empty for no bound.

        Returns:
            For each model its recommendations (item_id, title, score, rank), or why it has none.
        """
        return recommend_payload(service, history, top_k, category, min_price, max_price)

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
        return search_payload(service, text, category, sort, cursor)

    gr.api(recommend, api_name="recommend", **MODEL_CALLS)
    gr.api(search, api_name="search", queue=False)


def surface_of(demo: gr.Blocks) -> Surface:
    """What of the blocks the page and programs call."""
    endpoints, events = {}, {}
    for number, event in demo.fns.items():
        assert event.fn is not None and event.api_name
        values = list(inspect.signature(event.fn).parameters.values())[: len(event.inputs)]
        defaults = tuple(v.default for v in values if v.default is not v.empty)
        events[number] = Endpoint(tuple(v.name for v in values), defaults)
        if event.api_visibility == "public":
            endpoints[event.api_name] = events[number]
    functions = {
        name for block in demo.blocks.values() for name in block.get_config().get("server_fns", ())
    }
    return Surface(endpoints, events, frozenset(demo.blocks), frozenset(functions))


def launch_options(demo: gr.Blocks, service: Service, settings: Settings) -> dict[str, Any]:
    """Arguments of demo.launch: local, quiet, nothing from elsewhere, the gate in front."""
    gate = Middleware(
        Gate,
        hosts=hosts_of(settings, os.environ),
        surface=surface_of(demo),
        reloading="GRADIO_WATCH_DIRS" in os.environ,
    )
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "css_paths": [ASSETS / "app.css"],
        "footer_links": ["api"],
        "run_history": False,
        "ssr_mode": False,
        "share": False,
        "state_session_capacity": MAX_SESSIONS,
        "app_kwargs": {"middleware": [gate], "routes": [picture_route(service)]},
        "num_workers": 0,  # Gradio's own file servers would be beside the gate
        "mcp_server": False,
    }


def launch(demo: gr.Blocks, service: Service, settings: Settings) -> None:
    """Serve the page until the app is stopped.

    Raises:
        HLLMError: the port or the address cannot be used.
    """
    # Gradio's own start-up requests would fill the log with lines that say nothing.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        demo.launch(**launch_options(demo, service, settings))
    except OSError as error:
        where = f"port {settings.port}" if settings.port else "a port from 7860 on"
        raise HLLMError(
            f"The app cannot listen on {where}: it is in use or not allowed, so stop the program "
            "that uses it or choose another with --port."
        ) from error


def shell(service: Service) -> str:
    """The frame of the page for a catalogue."""
    key = hashlib.sha256(service.catalog_name.encode()).hexdigest()[:12]
    return render_shell(
        (ASSETS / "page.html").read_text("utf-8"),
        catalog_name=service.catalog_name,
        catalog_key=key,
        catalog_size=service.num_items,
        categories=service.categories,
        price_range=service.price_range,
    )


def browse_payload(service: Service, raw: Any) -> dict[str, Any]:
    """One page of covers for assets/page.js."""
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


def answer_payload(service: Service, raw: Any) -> dict[str, Any]:
    """Everything that assets/page.js shows for a history."""
    request = raw if isinstance(raw, dict) else {}
    version = request.get("version")
    version = version if isinstance(version, int) else 0
    try:
        has_category = service.catalog.filters.has_category
        item_filter, gone = clean_filter(request.get("filter"), has_category)
        session = clean_session_id(request.get("session"))
        answer = service.answer(request.get("history"), session, item_filter=item_filter)
    except CatalogError as error:
        return {"version": version, "error": str(error)}
    payload = {
        "version": version,
        "history": [client_item(card) for card in answer.history],
        "filter": asdict(item_filter),
        "notices": [*answer.notices, *gone],
        "warming": answer.warming,
        "agreement": summary(answer.columns),
        "live": live_line(answer),
        "start": None,
        "examples": [],
        "columns": {},
    }
    if answer.columns:
        first, second = answer.columns
        payload["columns"] = {
            first.info.key: render_column(first, second, answer.cards, item_filter),
            second.info.key: render_column(second, first, answer.cards, item_filter),
        }
    else:
        payload["start"] = render_popular(answer.popular, service.examples)
        payload["examples"] = [
            {"name": example.name, "items": [client_item(card) for card in example.cards]}
            for example in service.examples
        ]
    return payload


def client_item(card: Card) -> dict[str, str]:
    """What the history strip shows of an item; assets/strip.js sets it as text."""
    return {
        "id": card.item_id,
        "title": card.title,
        "creator": card.creator,
        "cover": card.cover,
    }


def live_line(answer: Answer) -> str:
    """What a screen reader says after an update, and what stands above the columns."""
    if not answer.columns:
        return "Nothing clicked yet"
    if answer.warming:
        return "Warming up"
    counts = [len(c.result.items[:TOP_K]) for c in answer.columns if c.result is not None]
    if not any(counts):
        return "No recommendations"
    return f"{plural(max(counts), 'recommendation')} updated"


def recommend_payload(
    service: Service,
    history: list[str],
    top_k: int,
    category: str = "",
    min_price: float | None = None,
    max_price: float | None = None,
) -> dict[str, Any]:
    """The answer of the recommend endpoint."""
    has_category = service.catalog.filters.has_category
    if not isinstance(history, list):
        raise refusal(f"history must be a list of item ids, not {type(history).__name__}.")
    try:
        top_k = clean_top_k(top_k, MAX_TOP_K)
        item_filter = check_filter(category, min_price, max_price, has_category)
        answer = service.answer(history, "api", top_k, item_filter)
    except (ValueError, CatalogError) as error:
        raise refusal(str(error)) from error
    if not answer.history:
        raise refusal("The history has no item of this catalogue: give at least one item_id.")
    return {
        "history": [card.item_id for card in answer.history],
        "notices": list(answer.notices),
        "models": [column_payload(column, answer, top_k) for column in answer.columns],
    }


def refusal(sentence: str) -> gr.Error:
    """What a program is told that made a mistake; no fault of the app, so no traceback."""
    return gr.Error(sentence, print_exception=False)


def column_payload(column: ColumnAnswer, answer: Answer, top_k: int) -> dict[str, Any]:
    """One model's part of the recommend endpoint's answer."""
    info, result = column.info, column.result
    payload: dict[str, Any] = {"name": info.title, "state": info.state, "message": info.message}
    if result is None:
        return {**payload, "items": []}
    found = [item for item in result.items[:top_k] if item.item_id in answer.cards]
    return {
        **payload,
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
) -> dict[str, Any]:
    """The answer of the search endpoint."""
    raw = {"text": text, "category": category, "sort": sort, "cursor": cursor}
    for name, value in raw.items():
        if not isinstance(value, str):
            raise refusal(f"{name} must be a text, not {type(value).__name__}.")
    if sort not in SORTS:
        raise refusal(f"sort must be one of {', '.join(SORTS)}, not {sort!r}.")
    try:
        found = service.browse(clean_browse(raw))
    except CatalogError as error:
        raise refusal(str(error)) from error
    return {
        "items": [
            {"item_id": c.item_id, "title": c.title, "creator": c.creator, "year": c.year}
            for c in found.cards
        ],
        "total": found.total,
        "next_cursor": found.next_cursor,
    }
