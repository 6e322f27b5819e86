"""Items that visitors write: checked and cleaned as imported ones are. Nothing of them is kept.

They stay in the visitor's browser, which sends their texts with every request that is about them.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from app.cards import drawn_cover
from app.catalog import CatalogItem
from app.catalog.items import storable
from app.contract import WrittenPayload
from app.ingest.clean import clean_text
from app.languages import marked, tr

# Lengths in characters. Five of them fit a request, in any script (app.bodies.MAX_BODY_BYTES).
MAX_WRITTEN = 5
MAX_CHARS = {"title": 200, "creator": 120, "category": 80, "description": 1000}
NAMES = {
    "title": marked("title"),
    "creator": marked("author"),
    "category": marked("category"),
    "description": marked("text"),
}
ID_PREFIX = "written-"


def written_item(raw: Any) -> CatalogItem:
    """Turn what a page sent into an item; equal texts give equal ids.

    Args:
        raw: anything; a WrittenPayload is expected.

    Raises:
        ValueError: it is none; the message is a sentence for the visitor.
    """
    fields = raw if isinstance(raw, Mapping) else {}
    clean = {name: _clean(fields.get(name, ""), name) for name in MAX_CHARS}
    if not clean["title"]:
        raise ValueError(tr("It needs a title."))
    named = sha256(json.dumps(clean, sort_keys=True).encode()).hexdigest()
    return CatalogItem(
        item_id=ID_PREFIX + named[:16],
        title=clean["title"],
        creator=clean["creator"],
        categories=(clean["category"],) if clean["category"] else (),
        description=clean["description"],
    )


def written_payload(item: CatalogItem) -> WrittenPayload:
    """The texts of an item as a page sends them; written_item makes the same item of them."""
    return {
        "title": item.title,
        "creator": item.creator,
        "category": item.categories[0] if item.categories else "",
        "description": item.description,
    }


def cover_address(item: CatalogItem) -> str:
    """The drawn cover of a written item as an address that holds all of it."""
    return f"data:image/svg+xml,{quote(drawn_cover(item))}"


def _clean(raw: Any, name: str) -> str:
    if not isinstance(raw, str):
        raise ValueError(tr("The {field} must be a text.", field=tr(NAMES[name])))
    if len(raw) > MAX_CHARS[name]:
        raise ValueError(
            tr(
                "The {field} must have at most {count} characters.",
                field=tr(NAMES[name]),
                count=f"{MAX_CHARS[name]:,}",
            )
        )
    text = storable(raw)
    # Until nothing changes, or an item would have another id when the page sends it again.
    while (cleaned := clean_text(text)) != text:
        text = cleaned
    return text if name == "description" else " ".join(text.split())
