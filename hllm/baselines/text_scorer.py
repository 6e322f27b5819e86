"""Baselines over sentence embeddings: a pooled history, ranked by cosine.

B users, S history items, N items with padding, D embedding width.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.choices import HISTORY_POOLINGS

DECAY = 0.7  # weight of an item relative to the one after it


def pool_history(embeddings: Tensor, pooling: str) -> Tensor:
    """One user embedding from a history of item embeddings.

    Args:
        embeddings: (S, D) oldest first.
        pooling: "mean", "last", or "decay": weighted mean, DECAY**age with age 0 for the newest.

    Returns:
        (D,) not normalised.

    Raises:
        ValueError: unknown pooling.
    """
    if pooling not in HISTORY_POOLINGS:
        raise ValueError(f"pooling {pooling!r}: choose from {', '.join(HISTORY_POOLINGS)}")
    if pooling == "last":
        return embeddings[-1]
    if pooling == "mean":
        return embeddings.mean(dim=0)
    ages = torch.arange(len(embeddings) - 1, -1, -1, device=embeddings.device)
    weights = (DECAY**ages).to(embeddings.dtype)
    return weights @ embeddings / weights.sum()


class TextScorer:
    """Cosine of a pooled history with every item, on the embeddings of a sentence encoder.

    Args:
        item_embeddings: (N, D), row 0 padding.
        pooling: see pool_history.
    """

    def __init__(self, item_embeddings: Tensor, pooling: str) -> None:
        # Here as well, so that a typing error shows before anything is scored.
        if pooling not in HISTORY_POOLINGS:
            raise ValueError(f"pooling {pooling!r}: choose from {', '.join(HISTORY_POOLINGS)}")
        self.name = f"MiniLM {pooling}"
        self._pooling = pooling
        self._vectors = F.normalize(item_embeddings.float(), dim=-1)

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Cosines (B, N)."""
        users = [
            pool_history(self._vectors[torch.from_numpy(np.ascontiguousarray(h))], self._pooling)
            for h in histories
        ]
        return F.normalize(torch.stack(users), dim=-1) @ self._vectors.T  # (B, D) @ (D, N)
