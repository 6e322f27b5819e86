"""Serves the pictures of items: nothing of the folder of pictures but what an item names.

Every item of the catalogue gets a picture here: one that is damaged, or has gone since the page was
made, is replaced by the drawn cover, so that no page shows the sign of a broken picture.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.cards import drawn_cover, drawn_version
from app.catalog import CatalogItem
from app.errors import CatalogError
from app.picture_files import SmallPictures, picture_path, picture_version
from app.service import Service

DECODERS = 2  # at a time: each may need MAX_PIXELS, and pages must not wait for them
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASKED_AGAIN = {"Cache-Control": "no-cache"}


def picture_route(service: Service, kept_in: Path) -> Route:
    """The route /covers?item=ITEM_ID&v=VERSION.

    Args:
        service: knows the items and the folders of pictures, of all catalogues.
        kept_in: folder for small copies of pictures.
    """
    pictures = SmallPictures(kept_in)
    decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="pictures")

    def answer(item_id: str, version: str) -> Response:
        try:
            found = _find(service.installed.values(), item_id, version)
        except CatalogError as error:
            return JSONResponse({"detail": str(error)}, 503)
        if found is None:
            return JSONResponse({"detail": "There is no picture of this item."}, 404)
        item, path = found
        picture = pictures.get(path) if path else None
        if path is None or picture is None:
            drawn = _kept_if(version == drawn_version(item))
            return Response(drawn_cover(item), 200, drawn, "image/svg+xml")
        return Response(picture, 200, _kept_if(version == picture_version(path)), "image/webp")

    async def picture(request: Request) -> Response:
        asked = request.query_params
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            decoders, answer, asked.get("item", ""), asked.get("v", "")
        )

    return Route("/covers", picture)


def _find(
    services: Iterable[Service], item_id: str, version: str
) -> tuple[CatalogItem, Path | None] | None:
    """An item and its picture, None if it is to be drawn.

    Catalogues may have items of the same id: the version tells them apart. What was drawn before
    the item changed is that of the first one.
    """
    first = None
    for service in services:
        item = service.catalog.get([item_id]).get(item_id)
        if item is None:
            continue
        path = picture_path(item, service.covers)
        if version == (picture_version(path) if path else drawn_version(item)):
            return item, path
        first = first or (item, path)
    return first


def _kept_if(is_own_version: bool) -> dict[str, str]:
    """Under its own version a picture never changes; under another it may be a new one."""
    return _KEPT if is_own_version else _ASKED_AGAIN
