"""Serves what the map needs beyond the first visit: its script, and its points."""

import hashlib
from collections.abc import Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.bundle import minified
from app.item_map import ItemMap
from app.settings import ROOT

LIBRARY = ROOT / "assets" / "vendor" / "scatterplot.js"
ENTRY = ROOT / "assets" / "page" / "map_view.js"
START = "globalThis.hllmMap = makeMapView;"
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASKED_AGAIN = {"Cache-Control": "no-cache"}


@cache
def map_script() -> bytes:
    """The library that draws points, and ours that uses it: gives `hllmMap` to the page."""
    ours = minified(ENTRY, START)
    return f"{LIBRARY.read_text('utf-8')}\n(() => {{{ours}}})();\n".encode()


@cache
def script_address() -> str:
    """Another one for every change of it."""
    return f"map/script?v={_script_version()}"


def _script_version() -> str:
    return hashlib.sha256(map_script()).hexdigest()[:16]


def map_routes(item_maps: Sequence[ItemMap]) -> list[Route]:
    """The routes /map/script?v=VERSION and /map/points?v=VERSION.

    Args:
        item_maps: of all catalogues; the version of points says whose they are.
    """

    def script(request: Request) -> Response:
        is_own = request.query_params.get("v") == _script_version()
        headers = _KEPT if is_own else _ASKED_AGAIN
        return Response(map_script(), 200, headers, "text/javascript")

    def points(request: Request) -> Response:
        version = request.query_params.get("v", "")
        found = next((points for one in item_maps if (points := one.known(version))), None)
        if found is None:
            return JSONResponse({"detail": "There are no such points: open the map again."}, 404)
        return Response(found.data, 200, _KEPT, "application/octet-stream")

    return [Route("/map/script", script), Route("/map/points", points)]
