"""From the fields of a record to an item or an interaction, whatever the format."""

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any

from app.catalog import CatalogItem
from app.catalog.items import MAX_ID_CHARS, ORIGINAL_KEY, bounded
from app.ingest.clean import clean_title, joined_text, list_or_text

Interaction = tuple[str, str, int]
MAX_TIMESTAMP = 2**62


class ItemDraft:
    """An item in the making: cleans texts and keeps the original of each that it changed."""

    def __init__(self, item_id: str) -> None:
        self.values: dict[str, Any] = {"item_id": item_id}
        self.extra: dict[str, Any] = {}
        self.originals: dict[str, str] = {}

    def title(self, value: Any) -> None:
        """Set the title."""
        text = self._cleaned("title", value)
        if not text and isinstance(value, str):
            text = clean_title(value)
        self.values["title"] = text.replace("\n", " ")

    def creator(self, value: Any) -> None:
        """Set the creator; Amazon writes some as "by", blank lines and the name."""
        name = self._cleaned("creator", value).removeprefix("by\n")
        self.values["creator"] = name.replace("\n", " ")

    def description(self, value: Any) -> None:
        """Set the description."""
        self.values["description"] = self._cleaned("description", value)

    def text(self, key: str, value: Any) -> None:
        """Keep a cleaned text in extra."""
        text = self._cleaned(key, value)
        if text:
            self.extra[key] = text

    def finish(self, fields: Mapping[str, Any], used: Iterable[str]) -> CatalogItem:
        """The item; every field that was not used goes to extra.

        Raises:
            ValueError: the item_id is empty or too long.
        """
        used = frozenset(used)
        for key, value in fields.items():
            if key in used or not key or _is_empty(value):
                continue
            if isinstance(value, str):
                self.text(key, value)
            else:
                self.extra.setdefault(key, value)
        if self.originals:
            self.extra[ORIGINAL_KEY] = self.originals
        return bounded(CatalogItem(**self.values, extra=self.extra))

    def _cleaned(self, key: str, value: Any) -> str:
        text = joined_text(value)
        original = value.strip() if isinstance(value, str) else "\n".join(list_or_text(value))
        if text != original:
            self.originals[key] = original
        return text


def _is_empty(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or value == "" or value == [] or value == {}


def required_id(fields: Mapping[str, Any], key: str) -> str:
    """An id as text.

    Raises:
        ValueError: it is missing or too long.
    """
    value = fields.get(key)
    if value is None or isinstance(value, dict | list):
        raise ValueError(f"{key} is missing")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if not text or text == "nan":
        raise ValueError(f"{key} is empty")
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"{key} has more than {MAX_ID_CHARS} characters")
    return text


def timestamp_of(fields: Mapping[str, Any], key: str) -> int:
    """A timestamp as an integer: a number in any unit, or a date and time in ISO notation.

    Raises:
        ValueError: it is missing or neither.
    """
    value = fields.get(key)
    if isinstance(value, datetime.datetime):
        return _epoch_seconds(value)
    text = str(value).strip() if value is not None else ""
    if not text:
        raise ValueError(f"{key} is missing")
    try:
        number = int(text)
    except ValueError:
        try:
            number = int(float(text))
        except (ValueError, OverflowError):
            number = _from_iso(key, text)
    if abs(number) > MAX_TIMESTAMP:
        raise ValueError(f"{key} {text[:40]!r} is out of range")
    return number


def _from_iso(key: str, text: str) -> int:
    try:
        return _epoch_seconds(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise ValueError(f"{key} {text[:40]!r} is neither a number nor an ISO date") from error


def _epoch_seconds(moment: datetime.datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp())
