"""Questions about one item: its rank for a history, which items of that push it, what is like it.

B histories, N items, D dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.errors import CheckpointError
from hllm.serving.blend import Blend
from hllm.serving.index import Index, unit_query
from hllm.serving.new_items import Item, Key, NewItem, NewItems, rows_of, vectors_of


@dataclass(frozen=True)
class ItemRank:
    """Where an item stands for a history.

    Attributes:
        item_id: external id, or the name of a new item (hllm.serving.new_items).
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
    """An item of a history, and by how much a score changes if that item is removed.

    Attributes:
        item_id: external id, or the name of a new item.
    """

    item_id: str
    change: float


@dataclass(frozen=True)
class Neighbour:
    """An item near another one, and the cosine of their embeddings."""

    item_id: str
    cosine: float


class Explainer(ABC):
    """A recommender's answers to questions about one item, from its user embeddings and its index.

    Wherever an item is asked for, an item id names one of the catalogue, and a mapping of text
    fields stands for one that it does not have: it is encoded now.

    Of a blended model all scores but those of `similar` are the sum. Its other parts know the
    catalogue alone: of a new item the score is the cosine, and in a history they do not see it.
    """

    _index: Index
    _blend: Blend | None = None
    _new_items: NewItems | None = None

    @abstractmethod
    def _users(self, histories: Sequence[Sequence[Key]]) -> Tensor:
        """User embeddings (B, D) of histories, oldest first; nothing is remembered."""

    def _users_to_compare(self, histories: Sequence[Sequence[Key]]) -> Tensor:
        """As `_users`, as near to each other as recommending would have them."""
        return self._users(histories)

    def _user(self, keys: list[Key]) -> Tensor:
        """The user embedding (D,) of one history, which may be remembered."""
        return self._users([keys])[0]

    @torch.inference_mode()
    def user_embedding(self, history: Sequence[Item]) -> Tensor:
        """(D,) of a history, oldest first; not normalised.

        Raises:
            ValueError: an empty history.
            UnknownItemError: an item without an embedding.
            CheckpointError: see new_item.
        """
        if not history:
            raise ValueError("the history is empty: nobody has chosen anything")
        return self._user(self._keys(history))

    @torch.inference_mode()
    def nearest(self, vector: Tensor, top_k: int) -> list[tuple[int, float]]:
        """Rows and cosines of the items nearest to an embedding (D,), nearest first."""
        return self._index.search(vector.float(), top_k)

    def load_item_encoder(self) -> None:
        """Load what encodes items that the catalogue does not have, before the first is asked for.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        self._encoder_of_items().load()

    def new_item(self, fields: Mapping[str, Any]) -> NewItem:
        """Encode an item that the catalogue does not have; the last ones are remembered.

        Args:
            fields: of the item; the model reads those of its text_keys.

        Raises:
            CheckpointError: there is no encoder, or it is damaged.
            BusyError: too many are being encoded.
        """
        return self._encoder_of_items().get(fields)

    def _encoder_of_items(self) -> NewItems:
        if self._new_items is None:
            raise CheckpointError(
                "No model is here that encodes texts: open a model folder with load_hllm."
            )
        return self._new_items

    @torch.inference_mode()
    def rank_of(self, history: Sequence[Item], item: Item) -> ItemRank:
        """Where an item stands among all that could be recommended.

        Args:
            history: items, oldest first.
            item: an item id that is not in it, or a new item, which is ranked as if it were in the
                catalogue.

        Raises:
            ValueError: an empty history, or one with the item id in it.
            UnknownItemError: an item without an embedding.
            CheckpointError: see new_item.
        """
        keys, key = self._keys_of(history, item)
        rows, user = rows_of(keys), self._user(keys)
        if isinstance(key, NewItem):
            return ItemRank(key.name, *self._index.rank(user, key.vector, rows))
        rescore = self._blend.rescorer(rows) if self._blend else None
        return ItemRank(self._index.item_ids[key], *self._index.rank(user, key, rows, rescore))

    @torch.inference_mode()
    def explain(self, history: Sequence[Item], item: Item) -> list[ScoreChange]:
        """By how much an item's score changes if one item of the history is removed: leave-one-out.

        Computed with the model, not estimated: the score for the rest of the history minus that for
        all of it. Items that the model no longer reads have no influence of their own.

        Args:
            history: items, oldest first, two at least.
            item: an item id that is not in it, or a new item.

        Returns:
            One for each item of the history, in its order; negative: the item pushes it up.

        Raises:
            ValueError: a history of fewer than two items, or one with the item in it.
            UnknownItemError: an item without an embedding.
        """
        return self.explain_all(history, [item])[0]

    @torch.inference_mode()
    def explain_all(
        self, history: Sequence[Item], items: Sequence[Item]
    ) -> list[list[ScoreChange]]:
        """As `explain`, for K items at once, one list each: the histories are read once for all."""
        pairs = [self._keys_of(history, item) for item in items]
        if not pairs:
            return []
        keys = pairs[0][0]
        if len(keys) < 2:
            raise ValueError("the history has one item: without it there is no score to compare")
        left_out = [keys[:place] + keys[place + 1 :] for place in range(len(keys))]
        scores = self._scores([keys, *left_out], [key for _, key in pairs])  # (1 + S, K)
        changes = (scores[1:] - scores[0]).T.tolist()
        names = [k.name if isinstance(k, NewItem) else self._index.item_ids[k] for k in keys]
        return [
            [ScoreChange(name, change) for name, change in zip(names, found, strict=True)]
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
    def similar(self, item: Item, top_k: int = 10) -> list[Neighbour]:
        """The items whose embeddings are nearest to an item's, nearest first.

        Args:
            item: an item; others with the text of a new one are near it.
            top_k: how many at most.

        Raises:
            UnknownItemError: the item has no embedding.
            CheckpointError: see new_item.
        """
        keys = self._keys([item])
        [vector] = vectors_of(self._index.vectors, keys)
        found = self._index.search(vector.float(), top_k, rows_of(keys))
        return [Neighbour(self._index.item_ids[near], cosine) for near, cosine in found]

    def _keys(self, items: Sequence[Item]) -> list[Key]:
        rows = iter(self._index.rows([item for item in items if isinstance(item, str)]))
        return [next(rows) if isinstance(item, str) else self.new_item(item) for item in items]

    def _keys_of(self, history: Sequence[Item], item: Item) -> tuple[list[Key], Key]:
        if not history:
            raise ValueError("the history is empty: nothing is ranked")
        *keys, key = self._keys([*history, item])
        if key in keys and not isinstance(key, NewItem):
            raise ValueError(f"{item!r} is in the history: such items are not ranked")
        return keys, key

    def _scores(self, histories: Sequence[Sequence[Key]], keys: Sequence[Key]) -> Tensor:
        """Scores (B, K) of some items for each history."""
        vectors = F.normalize(vectors_of(self._index.vectors, keys).float(), dim=-1)  # (K, D)
        cosines = unit_query(self._users_to_compare(histories)).to(vectors.device) @ vectors.T
        if self._blend is None:
            return cosines
        rows = [rows_of(history) for history in histories]
        blended = [
            cosines[:, place]
            if isinstance(key, NewItem)
            else self._blend.item_scores(cosines[:, place], rows, key)
            for place, key in enumerate(keys)
        ]
        return torch.stack(blended, dim=1)
