"""Records of the three generations of the Amazon Reviews data set become items and interactions.

Every function raises ValueError with the reason where a record cannot be used.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from app.catalog import CatalogItem
from app.ingest.clean import first_text, joined_text, labels
from app.ingest.numbers import parse_count, parse_price, parse_year
from app.ingest.records import Interaction, ItemDraft, required_id, timestamp_of
from hllm.schema.rules import parse_json

Fields = Mapping[str, Any]

# Lists of other products' ids and page fragments: large, and not text about the item.
_NOISE = frozenset(
    "also_buy also_view also_bought bought_together similar_item related tech1 tech2 fit "
    "videos images image imageURL imageURLHighRes".split()
)
_YEAR_DETAILS = (
    "Publication date",
    "Original Release Date",
    "Release Date",
    "Release date",
    "Publisher",
    "Date First Available",
)


# Known damage of 2018: a script of the page in place of the title.
_SCRIPT = re.compile(
    r"\s*(?:<script|(?:var|let|const)\s+\w+\s*=|\(?function\s*\w*\s*\(|window[.\[]|if\s*\()"
)


def item_2014(fields: Fields) -> CatalogItem:
    """Metadata of 2014: asin, title, description, price, imUrl, brand, categories, salesRank."""
    draft = ItemDraft(required_id(fields, "asin"))
    draft.title(fields.get("title"))
    draft.creator(fields.get("brand"))
    draft.description(fields.get("description"))
    draft.values["categories"] = _categories(fields.get("categories"))
    draft.values["price"] = parse_price(fields.get("price"))
    draft.values["image"] = first_text([fields.get("imUrl")])
    return draft.finish(
        fields,
        used={"asin", "title", "brand", "description", "categories", "price", "imUrl"} | _NOISE,
    )


def item_2018(fields: Fields) -> CatalogItem:
    """Metadata of 2018: as 2014 with lists for description and feature, and a price as text."""
    draft = ItemDraft(required_id(fields, "asin"))
    title = fields.get("title")
    if isinstance(title, str) and ";" in title and _SCRIPT.match(title):
        draft.dropped_title(title)
    else:
        draft.title(title)
    draft.creator(fields.get("brand"))
    draft.description(fields.get("description"))
    draft.text("features", fields.get("feature"))
    draft.values["categories"] = _categories(fields.get("category"))
    draft.values["price"] = parse_price(fields.get("price"))
    draft.values["year"] = parse_year(fields.get("date"))
    pictures = [*_listed(fields.get("imageURLHighRes")), *_listed(fields.get("imageURL"))]
    draft.values["image"] = first_text(pictures)
    used = {"asin", "title", "brand", "description", "feature", "category", "price"}
    return draft.finish(fields, used=used | _NOISE)


def item_2023(fields: Fields) -> CatalogItem:
    """Metadata of 2023: parent_asin, features, images, details, store, rating_number."""
    fields = {**fields, **_as_objects(fields, ("details", "images", "author"))}
    details = fields.get("details")
    details = details if isinstance(details, Mapping) else {}
    draft = ItemDraft(required_id(fields, "parent_asin"))
    draft.title(fields.get("title"))
    draft.creator(fields.get("store") or _author(fields.get("author")))
    draft.description(fields.get("description"))
    draft.text("features", fields.get("features"))
    draft.values["categories"] = _categories(fields.get("categories")) or labels(
        fields.get("main_category")
    )
    draft.values["price"] = parse_price(fields.get("price"))
    years = (parse_year(details[key]) for key in _YEAR_DETAILS if details.get(key))
    draft.values["year"] = next((year for year in years if year is not None), None)
    draft.values["image"] = _picture_2023(fields.get("images"))
    draft.values["popularity"] = parse_count(fields.get("rating_number"))
    used = {"parent_asin", "title", "store", "description", "features", "categories", "price"}
    return draft.finish(fields, used=used | _NOISE)


def review(fields: Fields) -> Interaction:
    """A review of 2014 or 2018: reviewerID, asin, unixReviewTime in seconds."""
    return (
        required_id(fields, "reviewerID"),
        required_id(fields, "asin"),
        timestamp_of(fields, "unixReviewTime"),
    )


def review_2023(fields: Fields) -> Interaction:
    """A review of 2023: user_id, parent_asin, timestamp in milliseconds (kept as they are)."""
    return (
        required_id(fields, "user_id"),
        required_id(fields, "parent_asin"),
        timestamp_of(fields, "timestamp"),
    )


def rating(fields: Fields) -> Interaction:
    """A row of a ratings csv whose columns were named user, item and timestamp."""
    return (
        required_id(fields, "user"),
        required_id(fields, "item"),
        timestamp_of(fields, "timestamp"),
    )


def _as_objects(fields: Fields, keys: Iterable[str]) -> dict[str, Any]:
    """Fields that hold an object or a list as JSON text, as ``datasets`` writes them, parsed."""
    found: dict[str, Any] = {}
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value.strip()[:1] in ("{", "["):
            with suppress(ValueError):
                found[key] = parse_json(value)
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _categories(value: Any) -> tuple[str, ...]:
    # The page's own scraps ("</span></span></span>") end some lists of 2018.
    names = (name for part in _flat(value) for name in labels(part, separators=""))
    return tuple(dict.fromkeys(name for name in names if "<" not in name and len(name) < 120))


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part)
    elif value:
        yield value


def _author(value: Any) -> str:
    return joined_text(value.get("name")) if isinstance(value, Mapping) else ""


def _picture_2023(images: Any) -> str:
    """URL of the main picture; images is a list of objects, or (in some mirrors) one of lists."""
    if isinstance(images, Mapping):
        columns = {size: _listed(urls) for size, urls in images.items()}
        count = max(map(len, columns.values()), default=0)
        images = [
            {size: urls[row] for size, urls in columns.items() if row < len(urls)}
            for row in range(count)
        ]
    pictures = [image for image in _listed(images) if isinstance(image, Mapping)]
    pictures.sort(key=lambda image: image.get("variant") != "MAIN")
    sizes = ("hi_res", "large", "thumb")
    return first_text(image.get(size) for image in pictures for size in sizes)
