"""The page: Gradio blocks, and handlers of a few lines between it and app.payloads.

One gr.HTML holds the whole page: assets/page.html and the scripts in assets/page. All that it asks
goes through its server functions, off Gradio's queue, which would take one more round trip and
most of a click's time. app.line bounds how many answers are computed at once; the page has one
question under way at a time (assets/page/protocol.js). The queue is for programs.
"""

import inspect
import logging
import os
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI
from rcssmin import cssmin
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from app.api import add_api
from app.blind import BlindTest
from app.bodies import Endpoint, Surface
from app.bundle import minified
from app.catalogs_payload import catalogs_payload
from app.contract import (
    AnswerPayload,
    BrowsePayload,
    DetailPayload,
    ErrorPayload,
    ForgetPayload,
    FramePayload,
    ItemPayload,
    KeepPayload,
    PushesPayload,
    RecordPayload,
    WholePayload,
    WhyPayload,
    WritePayload,
)
from app.contract_catalogs import CatalogsPayload
from app.contract_map import MapMarksPayload, MapPayload
from app.contract_models import OffersPayload
from app.contract_picks import BlindPickPayload, RevealPayload, ScoresPayload, VerdictPayload
from app.detail import Details
from app.downloads import Downloads
from app.gate import DEV_RELOAD, MCP_PATH, Gate
from app.hosts import hosts_of
from app.languages import in_its_language, page_texts
from app.map_payloads import map_item_payload, map_marks_payload, map_payload
from app.map_routes import map_routes
from app.models_payload import Offers
from app.payloads import (
    answer_payload,
    blind_payload,
    browse_payload,
    busy_payload,
    detail_payload,
    forget_payload,
    keep_payload,
    pushes_payload,
    record_payload,
    reveal_payload,
    scores_payload,
    verdict_payload,
    whole_payload,
    why_payload,
    write_payload,
)
from app.pictures import picture_route
from app.reloading import AnswerOnceWatched, is_reloading
from app.scoreboard import Scoreboard
from app.service import Service
from app.serving.admin import admin_routes
from app.serving.connections import MAX_CONNECTIONS, limits_of_this_machine
from app.serving.log import RequestIds, set_up_log
from app.serving.own_pages import OwnPages
from app.serving.password import Guard, read_password
from app.serving.probes import probe_routes
from app.serving.server import Server, address_of, listen
from app.serving.stopping import end
from app.settings import ROOT, Settings, writable_dir
from app.shell import shell
from app.writing import Writer
from hllm.serving.request_batching import BusyError

if TYPE_CHECKING:
    from app.serving.metrics import Metrics

ASSETS = ROOT / "assets"
# gr.HTML runs a script as the body of a function with these parameters.
START = "startPage({ element, server });"
# Those of the system: a theme's own would be loaded, and the page does not use them.
FONTS, MONOSPACED = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
# After every answer Gradio makes a table (pandas) of the last 10,000 answers, for its monitoring,
# which the gate does not let anybody see. Read from the environment when a queue is made.
NO_ANALYTICS = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(2**62)}
MAX_SESSIONS = 200
_watched = threading.Event()

logger = logging.getLogger(__name__)


def build_demo(service: Service) -> gr.Blocks:
    """Build the page and its API over a service."""
    os.environ.update(NO_ANALYTICS)

    def browse(raw: Any) -> BrowsePayload:
        return browse_payload(service.in_catalog(raw), raw)

    def record(raw: Any) -> RecordPayload:
        return record_payload(service.in_catalog(raw), raw)

    def forget(raw: Any) -> ForgetPayload:
        return forget_payload(service, raw)

    def frame(raw: Any) -> FramePayload:
        return {"shell": shell(service.in_catalog(raw)), "texts": page_texts()}

    async def answer(raw: Any, request: gr.Request) -> AnswerPayload | ErrorPayload | None:
        try:
            seen = service.seen_with(raw)
            return await line.run(partial(answer_payload, seen, raw), request.is_disconnected)
        except BusyError:
            return busy_payload(raw)

    line = service.line
    functions: list[Callable[..., Any]] = [answer, browse, record, forget, frame]
    functions += beside_clicks(service)
    with gr.Blocks(title="HLLM Live", analytics_enabled=False, fill_width=True) as demo:
        gr.HTML(
            html_template="${shell}",
            shell=shell(service),
            # A third of the first visit's own bytes would be comments and indentation.
            js_on_load=minified(ASSETS / "page" / "page.js", START),
            server_functions=[in_its_language(function) for function in functions],
            apply_default_css=False,
            elem_id="hllm-page",
        )
        add_api(service, demo, line)
    return demo.queue(max_size=MAX_CONNECTIONS)


def beside_clicks(service: Service) -> list[Callable[[Any], Any]]:
    """The functions that the page calls beside its clicks, by their names."""
    offers = Offers(service)

    def models(raw: Any) -> OffersPayload:
        return offers.seen_with(raw).payload()

    def catalogs(_raw: Any) -> CatalogsPayload:
        return catalogs_payload(service)

    about = [*about_items(service), *about_picks(service), *about_the_map(service)]
    return [*about, models, catalogs]


def about_items(service: Service) -> list[Callable[[Any], Any]]:
    """What the page asks of items, of those that a visitor writes, and of a history."""
    details, downloads, writer = Details(service), Downloads(service), Writer(service)

    def detail(raw: Any) -> DetailPayload:
        return detail_payload(details.seen_with(raw), raw)

    def why(raw: Any) -> WhyPayload:
        return why_payload(details.seen_with(raw), raw)

    def whole(raw: Any) -> WholePayload:
        return whole_payload(details.seen_with(raw), raw)

    def pushes(raw: Any) -> PushesPayload:
        return pushes_payload(details.seen_with(raw), raw)

    def keep(raw: Any) -> KeepPayload:
        return keep_payload(downloads.seen_with(raw), service.in_catalog(raw), raw)

    def write(raw: Any) -> WritePayload:
        return write_payload(writer.seen_with(raw), raw)

    return [detail, why, whole, pushes, keep, write]


def about_picks(service: Service) -> list[Callable[[Any], Any]]:
    """What the page asks of picks: how far up both models had them, and whose they were."""
    scoreboard, test = Scoreboard(service), BlindTest(service)

    def judge(raw: Any) -> VerdictPayload | None:
        return verdict_payload(scoreboard.seen_with(raw), raw)

    def scores(raw: Any) -> ScoresPayload:
        return scores_payload(scoreboard.seen_with(raw))

    def blind(raw: Any) -> BlindPickPayload:
        return blind_payload(test.seen_with(raw), raw)

    def reveal(raw: Any) -> RevealPayload:
        return reveal_payload(test.seen_with(raw), raw)

    return [judge, scores, blind, reveal]


def about_the_map(service: Service) -> list[Callable[[Any], Any]]:
    """What the page asks once its map is open."""

    def open_map(raw: Any) -> MapPayload:
        return map_payload(service.in_catalog(raw))

    def map_marks(raw: Any) -> MapMarksPayload:
        return map_marks_payload(service.in_catalog(raw), raw)

    def map_item(raw: Any) -> ItemPayload | None:
        return map_item_payload(service.in_catalog(raw), raw)

    return [open_map, map_marks, map_item]


def surface_of(demo: gr.Blocks, catalogs: Collection[str] = ()) -> Surface:
    """What of the blocks the page and programs call, and which catalogues the page names."""
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
    return Surface(endpoints, events, frozenset(demo.blocks), frozenset(functions), catalogs)


def open_metrics(service: Service, settings: Settings) -> "Metrics | None":
    """Metrics, if the settings ask for them."""
    if not settings.metrics:
        return None
    from app.serving.metrics import Metrics  # noqa: PLC0415  prometheus_client: only with --metrics

    return Metrics(service)


def operator_routes(service: Service, settings: Settings, metrics: "Metrics | None") -> list[Route]:
    """The routes that are there only if the settings ask for them."""
    routes = [metrics.route()] if metrics else []
    if settings.admin_password_file:
        guard = Guard(read_password(settings.admin_password_file))
        routes += admin_routes(service, guard)
    return routes


def app_options(
    demo: gr.Blocks, service: Service, settings: Settings, metrics: "Metrics | None" = None
) -> dict[str, Any]:
    """Arguments of Gradio's web app: nothing from elsewhere, the gate in front."""
    reloading = is_reloading(os.environ)
    pictures = writable_dir(settings.data_dir) / "pictures"
    routes = [
        picture_route(service, pictures),
        *map_routes([one.item_map for one in service.installed.values()]),
        *probe_routes(service),
    ]
    asked_for = operator_routes(service, settings, metrics)
    gate = Middleware(
        Gate,
        hosts=hosts_of(settings, os.environ),
        surface=surface_of(demo, service.installed),
        also_read=[*(route.path for route in asked_for), *([DEV_RELOAD] if reloading else [])],
        mcp=settings.mcp,
        **({"on_refusal": metrics.refused_by_gate} if metrics else {}),
    )
    # Outside the gate, which reads the page. Level 6: 9 makes 0.3% less of it and is slower.
    packing = Middleware(GZipMiddleware, compresslevel=6)
    middleware = [packing, gate, *(metrics.middleware() if metrics else [])]
    if reloading:
        middleware.insert(0, Middleware(AnswerOnceWatched, watched=_watched))
    app_kwargs: dict[str, Any] = {"middleware": middleware, "routes": [*routes, *asked_for]}
    if settings.mcp:
        from app.mcp_tools import McpTools  # noqa: PLC0415  its package: only with --mcp

        tools = McpTools(service)
        app_kwargs["routes"].append(tools.route)
        app_kwargs["lifespan"] = tools.lifespan
    return {
        "css": cssmin((ASSETS / "app.css").read_text("utf-8")),
        "theme": gr.themes.Default(font=FONTS, font_mono=MONOSPACED),
        "footer_links": ["api"],
        "run_history": False,
        "ssr_mode": False,
        "show_error": False,
        "app_kwargs": app_kwargs,
        # Gradio's own calls what X-Forwarded-Host says, and passes the checks of app.bodies by.
        "mcp_server": False,
    }


def web_app(
    demo: gr.Blocks, service: Service, settings: Settings, metrics: "Metrics | None" = None
) -> FastAPI:
    """The app for a server: the page and its API, behind the gate."""
    demo.state_session_capacity = MAX_SESSIONS
    # Without FastAPI's own pages, which would be outside the gate.
    outside = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    outside.add_middleware(RequestIds)
    outside.add_middleware(OwnPages)
    root_path = os.environ.get("GRADIO_ROOT_PATH")
    options = app_options(demo, service, settings, metrics)
    return gr.mount_gradio_app(outside, demo, "/", root_path=root_path, **options)


def launch(demo: gr.Blocks, service: Service, settings: Settings) -> None:
    """Serve the page until the app is stopped, and with it the process.

    Raises:
        HLLMError: the port or the address cannot be used.
    """
    if is_reloading(os.environ):
        _launch_reloading(demo, service, settings)
        return
    listener = listen(settings.host, settings.port, os.environ)
    metrics = open_metrics(service, settings)
    app = web_app(demo, service, settings, metrics)
    told = {"on_refusal": metrics.refused_by_server} if metrics else {}
    server = Server(app, limits_of_this_machine(), close=service.close, **told)
    # Where Gradio notes its own: what ZeroGPU forks closes what it inherits of this port.
    demo.server = server  # type: ignore[assignment]
    logger.info("HLLM Live is open at %s (Ctrl-C ends it).", address_of(listener))
    if settings.mcp:
        logger.info("Its MCP tools are at %s%s.", address_of(listener), MCP_PATH)
    set_up_log()
    server.run([listener])
    end(0)


def _launch_reloading(demo: gr.Blocks, service: Service, settings: Settings) -> None:
    """Serve the page under `gradio app.py`: only Gradio's own server watches the files."""
    # Gradio's own start-up requests would fill the log with lines that say nothing.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    demo.launch(
        server_name=settings.host,
        server_port=settings.port,
        share=False,
        state_session_capacity=MAX_SESSIONS,
        num_workers=0,  # Gradio's own file servers would be beside the gate
        **app_options(demo, service, settings, open_metrics(service, settings)),
    )
    # Here is the end of the app, or the thread that watches the files, for which launch() is over
    # at once.
    _watched.set()
