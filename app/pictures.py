"""Serves the pictures of items: nothing of the folder of --covers but what an item names."""

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app.cards import PICTURE_TYPES, picture_path
from app.errors import CatalogError
from app.service import Service


def picture_route(service: Service) -> Route:
    """The route /covers?item=ITEM_ID."""

    def picture(request: Request) -> Response:
        item_id = request.query_params.get("item", "")
        try:
            item = service.catalog.get([item_id]).get(item_id)
        except CatalogError as error:
            return JSONResponse({"detail": str(error)}, 503)
        path = picture_path(item, service.covers) if item else None
        if path is None:
            return JSONResponse({"detail": "There is no picture of this item."}, 404)
        return FileResponse(path, media_type=PICTURE_TYPES[path.suffix.lower()])

    return Route("/covers", picture)
