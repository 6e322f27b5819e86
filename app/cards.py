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
PICTURE_TYPES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
# Where Gradio serves files of folders that were allowed at launch; relative, for mounted apps.
FILE_ROUTE = "gradio_api/file="


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
        cover=_picture(item, covers) or _drawn(title, creator, category, item.item_id),
        description=_shorten(item.description, MAX_DESCRIPTION_CHARS),
    )


@lru_cache(maxsize=4096)
def _drawn(title: str, creator: str, category: str, item_id: str) -> str:
    return cover_data_uri(title, creator, category, seed_text=item_id)


def _picture(item: CatalogItem, covers: Path | None) -> str:
    if covers is None:
        return ""
    names = [item.item_id + suffix for suffix in PICTURE_TYPES]
    if item.image and "://" not in item.image:
        names.insert(0, item.image)
    folder = covers.resolve()
    for name in names:
        path = (folder / name).resolve()
        # An item_id or image such as "../secret.png" must not leave the folder.
        if path.is_relative_to(folder) and path.suffix.lower() in PICTURE_TYPES and path.is_file():
            return FILE_ROUTE + quote(path.as_posix())
    return ""


def _year(year: int) -> str:
    return str(year) if year > 0 else f"{-year} BC"


def _shorten(value: str, limit: int) -> str:
    value = " ".join(value.split())
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"
