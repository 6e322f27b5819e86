"""What the catalogue knows of a recommender: rows that a filter allows, popularity of its items.

It is remembered from click to click.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Catalog, ItemFilter
from hllm.packed import ItemIds

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.recommend import ItemRanker

# 4 bytes a row: 2.8 MB for a filter that allows all of 700,000 items.
MAX_REMEMBERED = 32
MAX_RECOMMENDERS = 6  # as many as app.loaded holds, and the two of the start


class FilterRows:
    """Rows of recommenders that filters allow.

    A recommender has a row for each item it knows, in an order of its own; the catalogue numbers
    its items. Both are looked up once for all items, so that a filter costs no look-up by id.

    Args:
        catalog: what the filters are about; when its items change, everything is looked up anew.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._filters = catalog.filters
        self._row_of = lru_cache(maxsize=MAX_RECOMMENDERS)(self._find_row_of)
        self._rows = lru_cache(maxsize=MAX_REMEMBERED)(self._find_rows)
        self._popularity = lru_cache(maxsize=MAX_RECOMMENDERS)(self._find_popularity)

    def prepare(self, recommender: ItemRanker) -> None:
        """Do what the first filter would have to wait for."""
        self._row_of(self._filters.version(), recommender)

    def forget(self) -> None:
        """Keep no recommender from being let go: what is asked again is looked up anew."""
        for remembered in (self._row_of, self._rows, self._popularity):
            remembered.cache_clear()

    def rows(self, item_filter: ItemFilter, recommender: ItemRanker) -> np.ndarray:
        """Rows that a filter allows, ascending.

        Args:
            item_filter: one that leaves something out.
            recommender: whose rows.
        """
        return self._rows(self._filters.version(), item_filter, recommender)

    def popularity(self, recommender: ItemRanker) -> np.ndarray:
        """(N,) of a recommender's rows; 0 where the catalogue does not know the item."""
        return self._popularity(self._filters.version(), recommender)

    def _find_popularity(self, version: str, recommender: ItemRanker) -> np.ndarray:
        row_of = self._row_of(version, recommender)
        numbers, counts = self._filters.popularity()
        known = numbers < len(row_of)  # an import may have added items since row_of was made
        rows, counts = row_of[numbers[known]], counts[known]
        found = np.zeros(recommender.num_items, dtype=np.int64)
        found[rows[rows >= 0]] = counts[rows >= 0]
        found.flags.writeable = False  # shared by all visitors
        return found

    def _find_rows(
        self, version: str, item_filter: ItemFilter, recommender: ItemRanker
    ) -> np.ndarray:
        row_of = self._row_of(version, recommender)
        numbers = self._filters.matching(item_filter)
        # An import may have added items since row_of was made.
        rows = row_of[numbers[numbers < len(row_of)]]
        rows = np.sort(rows[rows >= 0])
        rows.flags.writeable = False  # shared by all visitors
        return rows

    def _find_row_of(self, version: str, recommender: ItemRanker) -> np.ndarray:
        """The row of each number, -1 where the recommender does not know the item."""
        known = ItemIds.of(recommender.item_ids)
        # Part by part: ids of millions of items take more memory than the rest of a small app.
        found = [(part, known.rows(ids)) for part, ids in self._filters.item_numbers()]
        row_of = np.full(max((part.max() for part, _ in found), default=0) + 1, -1, dtype=np.int32)
        for numbers, rows in found:
            row_of[numbers] = rows
        return row_of
