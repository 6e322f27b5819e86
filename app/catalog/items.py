"""The catalogue's item: its fields, their bounds, and the text fields that a model reads."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_ID_CHARS = 500
MAX_TITLE_CHARS = 1_000
MAX_CREATOR_CHARS = 500
MAX_DESCRIPTION_CHARS = 20_000
MAX_IMAGE_CHARS = 2_000
MAX_LABELS = 100
MAX_LABEL_CHARS = 200
MAX_EXTRA_KEYS = 200
MAX_EXTRA_CHARS = 20_000
MAX_POPULARITY = 2**53
MAX_YEAR = 9_999

# Between the labels of a list when it becomes one text; labels themselves may hold commas.
LABEL_SEPARATOR = "; "
# The key of extra under which the program's own notes are: no column can be called so.
NOTES_KEY = ""
# Names of the notes: texts as they were before cleaning, and full lengths of texts that were cut.
ORIGINAL_NOTE = "original"
CUT_NOTE = "cut"
FIELDS_NOTE = "number of fields"


@dataclass(frozen=True, kw_only=True)
class CatalogItem:
    """One item as the app shows it; texts are clean, ``extra`` holds every other field.

    Attributes:
        item_id: the data set's own id.
        image: URL or path of a cover, "" if there is none.
        popularity: number of interactions, or the source's own count where there are none.
        extra: further fields; ``extra[""]`` holds notes, never text for a model: "original" keeps
            texts as they were before cleaning, "cut" the full length of each that was too long.
    """

    item_id: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    creator: str = ""
    year: int | None = None
    price: float | None = None
    image: str = ""
    popularity: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


def text_fields(item: CatalogItem) -> dict[str, str]:
    """The texts of an item that a model may read, by field name; empty fields are left out.

    Scalars of ``extra`` follow the named fields, which win where the names are equal.
    """
    fields = {
        "title": item.title,
        "creator": item.creator,
        "categories": LABEL_SEPARATOR.join(item.categories),
        "tags": LABEL_SEPARATOR.join(item.tags),
        "year": "" if item.year is None else str(item.year),
        "description": item.description,
    }
    for key, value in item.extra.items():
        if key not in fields and isinstance(value, str | int | float):
            fields[key] = str(value)
    return {key: text for key, text in fields.items() if text}


def content_hash(fields: Mapping[str, Any]) -> int:
    """A signed 64-bit hash of a mapping: equal on every machine, fits an SQLite integer."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, default=str)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def bounded(item: CatalogItem) -> CatalogItem:
    """Return the item with every field storable and within its limit.

    Lengths of cut texts are noted in ``extra[""]["cut"]``, so that nobody takes them for complete.

    Raises:
        ValueError: the item_id is empty or too long.
    """
    item_id = storable(item.item_id)
    if not item_id or len(item_id) > MAX_ID_CHARS:
        raise ValueError(f"item_id {item_id[:40]!r} must have 1 to {MAX_ID_CHARS} characters")
    cut: dict[str, int] = {}

    def text(name: str, value: str, limit: int) -> str:
        value = storable(value)
        if len(value) > limit:
            cut[name] = len(value)
        return value[:limit].rstrip() if len(value) > limit else value

    fields: dict[str, Any] = {
        "item_id": item_id,
        "title": text("title", item.title, MAX_TITLE_CHARS),
        "description": text("description", item.description, MAX_DESCRIPTION_CHARS),
        "creator": text("creator", item.creator, MAX_CREATOR_CHARS),
        "image": text("image", item.image, MAX_IMAGE_CHARS),
        "tags": _labels(item.tags),
        "categories": _labels(item.categories),
        "year": item.year if item.year is not None and abs(item.year) <= MAX_YEAR else None,
        "price": item.price if item.price is not None and math.isfinite(item.price) else None,
        "popularity": min(max(int(item.popularity), 0), MAX_POPULARITY),
    }
    given = item.extra.get(NOTES_KEY)
    extra = _bounded_json(item.extra, cut)
    notes = _bounded_value(NOTES_KEY, given, {}, depth=0) if isinstance(given, Mapping) else {}
    if cut:
        notes[CUT_NOTE] = {**notes.get(CUT_NOTE, {}), **cut}
    if notes:
        extra[NOTES_KEY] = notes
    return CatalogItem(**fields, extra=extra)


def storable(text: str) -> str:
    """Replace what SQLite and UTF-8 cannot hold: lone surrogates and NUL characters."""
    text = str(text).replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    clean = (storable(label)[:MAX_LABEL_CHARS].strip() for label in labels)
    return tuple(dict.fromkeys(label for label in clean if label))[:MAX_LABELS]


def _bounded_json(extra: Mapping[str, Any], cut: dict[str, int]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    named = {storable(key)[:MAX_LABEL_CHARS]: value for key, value in extra.items()}
    named.pop(NOTES_KEY, None)
    if len(named) > MAX_EXTRA_KEYS:
        cut[FIELDS_NOTE] = len(named)
    for key, value in list(named.items())[:MAX_EXTRA_KEYS]:
        kept[key] = _bounded_value(key, value, cut, depth=0)
    return kept


def _bounded_value(name: str, value: Any, cut: dict[str, int], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_POPULARITY else str(value)[:MAX_LABEL_CHARS]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth < 4:
        pairs = list(value.items())[:MAX_EXTRA_KEYS]
        return {
            storable(key): _bounded_value(f"{name}.{key}", inner, cut, depth + 1)
            for key, inner in pairs
        }
    if isinstance(value, list | tuple) and depth < 4:
        return [_bounded_value(name, inner, cut, depth + 1) for inner in value[:MAX_LABELS]]
    text = storable(value)
    if len(text) > MAX_EXTRA_CHARS:
        cut[name] = len(text)
    return text[:MAX_EXTRA_CHARS]
