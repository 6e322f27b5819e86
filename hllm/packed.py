"""Ids and text hashes of all items, in a fraction of the memory that Python's texts take.

A million ids as a list, with a dictionary of their rows, take 165 MiB, and their text hashes
85 MiB. Here they take 27 (of up to 15 bytes each) and 8. N items.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from operator import eq
from typing import Any, overload

import numpy as np

_TEXTS_AT_ONCE = 50_000


class Packed(Sequence[str], ABC):
    """Texts in an array; each is made when it is asked for. Equal to a list of the same texts.

    Args:
        values: (N,) or (N, ...), a row for each text.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    @abstractmethod
    def _texts(self, values: np.ndarray) -> list[str]:
        """The texts of some rows of the array."""

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self._texts(self._values[place])
        return self._texts(self._values[place : place + 1 or None])[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _TEXTS_AT_ONCE):
            yield from self[start : start + _TEXTS_AT_ONCE]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(map(eq, self, other))


class PackedHashes(Packed):
    """Text hashes (hllm.text.text_hash).

    Args:
        values: (N, 8) uint8.
    """

    def _texts(self, values: np.ndarray) -> list[str]:
        text = values.tobytes().hex()
        digits = 2 * values.shape[1]
        return [text[start : start + digits] for start in range(0, len(text), digits)]


class ItemIds(Packed):
    """External ids by row, and rows by id.

    Args:
        item_ids: N ids; of equal ones the first has the row.
    """

    def __init__(self, item_ids: Sequence[str]) -> None:
        super().__init__(np.array(item_ids, dtype=np.dtypes.StringDType()))
        hashes = _hashes(item_ids)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._rows = hashes[order], order.astype(np.int32)
        self._most_alike = 1  # ids of one hash
        while np.any(self._hashes[self._most_alike :] == self._hashes[: -self._most_alike]):
            self._most_alike += 1

    @classmethod
    def of(cls, item_ids: Sequence[str]) -> "ItemIds":
        """The same ids, packed, unless they are."""
        return item_ids if isinstance(item_ids, cls) else cls(item_ids)

    def _texts(self, values: np.ndarray) -> list[str]:
        return values.tolist()

    def __contains__(self, item_id: Any) -> bool:
        return isinstance(item_id, str) and self.row(item_id) is not None

    def row(self, item_id: str) -> int | None:
        """The row of an id, None of one that is not here."""
        (row,) = self.rows([item_id]).tolist()
        return None if row < 0 else row

    def rows(self, item_ids: Sequence[str]) -> np.ndarray:
        """(M,) int64 rows of M ids, -1 of those that are not here."""
        found = np.full(len(item_ids), -1)
        if not len(self):
            return found
        places = np.searchsorted(self._hashes, _hashes(item_ids))
        for step in range(self._most_alike):
            rows = self._rows[np.minimum(places + step, len(self) - 1)]
            same = np.fromiter(map(eq, self._texts(self._values[rows]), item_ids), bool, len(rows))
            found = np.where(same & (found < 0), rows, found)
        return found


def _hashes(item_ids: Sequence[str]) -> np.ndarray:
    """(N,) int64, others in every process."""
    return np.fromiter(map(hash, item_ids), np.int64, len(item_ids))
