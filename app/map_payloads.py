"""What the server answers to the page about the map: app.contract_map names the payloads."""

import logging
from typing import Any

from app.contract import ItemPayload
from app.contract_map import MapMarksPayload, MapPayload
from app.errors import CatalogError
from app.item_map import ALL, OTHERS
from app.languages import tr
from app.map_routes import script_address
from app.payloads import item_payload
from app.service import Service
from app.session import clean_rows
from hllm.errors import HLLMError

logger = logging.getLogger(__name__)


def map_payload(service: Service) -> MapPayload:
    """Whether there is a map, and what draws it."""
    points, message, is_coming = service.item_map.open()
    if points is None:
        return {
            "state": "later" if is_coming else "none",
            "message": message,
            "method": "",
            "count": 0,
            "categories": [],
            "version": "",
            "points": "",
            "script": "",
        }
    named = points.categories[:-1]
    return {
        "state": "ready",
        "message": tr(points.projection.note),
        "method": points.projection.method,
        "count": len(points.colours),
        "categories": [*named, tr(OTHERS if named else ALL)],
        "version": points.version,
        "points": f"map/points?v={points.version}",
        "script": script_address(),
    }


def map_marks_payload(service: Service, raw: Any) -> MapMarksPayload:
    """The places that a page asks for with a MapMarksQuery."""
    raw = raw if isinstance(raw, dict) else {}
    rows = clean_rows(raw.get("rows"), [column.key for column in service.columns])
    try:
        history = service.clean(raw.get("history"))
        places, lists, user = service.item_map.marks(history.items, rows)
    except (CatalogError, HLLMError) as error:
        logger.info("Nothing is marked on the map: %s", error)
        return {"history": [], "rows": {}, "user": None}
    return {"history": places, "rows": lists, "user": user}


def map_item_payload(service: Service, raw: Any) -> ItemPayload | None:
    """The item of a MapItemQuery; None where there is none, or the points are older ones."""
    raw = raw if isinstance(raw, dict) else {}
    version, point = raw.get("version"), raw.get("point")
    points = service.item_map.known(version) if isinstance(version, str) else None
    if points is None or type(point) is not int or not 0 <= point < len(points.colours):
        return None
    try:
        cards = service.cards_of([points.recommender.item_ids[point]])
    except CatalogError as error:
        logger.warning("A point of the map is not named: %s", error)
        return None
    return item_payload(cards[0]) if cards else None
