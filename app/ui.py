"""The page: Gradio blocks, and handlers of a few lines between it and app.payloads.

One gr.HTML holds the whole page: assets/page.html and the scripts in assets/page. Browsing and
clicks go through its server functions, off the queue; recommendations through one event of the
queue, always_last, so that a visitor who clicks faster than the models answer gets the newest
answer and loses no click.
"""

import hashlib
import inspect
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.api_payloads import recommend_payload, search_payload
from app.bodies import Endpoint, Surface
from app.bundle import bundle
from app.columns import LIST_LENGTH
from app.contract import (
    BrowsePayload,
    DetailPayload,
    ForgetPayload,
    PushesPayload,
    ScoresPayload,
    VerdictPayload,
    WholePayload,
    WhyPayload,
)
from app.detail import Details
from app.errors import CatalogError
from app.gate import Gate
from app.hosts import hosts_of
from app.payloads import (
    answer_payload,
    browse_payload,
    detail_payload,
    forget_payload,
    pushes_payload,
    scores_payload,
    verdict_payload,
    whole_payload,
    why_payload,
)
from app.pictures import picture_route
from app.reloading import AnswerOnceWatched, is_reloading
from app.render import render_shell
from app.scoreboard import Scoreboard
from app.service import Service
from app.session import clean_click
from app.settings import ROOT, Settings, writable_dir
from hllm.errors import HLLMError
from hllm.serving.request_batching import MAX_BATCH

ASSETS = ROOT / "assets"
# gr.HTML runs a script as the body of a function with these parameters.
START = "startPage({ element, trigger, props, server, watch });"
# One batch of visitors in the User LLM's forward pass, another that gathers
# (hllm.serving.request_batching).
MODEL_CALLS = {"concurrency_id": "model", "concurrency_limit": 2 * MAX_BATCH}
BOOKS_ORIGIN = (
    "The books are real; the readers that the built-in HLLM has learned from are simulated "
    "(docs/data-card.md)."
)
# Those of the system: a theme's own would be loaded, and the page does not use them.
FONTS, MONOSPACED = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
MAX_WAITING = 64
MAX_SESSIONS = 200
_watched = threading.Event()


def build_demo(service: Service) -> gr.Blocks:
    """Build the page and its API over a service."""

    def browse(raw: Any) -> BrowsePayload:
        return browse_payload(service, raw)

    def record(raw: Any) -> None:
        click = clean_click(raw)
        if click is not None:
            service.record_click(click)

    def forget(raw: Any) -> ForgetPayload:
        return forget_payload(service, raw)

    def recompute(raw: Any) -> Any:
        # Not gr.HTML(answer=...): a component that is made in a handler joins whatever page the
        # process is building at that moment, which a reload of the program does beside the old one.
        return gr.update(answer=answer_payload(service, raw))

    with gr.Blocks(title="HLLM Live", analytics_enabled=False, fill_width=True) as demo:
        page = gr.HTML(
            html_template="${shell}",
            shell=shell(service),
            answer=None,
            js_on_load=f"{bundle(ASSETS / 'page' / 'page.js')}\n{START}",
            server_functions=[browse, record, forget, *beside_clicks(service)],
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


def beside_clicks(service: Service) -> list[Callable[[Any], Any]]:
    """The functions that the page calls beside its clicks, by their names."""
    details, scoreboard = Details(service), Scoreboard(service)

    def detail(raw: Any) -> DetailPayload:
        return detail_payload(details, raw)

    def why(raw: Any) -> WhyPayload:
        return why_payload(details, raw)

    def whole(raw: Any) -> WholePayload:
        return whole_payload(details, raw)

    def pushes(raw: Any) -> PushesPayload:
        return pushes_payload(details, raw)

    def judge(raw: Any) -> VerdictPayload | None:
        return verdict_payload(scoreboard, raw)

    def scores(_raw: Any) -> ScoresPayload:
        return scores_payload(scoreboard)

    return [detail, why, whole, pushes, judge, scores]


@contextmanager
def told_to_programs() -> Iterator[None]:
    """Errors that a program can do something about reach it as a sentence, without a traceback."""
    try:
        yield
    except (ValueError, CatalogError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def add_api(service: Service) -> None:
    """Add the endpoints for programs to the blocks that are being built.

    They return plain dictionaries: Gradio's description of an endpoint does not know TypedDicts.
    """

    def recommend(
        history: list[str],
        top_k: int = LIST_LENGTH,
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
        with told_to_programs():
            return dict(recommend_payload(service, history, top_k, category, min_price, max_price))

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
    reloading = is_reloading(os.environ)
    gate = Middleware(
        Gate,
        hosts=hosts_of(settings, os.environ),
        surface=surface_of(demo),
        reloading=reloading,
    )
    # Outside the gate, which reads the page. Level 6: 9 makes 0.3% less of it and is slower.
    packing = Middleware(GZipMiddleware, compresslevel=6)
    middleware = [packing, gate]
    if reloading:
        middleware.insert(0, Middleware(AnswerOnceWatched, watched=_watched))
    pictures = writable_dir(settings.data_dir) / "pictures"
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "css_paths": [ASSETS / "app.css"],
        "theme": gr.themes.Default(font=FONTS, font_mono=MONOSPACED),
        "footer_links": ["api"],
        "run_history": False,
        "ssr_mode": False,
        "share": False,
        "state_session_capacity": MAX_SESSIONS,
        "app_kwargs": {"middleware": middleware, "routes": [picture_route(service, pictures)]},
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
    # Here is the end of the app, or under `gradio app.py` the thread that watches the files, for
    # which launch() is over at once.
    _watched.set()


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
        origin=BOOKS_ORIGIN if service.is_built_in else "",
        events_days=service.events.days,
    )
