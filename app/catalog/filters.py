"""Which items a filter allows, as the numbers that the database gives its items.

Of a large catalogue that is hundreds of thousands of items on the way to an answer: numbers come
out as one array, without a text for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from app.catalog.sql import Connection, Store
from app.catalog.write import read_meta

_ITEMS_AT_ONCE = 50_000


@dataclass(frozen=True, kw_only=True)
class ItemFilter:
    """Which items may be recommended.

    Attributes:
        category: exact name of a category, "" for all.
        min_price, max_price: both included, None for no bound. An item whose price is not known is
            within no bound.
    """

    category: str = ""
    min_price: float | None = None
    max_price: float | None = None

    @property
    def has_price(self) -> bool:
        """Whether the price matters."""
        return self.min_price is not None or self.max_price is not None

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.category) or self.has_price


NO_FILTER = ItemFilter()


class Filters:
    """What can be asked of a catalogue to filter it; `Catalog.filters` is one."""

    def __init__(self, file: Store) -> None:
        self._file = file

    def version(self) -> str:
        """Another one after every change of an item, in whatever field."""
        with self._file.reading() as connection:
            meta = read_meta(connection)
        return f"{meta['data_version']}-{meta['revision']}"

    def has_category(self, name: str) -> bool:
        """Whether there is an item in a category."""
        with self._file.reading() as connection:
            query = (
                "SELECT EXISTS (SELECT 1 FROM item_categories WHERE category = "
                "(SELECT id FROM categories WHERE name = ?))"
            )
            return bool(connection.execute(query, [name]).fetchone()[0])

    def price_range(self) -> tuple[float, float] | None:
        """Lowest and highest price, None if no item has one."""
        with self._file.reading(together=True) as connection:
            # Each alone is one look into the index; asked for together they would read all of it.
            bounds = [
                connection.execute(
                    f"SELECT {which}(price) FROM items WHERE price IS NOT NULL"
                ).fetchone()[0]
                for which in ("min", "max")
            ]
        return None if bounds[0] is None else (bounds[0], bounds[1])

    def item_numbers(self) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Numbers and ids of all items, in the same order, part by part."""
        with self._file.reading() as connection:
            cursor = connection.execute("SELECT id, item_id FROM items")
            while rows := cursor.fetchmany(_ITEMS_AT_ONCE):
                yield np.array([row[0] for row in rows], dtype=np.int64), [row[1] for row in rows]

    def popularity(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of all items, and how popular each is: see app.catalog.items.CatalogItem."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT item, popularity FROM browse")
            table = np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def has_popularity(self) -> bool:
        """Whether some items are known to be more popular than others."""
        with self._file.reading(together=True) as connection:
            first, last = (
                connection.execute(
                    f"SELECT popularity FROM browse ORDER BY by_popularity {direction} LIMIT 1"
                ).fetchone()
                for direction in ("ASC", "DESC")
            )
        return first != last

    def matching(self, item_filter: ItemFilter) -> np.ndarray:
        """Numbers of the items that a filter allows, ascending.

        Raises:
            ValueError: a filter that allows everything: work without one.
        """
        if not item_filter:
            raise ValueError("this filter leaves nothing out: do not filter")
        with self._file.reading(together=True) as connection:
            parts = []
            if item_filter.category:
                parts.append(_in_category(connection, item_filter.category))
            if item_filter.has_price:
                parts.append(_within_prices(connection, item_filter))
        if len(parts) == 1:
            return parts[0]
        return np.intersect1d(parts[0], parts[1], assume_unique=True)


def _in_category(connection: Connection, name: str) -> np.ndarray:
    query = (
        "SELECT item FROM item_categories WHERE category = "
        "(SELECT id FROM categories WHERE name = ?) ORDER BY item"
    )
    return _numbers(connection.execute(query, [name]))


def _within_prices(connection: Connection, item_filter: ItemFilter) -> np.ndarray:
    conditions, values = ["price IS NOT NULL"], []
    if item_filter.min_price is not None:
        conditions.append("price >= ?")
        values.append(item_filter.min_price)
    if item_filter.max_price is not None:
        conditions.append("price <= ?")
        values.append(item_filter.max_price)
    query = f"SELECT id FROM items WHERE {' AND '.join(conditions)}"
    return np.sort(_numbers(connection.execute(query, values)))


def _numbers(cursor: Iterable[Sequence[Any]]) -> np.ndarray:
    return np.fromiter((row[0] for row in cursor), dtype=np.int64)
