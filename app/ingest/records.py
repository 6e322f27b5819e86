"""From the fields of a record to an item or an interaction, whatever the format."""

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any

from app.catalog import CatalogItem
from app.catalog.items import MAX_ID_CHARS, NOTES_KEY, ORIGINAL_NOTE, bounded
from app.ingest.clean import clean_title, is_missing, joined_text, list_or_text
from hllm.times import Timestamp, from_datetime, parse_timestamp

Interaction = tuple[str, str, Timestamp]


class ItemDraft:
    """An item in the making: cleans texts and keeps the original of each that it changed."""

    def __init__(self, item_id: str) -> None:
        self.values: dict[str, Any] = {"item_id": item_id}
        self.extra: dict[str, Any] = {}
        self.originals: dict[str, str] = {}

    def title(self, value: Any) -> None:
        """Set the title."""
        text = self._cleaned("title", value)
        if not text and isinstance(value, str) and value:
            text = clean_title(value)
        self.values["title"] = text.replace("\n", " ")

    def creator(self, value: Any) -> None:
        """Set the creator; Amazon writes some as "by", blank lines and the name."""
        name = self._cleaned("creator", _present(value)).removeprefix("by\n")
        self.values["creator"] = name.replace("\n", " ")

    def description(self, value: Any) -> None:
        """Set the description."""
        self.values["description"] = self._cleaned("description", _present(value))

    def dropped_title(self, value: str) -> None:
        """Leave the title empty, and keep what stood in its place."""
        self.values["title"] = ""
        self.originals["title"] = value.strip()

    def text(self, key: str, value: Any) -> None:
        """Keep a cleaned text in extra."""
        # An extra column may have the name of a field that was cleaned, too.
        note = f"extra.{key}" if key in self.originals else key
        text = self._cleaned(note, _present(value))
        if text:
            self.extra[key] = text

    def finish(self, fields: Mapping[str, Any], used: Iterable[str]) -> CatalogItem:
        """The item; every field that was not used goes to extra.

        Raises:
            ValueError: the item_id is empty or too long.
        """
        used = frozenset(used)
        for key, value in fields.items():
            if key in used or key == NOTES_KEY or _is_empty(value):
                continue
            name = f"{key} (2)" if key in self.extra else key
            if isinstance(value, str):
                self.text(name, value)
            else:
                self.extra[name] = value
        if self.originals:
            self.extra[NOTES_KEY] = {ORIGINAL_NOTE: self.originals}
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


def _present(value: Any) -> Any:
    return None if is_missing(value) else value


def required_id(fields: Mapping[str, Any], key: str) -> str:
    """An id as text, exactly as it is written but for blanks around it.

    Raises:
        ValueError: it is missing, too long, or holds what text cannot.
    """
    value = fields.get(key)
    if value is None or isinstance(value, dict | list):
        raise ValueError(f"{key} is missing")
    if isinstance(value, float):
        if math.isnan(value):  # so a Parquet column of numbers holds one that is missing
            raise ValueError(f"{key} is empty")
        value = int(value) if value.is_integer() else value
    text = str(value).strip()
    if not text:
        raise ValueError(f"{key} is empty")
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"{key} has more than {MAX_ID_CHARS} characters")
    # Replacing what cannot be stored would make one id of two.
    if "\x00" in text or not _is_encodable(text):
        raise ValueError(f"{key} {ascii(text)[:40]} holds a character that text cannot")
    return text


def _is_encodable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def timestamp_of(fields: Mapping[str, Any], key: str) -> Timestamp:
    """A timestamp with every digit: a number in any unit, or a date and time in ISO notation.

    Raises:
        ValueError: it is missing or neither.
    """
    value = fields.get(key)
    if value is None:
        raise ValueError(f"{key} is missing")
    try:
        if isinstance(value, datetime.datetime):
            return from_datetime(value)
        return parse_timestamp(str(value))
    except ValueError as error:
        raise ValueError(f"{key} {error}") from error
