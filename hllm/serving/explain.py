"""Questions about one item: its rank for a history, which items of that push it, what is like it.

B histories, N items, D dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.serving.blend import Blend
from hllm.serving.index import Index, unit_query


@dataclass(frozen=True)
class ItemRank:
    """Where an item stands for a history.

    Attributes:
        item_id: external id.
        score: the one that ranks, as in hllm.recommend.Recommendation.
        rank: 1-based; None: approximate search does not have it among the first num_ranked.
        num_ranked: how many items `rank` is of: all without those of the history.
    """

    item_id: str
    score: float
    rank: int | None
    num_ranked: int


@dataclass(frozen=True)
class ScoreChange:
    """An item of a history, and by how much a score changes if that item is removed."""

    item_id: str
    change: float


@dataclass(frozen=True)
class Neighbour:
    """An item near another one, and the cosine of their embeddings."""

    item_id: str
    cosine: float


class Explainer(ABC):
    """A recommender's answers to questions about one item, from its user embeddings and its index.

    Of a blended model all scores but those of `similar` are the sum.
    """

    _index: Index
    _blend: Blend | None = None

    @abstractmethod
    def _users(self, histories: Sequence[Sequence[int]]) -> Tensor:
        """User embeddings (B, D) of histories of rows, oldest first; nothing is remembered."""

    def _user(self, rows: list[int]) -> Tensor:
        """The user embedding (D,) of one history, which may be remembered."""
        return self._users([rows])[0]

    @torch.inference_mode()
    def rank_of(self, history: Sequence[str], item: str) -> ItemRank:
        """Where an item stands among all that could be recommended.

        Args:
            history: item ids, oldest first.
            item: an item id that is not in it.

        Raises:
            ValueError: an empty history, or one with the item in it.
            UnknownItemError: an item without an embedding.
        """
        rows, row = self._rows(history, item)
        rescore = self._blend.rescorer(rows) if self._blend else None
        score, rank, num_ranked = self._index.rank(self._user(rows), row, rows, rescore)
        return ItemRank(item, score, rank, num_ranked)

    @torch.inference_mode()
    def explain(self, history: Sequence[str], item: str) -> list[ScoreChange]:
        """By how much an item's score changes if one item of the history is removed: leave-one-out.

        Computed with the model, not estimated: the score for the rest of the history minus that for
        all of it. Items that the model no longer reads have no influence of their own.

        Args:
            history: item ids, oldest first, two at least.
            item: an item id that is not in it.

        Returns:
            One for each item of the history, in its order; negative: the item pushes it up.

        Raises:
            ValueError: a history of fewer than two items, or one with the item in it.
            UnknownItemError: an item without an embedding.
        """
        return self.explain_all(history, [item])[0]

    @torch.inference_mode()
    def explain_all(self, history: Sequence[str], items: Sequence[str]) -> list[list[ScoreChange]]:
        """As `explain`, for K items at once, one list each: the histories are read once for all."""
        pairs = [self._rows(history, item) for item in items]
        if not pairs:
            return []
        rows = pairs[0][0]
        if len(rows) < 2:
            raise ValueError("the history has one item: without it there is no score to compare")
        left_out = [rows[:place] + rows[place + 1 :] for place in range(len(rows))]
        scores = self._scores([rows, *left_out], [row for _, row in pairs])  # (1 + S, K)
        changes = (scores[1:] - scores[0]).T.tolist()
        return [
            [ScoreChange(item_id, change) for item_id, change in zip(history, found, strict=True)]
            for found in changes
        ]

    def item_embedding(self, item: str) -> Tensor:
        """(D,) float32 of an item, normalised.

        Raises:
            UnknownItemError: the item has no embedding.
        """
        [row] = self._index.rows([item])
        return F.normalize(self._index.vectors[row].float(), dim=-1)

    @torch.inference_mode()
    def similar(self, item: str, top_k: int = 10) -> list[Neighbour]:
        """The items whose embeddings are nearest to an item's, nearest first.

        Args:
            item: an item id.
            top_k: how many at most.

        Raises:
            UnknownItemError: the item has no embedding.
        """
        [row] = self._index.rows([item])
        found = self._index.search(self._index.vectors[row].float(), top_k, [row])
        return [Neighbour(self._index.item_ids[near], cosine) for near, cosine in found]

    def _rows(self, history: Sequence[str], item: str) -> tuple[list[int], int]:
        if not history:
            raise ValueError("the history is empty: nothing is ranked")
        if item in history:
            raise ValueError(f"{item!r} is in the history: such items are not ranked")
        *rows, row = self._index.rows([*history, item])
        return rows, row

    def _scores(self, histories: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        """Scores (B, K) of some items for each history."""
        vectors = F.normalize(self._index.vectors[list(rows)].float(), dim=-1)  # (K, D)
        cosines = unit_query(self._users(histories)).to(vectors.device) @ vectors.T
        if self._blend is None:
            return cosines
        blended = [
            self._blend.item_scores(cosines[:, place], histories, row)
            for place, row in enumerate(rows)
        ]
        return torch.stack(blended, dim=1)
