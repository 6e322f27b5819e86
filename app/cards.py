"""What the page shows of an item: short texts and the address of a picture."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from app.catalog import CatalogItem
from app.covers import cover_svg
from app.picture_files import picture_path, picture_version

MAX_TITLE_CHARS = 200
MAX_CREATOR_CHARS = 120
MAX_DESCRIPTION_CHARS = 400
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
    price: float | None = None


def make_card(item: CatalogItem, covers: Path | None = None) -> Card:
    """Shorten an item for the page.

    Args:
        item: of the catalogue.
        covers: folder with pictures named by item_id or as the item's image says.

    Returns:
        The card; its cover is an address of this app, where app.pictures serves it.
    """
    title, creator, _ = _on_the_cover(item)
    picture = picture_path(item, covers)
    version = picture_version(picture) if picture else drawn_version(item)
    return Card(
        item_id=item.item_id,
        title=title,
        creator=creator,
        year="" if item.year is None else _year(item.year),
        cover=f"{PICTURE_ROUTE}{quote(item.item_id, safe='')}&v={version}",
        price=item.price,
        description=_shorten(item.description, MAX_DESCRIPTION_CHARS),
    )


def drawn_cover(item: CatalogItem) -> str:
    """The cover of an item as SVG, the same one that a card without a picture has."""
    return cover_svg(*_on_the_cover(item), seed_text=item.item_id)


def drawn_version(item: CatalogItem) -> str:
    """16 hex digits that change with the drawn cover of an item."""
    return _version_of(*_on_the_cover(item), item.item_id)


def _on_the_cover(item: CatalogItem) -> tuple[str, str, str]:
    """Title, creator and category of an item, as short as a cover and a card need them."""
    title = _shorten(item.title, MAX_TITLE_CHARS) or item.item_id
    category = item.categories[0] if item.categories else ""
    return title, _shorten(item.creator, MAX_CREATOR_CHARS), category


@lru_cache(maxsize=65536)
def _version_of(title: str, creator: str, category: str, item_id: str) -> str:
    svg = cover_svg(title, creator, category, seed_text=item_id)
    return sha256(svg.encode()).hexdigest()[:16]


def _year(year: int) -> str:
    return str(year) if year > 0 else f"{-year} BC"


def _shorten(value: str, limit: int) -> str:
    value = " ".join(value.split())
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"
