"""What Prometheus may ask: how much is answered, how fast, and what stands in the way.

Labels have values of closed lists: names of functions, endpoints, statuses and models. Nothing is
counted by visitor, item or address.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.gate import route_path
from app.service import Service

Message = MutableMapping[str, Any]
App = Callable[[Message, Any, Any], Awaitable[None]]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BATCH_SIZES = (1, 2, 4, 8, 16)
# Beginnings of paths, the first that fits.
_KINDS = {
    "/mcp": "mcp",
    "/gradio_api/component_server": "function",
    "/static": "parts",
    "/assets": "parts",
    "/covers": "picture",
    "/-/": "probe",
    "/gradio_api/queue/join": "queue_join",
    "/gradio_api/queue/data": "queue_data",
    "/gradio_api/call/": "call_result",
    "/gradio_api": "api_info",
}


class Metrics:
    """The metrics of one app.

    Args:
        service: what answers.
    """

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(service))
        self._requests = Counter(
            "hllm_requests",
            "Answers by kind (function of the page, endpoint or part of the page) and HTTP status.",
            ["kind", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "hllm_request_duration_seconds",
            "From the checked request to the end of its answer, by kind.",
            ["kind"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._refusals = Counter(
            "hllm_refusals",
            "Requests and connections that were refused: by the gate (reason: HTTP status) or by "
            "the server (connections, header, body, answer).",
            ["by", "reason"],
            registry=self._registry,
        )

    def refused_by_gate(self, status: int) -> None:
        """Count a request that the gate refused."""
        self._refusals.labels("gate", str(status)).inc()

    def refused_by_server(self, reason: str) -> None:
        """Count a connection that the server refused or ended."""
        self._refusals.labels("server", reason).inc()

    def answered(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(kind, str(status)).inc()
        self._seconds.labels(kind).observe(seconds)

    def middleware(self) -> list[Middleware]:
        """What counts and times answers, for behind the gate."""
        return [Middleware(Measured, metrics=self)]

    def route(self) -> Route:
        """The route /-/metrics."""

        def metrics(_: Request) -> Response:
            headers = {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_LATEST}
            return Response(generate_latest(self._registry), headers=headers)

        return Route("/-/metrics", metrics)


class Measured:
    """ASGI middleware behind the gate: counts and times what is answered.

    Args:
        app: what answers.
        metrics: where it is counted.
    """

    def __init__(self, app: App, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer a request, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind, status, start = kind_of(scope["method"], route_path(scope)), 500, time.perf_counter()

        async def receive_and_look() -> Message:
            nonlocal kind
            message = await receive()
            if kind == "function" and message.get("body"):  # whole, and checked by the gate
                kind = json.loads(message["body"])["fn_name"]
            return message

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive_and_look, send_and_look)
        finally:
            self._metrics.answered(kind, status, time.perf_counter() - start)


def kind_of(method: str, path: str) -> str:
    """The kind of a request that the gate let through; "function": its body says which."""
    if method == "POST" and path.startswith("/gradio_api/call/"):
        return "call_" + path.split("/")[3]  # an endpoint that there is: the gate has checked it
    return next((kind for start, kind in _KINDS.items() if path.startswith(start)), "page")


class _State(Collector):
    """What models and line count themselves, read when somebody asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        line = self._service.line
        yield GaugeMetricFamily(
            "hllm_visitors_waiting", "Who waits for a place to compute.", line.num_waiting
        )
        yield CounterMetricFamily(
            "hllm_busy_answers", "Who heard that too many wait already.", value=line.num_refused
        )
        ready = GaugeMetricFamily("hllm_model_ready", "1 if the model answers.", labels=["model"])
        items = CounterMetricFamily(
            "hllm_history_items",
            "Items of histories: known from the cache, read while somebody waited, or read ahead.",
            labels=["model", "how"],
        )
        batches = HistogramMetricFamily(
            "hllm_batch_size", "Histories that were read side by side.", labels=["model"]
        )
        service = self._service
        for name, column in zip(service.model_names, service.columns, strict=True):
            ready.add_metric([name], column.info().state == "ready")
            counts = column.counts()
            if counts is None:
                continue
            items.add_metric([name, "known"], counts.reused)
            items.add_metric([name, "read"], counts.encoded)
            items.add_metric([name, "ahead"], counts.prepared)
            sizes = dict(counts.batches)
            below = [(str(most), _up_to(sizes, most)) for most in BATCH_SIZES]
            buckets = [*below, ("+Inf", sum(sizes.values()))]
            total = sum(size * count for size, count in sizes.items())
            batches.add_metric([name], buckets, total)
        yield from (ready, items, batches)


def _up_to(sizes: Mapping[int, int], most: int) -> int:
    return sum(count for size, count in sizes.items() if size <= most)
