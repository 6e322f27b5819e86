"""Serves the pictures of items: nothing of the folder of pictures but what an item names.

Every item of the catalogue gets a picture here: one that is damaged, or has gone since the page was
made, is replaced by the drawn cover, so that no page shows the sign of a broken picture.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.cards import drawn_cover, drawn_version
from app.errors import CatalogError
from app.picture_files import SmallPictures, picture_path, picture_version
from app.service import Service

DECODERS = 2  # at a time: each may need MAX_PIXELS, and pages must not wait for them
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASKED_AGAIN = {"Cache-Control": "no-cache"}


def picture_route(service: Service, kept_in: Path) -> Route:
    """The route /covers?item=ITEM_ID&v=VERSION.

    Args:
        service: knows the items and the folder of pictures.
        kept_in: folder for small copies of pictures.
    """
    pictures = SmallPictures(kept_in)
    decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="pictures")

    def answer(item_id: str, version: str) -> Response:
        try:
            item = service.catalog.get([item_id]).get(item_id)
        except CatalogError as error:
            return JSONResponse({"detail": str(error)}, 503)
        if item is None:
            return JSONResponse({"detail": "There is no picture of this item."}, 404)
        path = picture_path(item, service.covers)
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


def _kept_if(is_own_version: bool) -> dict[str, str]:
    """Under its own version a picture never changes; under another it may be a new one."""
    return _KEPT if is_own_version else _ASKED_AGAIN
