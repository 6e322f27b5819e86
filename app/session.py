"""Checks what a page sends: histories, filters, clicks. The server keeps no session.

The history lives in the visitor's page, which adds, removes, moves and undoes; every request brings
it whole. It is data from outside: anything may be in it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from app.catalog import CatalogItem, ItemFilter, Sort
from app.catalog.items import MAX_ID_CHARS, MAX_LABEL_CHARS, storable, text_fields
from app.languages import marked, tr
from app.written import MAX_WRITTEN, written_item

MAX_HISTORY = 50
MAX_SEARCH_CHARS = 200
MAX_CURSOR_CHARS = 2000
MAX_SHOWN_CHARS = 80
MAX_RANK = 1000
MAX_PRICE = 10**12
MAX_TABS = 100
MAX_ROWS = 20
SORTS: dict[Sort, str] = {
    "popularity": marked("Most popular"),
    "title": marked("Title"),
    "newest": marked("Newest first"),
    "year": marked("Oldest first"),
}
SLIDERS = {"diversity": marked("Diversity"), "less_popular": marked("Less popular")}
SOURCES = ("browse", "popular", "hllm", "baseline", "example", "shared", "detail", "blind", "map")
ANONYMOUS = "anonymous"  # many visitors' questions, of which none is another one again
_SESSION = re.compile(r"[0-9a-f-]{8,64}")
_KEY = re.compile(r"[0-9a-f]{32}")
_SEED = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True)
class History:
    """A history that can be worked with, and what had to be left out of it.

    Attributes:
        item_ids: known, different items, oldest first, at most MAX_HISTORY.
        notices: sentences for the visitor; empty if everything was kept.
        written: those of them that are not in the catalogue, as the visitor wrote them.
    """

    item_ids: tuple[str, ...]
    notices: tuple[str, ...] = ()
    written: Mapping[str, CatalogItem] = field(default_factory=dict)

    @property
    def items(self) -> list[str | dict[str, str]]:
        """As recommenders take them: ids of the catalogue, and texts of what it does not have."""
        written = self.written
        return [text_fields(written[i]) if i in written else i for i in self.item_ids]


@dataclass(frozen=True)
class BrowseRequest:
    """What part of the catalogue a page asks for; `cursor` None is the first page."""

    text: str = ""
    category: str = ""
    sort: Sort = "popularity"
    cursor: str | None = None


@dataclass(frozen=True)
class WhatIf:
    """A visitor tries something: nothing of the answer is recorded.

    Attributes:
        diversity, less_popular: 0 to 1, how the lists are re-ranked; see hllm.serving.rerank.
        notices: sentences for the visitor; empty if everything was understood.
    """

    diversity: float = 0.0
    less_popular: float = 0.0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Click:
    """An item that a visitor put into the history, and where on the page it was found.

    `key`: told again with the same one, it is kept once; "": it is not told again.
    """

    item_id: str
    source: str
    session_id: str
    rank: int | None = None
    key: str = ""


def clean_history(raw: Any, known: Callable[[list[str]], Iterable[str]]) -> History:
    """Turn what a page sent into a history.

    Args:
        raw: anything; a list of item ids and written items, oldest first, is expected.
        known: tells which of some ids are in the catalogue.

    Returns:
        The history; repeated items count where they were last, the oldest leave when it is long.
    """
    if not isinstance(raw, (list, tuple)):
        notice = tr("The history was not a list: it starts empty.")
        return History((), () if raw is None else (notice,))
    ids, written = _ids_and_written(raw)
    distinct = list(dict.fromkeys(reversed(ids)))[::-1]
    recent = distinct[-MAX_HISTORY:]
    own = [item_id for item_id in recent if item_id in written]
    too_many = own[:-MAX_WRITTEN]
    of_catalogue = [item_id for item_id in recent if item_id not in written]
    present = set(known(of_catalogue)) if of_catalogue else set()
    present |= set(own) - set(too_many)
    kept = tuple(item_id for item_id in recent if item_id in present)
    notices = []
    num_unknown = len(recent) - len(kept) - len(too_many) + len(raw) - len(ids)
    if num_unknown:
        notices.append(
            tr("1 item is not in this catalogue and left the history.")
            if num_unknown == 1
            else tr(
                "{count} items are not in this catalogue and left the history.", count=num_unknown
            )
        )
    if too_many:
        notices.append(
            tr(
                "Only {count} items of your own count at a time; older ones left.",
                count=MAX_WRITTEN,
            )
        )
    if len(distinct) > MAX_HISTORY:
        notices.append(
            tr("Only the {count} most recent items count; older ones left.", count=MAX_HISTORY)
        )
    return History(kept, tuple(notices), {i: written[i] for i in own if i in present})


def _ids_and_written(raw: Sequence[Any]) -> tuple[list[str], dict[str, CatalogItem]]:
    """Ids of what is an item in a history, and those items that a visitor has written."""
    ids, written = [], {}
    for value in raw:
        if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS:
            ids.append(storable(value))
        elif isinstance(value, dict):
            with suppress(ValueError):
                item = written_item(value)
                ids.append(item.item_id)
                written[item.item_id] = item
    return ids, written


def clean_filter(
    raw: Any, has_category: Callable[[str], bool]
) -> tuple[ItemFilter, tuple[str, ...]]:
    """Turn what a page sent into a filter; what makes no sense is left out.

    Args:
        raw: anything; a dictionary of category, min_price and max_price is expected.
        has_category: tells whether the catalogue has a category.

    Returns:
        The filter, the smaller price first, and sentences about what is gone for the visitor.
    """
    if not isinstance(raw, dict):
        return ItemFilter(), ()
    low, high = _price(raw.get("min_price")), _price(raw.get("max_price"))
    if low is not None and high is not None and low > high:
        low, high = high, low
    category = _text(raw.get("category"), MAX_LABEL_CHARS)
    if category and not has_category(category):
        notice = tr(
            "The category “{category}” is not in this catalogue and left the filter.",
            category=category,
        )
        return ItemFilter(min_price=low, max_price=high), (notice,)
    return ItemFilter(category=category, min_price=low, max_price=high), ()


def check_filter(
    category: Any, min_price: Any, max_price: Any, has_category: Callable[[str], bool]
) -> ItemFilter:
    """The filter that a program asks for.

    Raises:
        ValueError: an unknown category, or prices that are not a range.
    """
    if not isinstance(category, str):
        raise ValueError(f"category must be a text, not {_shown(category)}.")
    if category and not (len(category) <= MAX_LABEL_CHARS and has_category(storable(category))):
        raise ValueError(
            f"There is no category {_shown(category)} in this catalogue: leave it empty for all."
        )
    low, high = _price(min_price), _price(max_price)
    for name, raw, price in (("min_price", min_price, low), ("max_price", max_price, high)):
        if raw is not None and price is None:
            raise ValueError(f"{name} must be a number from 0 to {MAX_PRICE:,}, not {_shown(raw)}.")
    if low is not None and high is not None and low > high:
        raise ValueError(f"min_price {low:g} must not be more than max_price {high:g}.")
    return ItemFilter(category=storable(category), min_price=low, max_price=high)


def clean_what_if(raw: Any, has_popularity: bool) -> WhatIf | None:
    """Turn what a page sent of a what-if into one; None where it asks for its real history.

    Args:
        raw: anything; None, or a dictionary of diversity and less_popular, is expected.
        has_popularity: whether popularity can be told in this catalogue.

    Returns:
        Anything else but None is a what-if, too, so that nothing is recorded that nobody meant.
    """
    if raw is None:
        return None
    values = raw if isinstance(raw, dict) else {}
    numbers, notices = {}, []
    for name, label in SLIDERS.items():
        value = values.get(name, 0)
        is_number = type(value) in (int, float) and 0 <= value <= 1
        numbers[name] = float(value) if is_number else 0.0
        if not is_number:
            notices.append(
                tr("“{label}” must be a number from 0 to 1: it is off.", label=tr(label))
            )
    if numbers["less_popular"] and not has_popularity:
        numbers["less_popular"] = 0.0
        notices.append(tr("Nothing is known here of how popular items are: “Less popular” is off."))
    return WhatIf(**numbers, notices=tuple(notices))


def clean_browse(raw: Any) -> BrowseRequest:
    """Turn what a page sent into a browse request; what makes no sense gets its default."""
    if not isinstance(raw, dict):
        return BrowseRequest()
    sorts = [sort for sort in SORTS if sort == raw.get("sort")]
    return BrowseRequest(
        text=" ".join(_text(raw.get("text"), MAX_SEARCH_CHARS).split()),
        category=_text(raw.get("category"), MAX_ID_CHARS),
        sort=sorts[0] if sorts else "popularity",
        cursor=_text(raw.get("cursor"), MAX_CURSOR_CHARS) or None,
    )


def clean_detail(raw: Any) -> tuple[str, Any]:
    """The item that a page wants to know more of, "" for none; and its history, not yet cleaned."""
    if not isinstance(raw, dict):
        return "", None
    return _text(raw.get("item"), MAX_ID_CHARS), raw.get("history")


def is_blind(raw: Any) -> bool:
    """Whether a page asks during a blind test."""
    return isinstance(raw, dict) and raw.get("blind") is True


def clean_rows(raw: Any, keys: Sequence[str]) -> dict[str, list[str]]:
    """Rows of the lists that a page asks about, by key of the column."""
    if not isinstance(raw, dict):
        return {}
    lists = {key: raw[key] for key in keys if isinstance(raw.get(key), list)}
    return {
        key: list(dict.fromkeys(_text(row, MAX_ID_CHARS) for row in rows[:MAX_ROWS]))
        for key, rows in lists.items()
    }


def clean_click(raw: Any) -> Click | None:
    """Turn what a page sent into a click, or None if it is not one."""
    if not isinstance(raw, dict):
        return None
    item_id, source = raw.get("item_id"), raw.get("source")
    if not isinstance(item_id, str) or not 0 < len(item_id) <= MAX_ID_CHARS:
        return None
    if not isinstance(source, str) or source not in SOURCES:
        return None
    rank = raw.get("rank")
    ranked = type(rank) is int and 0 < rank <= MAX_RANK
    session, key = clean_session_id(raw.get("session")), clean_key(raw.get("key"))
    return Click(item_id, source, session, rank if ranked else None, key)


def clean_session_id(raw: Any) -> str:
    """The random id that a page gave itself, or ANONYMOUS for anything else."""
    return raw if isinstance(raw, str) and _SESSION.fullmatch(raw) else ANONYMOUS


def clean_key(raw: Any) -> str:
    """The random id that a page gave to what it tells, perhaps again; "" for anything else."""
    return raw if isinstance(raw, str) and _KEY.fullmatch(raw) else ""


def clean_seed(raw: Any) -> str:
    """The random number of a blind test as hex digits; "" for anything else: there is no test."""
    return raw if isinstance(raw, str) and _SEED.fullmatch(raw) else ""


def clean_position(raw: Any) -> int:
    """A place in a list, from 1; 0 for anything else."""
    return raw if type(raw) is int and 0 < raw <= MAX_RANK else 0


def clean_wins(raw: Any, keys: Sequence[str]) -> list[int]:
    """How many picks went to each column; what is no such number is 0."""
    raw = raw if isinstance(raw, dict) else {}
    return [clean_position(raw.get(key)) for key in keys]


def clean_session_ids(raw: Any) -> list[str]:
    """The ids that a page gave its tabs, as far as they are any; "anonymous" is nobody's own."""
    if not isinstance(raw, list):
        return []
    ids = [value for value in raw if isinstance(value, str) and _SESSION.fullmatch(value)]
    return list(dict.fromkeys(ids))[:MAX_TABS]


def clean_top_k(raw: Any, limit: int) -> int:
    """A number of recommendations between 1 and `limit`.

    Raises:
        ValueError: it is not a whole number in that range.
    """
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= limit:
        raise ValueError(f"top_k must be a whole number from 1 to {limit}, not {raw!r}.")
    return raw


def _price(raw: Any) -> float | None:
    """A number from 0 to MAX_PRICE, or None for anything else."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return float(raw) if 0 <= raw <= MAX_PRICE else None


def _shown(raw: Any) -> str:
    """What a program sent, short enough for a message of one line."""
    return repr(raw)[:MAX_SHOWN_CHARS]


def _text(raw: Any, limit: int) -> str:
    return storable(raw[:limit]) if isinstance(raw, str) else ""
