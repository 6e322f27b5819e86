"""Nearest neighbours by cosine: exact top-k over all item embeddings."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.errors import UnknownItemError


class ItemIndex:
    """Exact search over normalised item embeddings.

    Attributes:
        item_ids: N external ids.
        vectors: (N, D) float32, L2-normalised.
    """

    def __init__(self, item_ids: Sequence[str], vectors: Tensor) -> None:
        self.item_ids = list(item_ids)
        self.vectors = F.normalize(vectors.float(), dim=-1)
        self._row = {item_id: row for row, item_id in enumerate(self.item_ids)}

    def __len__(self) -> int:
        return len(self.item_ids)

    def rows(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of items.

        Raises:
            UnknownItemError: an item that has no embedding.
        """
        item_ids = list(item_ids)
        unknown = [item_id for item_id in item_ids if item_id not in self._row]
        if unknown:
            raise UnknownItemError(
                f"No embedding for item {unknown[0]!r}"
                + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
                + ": embed the catalogue again with  python -m hllm.embed"
            )
        return [self._row[item_id] for item_id in item_ids]

    def search(
        self, query: Tensor, top_k: int, exclude: Iterable[int] = ()
    ) -> list[tuple[int, float]]:
        """Best rows for one query.

        Args:
            query: (D,) any length.
            top_k: how many at most.
            exclude: rows that must not be found.

        Returns:
            (row, cosine) pairs, best first; of equal scores the smaller row first.
        """
        scores = self.vectors @ F.normalize(query.float(), dim=-1)  # (N,)
        excluded = torch.tensor(sorted(set(exclude)), dtype=torch.long)
        scores[excluded] = float("-inf")
        count = min(top_k, len(self) - len(excluded))
        if count <= 0:
            return []
        values, rows = torch.topk(scores, count)
        return sorted(zip(rows.tolist(), values.tolist(), strict=True), key=lambda x: (-x[1], x[0]))
