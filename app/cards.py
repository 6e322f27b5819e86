"""What the page shows of an item: short texts and the address of a picture."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from app.catalog import CatalogItem
from app.covers import cover_data_uri

MAX_TITLE_CHARS = 200
MAX_CREATOR_CHARS = 120
MAX_DESCRIPTION_CHARS = 400
# By the ending: what is in a file that is called .jpg is shown as a picture or not at all, because
# every answer forbids browsers to guess. No SVG: it can hold scripts.
PICTURE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
# Where app.pictures serves the picture of an item; relative, so that it works behind a prefix. The
# id is a parameter: in a path, proxies change slashes and dots.
PICTURE_ROUTE = "covers?item="


@dataclass(frozen=True)
class Card:
    """An item as the page shows it; texts are as they are in the data, not escaped."""

    item_id: str
    title: str
    creator: str
    year: str
    cover: str
    description: str


def make_card(item: CatalogItem, covers: Path | None = None) -> Card:
    """Shorten an item for the page.

    Args:
        item: of the catalogue.
        covers: folder with pictures named by item_id or as the item's image says.

    Returns:
        The card; its cover is a local file or drawn, never an address in the network.
    """
    title = _shorten(item.title, MAX_TITLE_CHARS) or item.item_id
    creator = _shorten(item.creator, MAX_CREATOR_CHARS)
    category = item.categories[0] if item.categories else ""
    return Card(
        item_id=item.item_id,
        title=title,
        creator=creator,
        year="" if item.year is None else _year(item.year),
        cover=(
            PICTURE_ROUTE + quote(item.item_id, safe="")
            if picture_path(item, covers)
            else _drawn(title, creator, category, item.item_id)
        ),
        description=_shorten(item.description, MAX_DESCRIPTION_CHARS),
    )


@lru_cache(maxsize=4096)
def _drawn(title: str, creator: str, category: str, item_id: str) -> str:
    return cover_data_uri(title, creator, category, seed_text=item_id)


def picture_path(item: CatalogItem, covers: Path | None) -> Path | None:
    """The picture of an item: a file in the folder, named by the item's id or image, or None."""
    if covers is None:
        return None
    names = [item.item_id + suffix for suffix in PICTURE_TYPES]
    if item.image and "://" not in item.image:
        names.insert(0, item.image)
    folder = covers.resolve()
    for name in names:
        path = (folder / name).resolve()
        # An item_id or image such as "../secret.png" must not leave the folder.
        if path.is_relative_to(folder) and path.suffix.lower() in PICTURE_TYPES and path.is_file():
            return path
    return None


def _year(year: int) -> str:
    return str(year) if year > 0 else f"{-year} BC"


def _shorten(value: str, limit: int) -> str:
    value = " ".join(value.split())
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"
