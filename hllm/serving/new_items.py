"""Items that no catalogue has: known by their texts alone, encoded when they are asked about.

D dimensions.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hllm.errors import CheckpointError
from hllm.serving.request_batching import BusyError
from hllm.store import rows_of_file
from hllm.text import text_hash

MAX_KEPT = 256  # embeddings; the least recently used are forgotten
MAX_AT_ONCE = 4  # texts that are encoded or wait for it; a model takes one at a time

# What histories are made of: an item id of the catalogue, or the text fields of an item that it
# does not have.
Item = str | Mapping[str, Any]


@dataclass(frozen=True)
class NewItem:
    """An item of no catalogue; equal texts are one item.

    Attributes:
        name: hash of its text.
        vector: (D,) float32 as the encoder gave it.
        encode_ms: that this took, without loading the encoder.
    """

    name: str
    vector: Tensor = field(compare=False, repr=False)
    encode_ms: float = field(compare=False)


# An item as models and indexes know it: a row of the catalogue, or what has none.
Key = int | NewItem


def vectors_of(vectors: Tensor, keys: Sequence[Key]) -> Tensor:
    """Embeddings (S, D) of items: rows of the catalogue's vectors (N, D), and those of new items.

    Of rows alone in the dtype of the catalogue's, otherwise float32.
    """
    rows = rows_of(keys)
    if len(rows) == len(keys):
        return rows_of_file(vectors, rows)
    return torch.stack(
        [
            key.vector.to(vectors.device) if isinstance(key, NewItem) else vectors[key].float()
            for key in keys
        ]
    )


def rows_of(keys: Sequence[Key]) -> list[int]:
    """The rows among some keys."""
    return [key for key in keys if not isinstance(key, NewItem)]


class NewItems:
    """Encodes items that the catalogue does not have, and keeps the last embeddings.

    Nothing is written to a disk. Safe to use from several threads.

    Args:
        text_of: the text of an item's fields.
        load: loads the encoder, if it is not there yet.
        encode: fields -> (D,) float32; one at a time is its own concern.
        max_kept: embeddings.
    """

    def __init__(
        self,
        text_of: Callable[[Mapping[str, Any]], str],
        load: Callable[[], None],
        encode: Callable[[Mapping[str, Any]], Tensor],
        max_kept: int = MAX_KEPT,
    ) -> None:
        self.load = load
        self._text_of = text_of
        self._encode = encode
        self._max_kept = max_kept
        self._kept: OrderedDict[str, NewItem] = OrderedDict()
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)

    def get(self, fields: Mapping[str, Any]) -> NewItem:
        """The item of some text fields.

        Raises:
            CheckpointError: the encoder is missing or damaged.
            BusyError: MAX_AT_ONCE others are being encoded.
        """
        name = text_hash(self._text_of(fields))
        with self._lock:
            if (known := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
                return known
        if not self._places.acquire(blocking=False):
            raise BusyError("Too many texts are being encoded: try again in a minute.")
        try:
            self.load()
            start = time.perf_counter()
            vector = self._encode(fields)
            encode_ms = (time.perf_counter() - start) * 1e3
        finally:
            self._places.release()
        if not torch.isfinite(vector).all():
            raise CheckpointError(
                "The text got an embedding with NaN or infinity in it: the weights of the model "
                "are damaged or its training diverged; restore it or train again."
            )
        return self._keep(NewItem(name, vector, encode_ms))

    def _keep(self, item: NewItem) -> NewItem:
        with self._lock:
            self._kept[item.name] = item
            self._kept.move_to_end(item.name)
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        return item
