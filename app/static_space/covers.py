"""The covers of all items as files, the same ones that the server would send."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.cards import drawn_cover
from app.catalog import CatalogItem
from app.picture_files import SmallPictures, picture_path

PER_FOLDER = 1000  # some hosts take no folder of more than 10,000 files


def write_covers(
    folder: Path, items: Iterable[CatalogItem], pictures: Path | None, kept_in: Path
) -> list[str]:
    """Write a cover for each item: its picture, or one that is drawn where it has none.

    Args:
        folder: of the page.
        items: in the order of their numbers.
        pictures: folder with pictures, or None.
        kept_in: folder for small copies of pictures.

    Returns:
        Addresses relative to the page, one for each item.
    """
    small = SmallPictures(kept_in)
    names = []
    for number, item in enumerate(items):
        path = picture_path(item, pictures)
        picture = small.get(path) if path else None
        # By number: an id may hold anything.
        name = f"covers/{number // PER_FOLDER}/{number}.{'svg' if picture is None else 'webp'}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(drawn_cover(item).encode() if picture is None else picture)
        names.append(name)
    return names
