"""Models that give every item a score for a history, served as the page's recommenders are.

ID models, item-kNN and popularity: they know items by number, and read no texts.

B histories, N items, M of them, D dimensions.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.baselines.counts import ItemKNN, Popularity
from hllm.baselines.id_models import IDModel, load_id_model
from hllm.data import Interactions
from hllm.errors import CheckpointError, UnknownItemError
from hllm.serving.explain import ItemRank, Neighbour, ScoreChange
from hllm.serving.index import RowLookup, best_rows, remaining
from hllm.serving.new_items import Item, NewItem
from hllm.serving.ranker import Recommendation, Recommendations
from hllm.serving.rerank import NUM_CANDIDATES, Reranking

ID_TITLES = {"sasrec": "SASRec", "esasrec": "eSASRec", "hstu": "HSTU", "id-llama": "ID-based Llama"}


class NoSuchAnswerError(CheckpointError):
    """A model of this kind cannot answer the question, whatever it is trained on."""


class ScoredRecommender(ABC):
    """Ranks a catalogue by scores that come for all items at once.

    Args:
        item_ids: N external ids, in the order of the scores.
        name: of the kind, for sentences.
        model: what runs, for people.
    """

    precision = "fp32"
    device = "cpu"
    text_keys: tuple[str, ...] = ()
    explains_at_once = True

    def __init__(self, item_ids: Sequence[str], *, name: str, model: str) -> None:
        self._lookup = RowLookup(item_ids)
        self.item_ids = self._lookup.item_ids
        self.num_items = len(self.item_ids)
        self.name, self.model = name, model

    @abstractmethod
    def _scores(self, histories: Sequence[list[int]]) -> Tensor:
        """(B, N) float32, finite, of rows of histories, oldest first."""

    def _vectors(self, rows: Sequence[int]) -> Tensor:
        """(M, D) of length 1, whose products say how alike the items are.

        Raises:
            NoSuchAnswerError: the model knows no likeness of items.
        """
        raise NoSuchAnswerError(f"{self.name} knows no likeness of items.")

    @torch.inference_mode()
    def recommend(
        self,
        history: Sequence[Item],
        *,
        top_k: int = 10,
        allowed: np.ndarray | None = None,
        diversity: float = 0.0,
        less_popular: float = 0.0,
        popularity: np.ndarray | None = None,
    ) -> Recommendations:
        """Rank the catalogue for a history; see hllm.recommend.Recommender.recommend.

        Raises:
            ValueError: an empty history, or numbers that make no sense.
            UnknownItemError: an item that the model has learned nothing of.
            NoSuchAnswerError: an item that has only texts, or diversity without a likeness.
        """
        rows, reranking = self._rows(history), Reranking(diversity, less_popular, popularity)
        if not rows:
            raise ValueError("the history is empty: show popular items instead")
        start = time.perf_counter()
        scores = self._scores([rows])[0]
        scored = time.perf_counter()
        kept = np.arange(self.num_items) if allowed is None else allowed
        kept = remaining(kept, np.array(rows), self.num_items)
        wanted = max(top_k, NUM_CANDIDATES) if reranking else top_k
        scores = scores[torch.from_numpy(kept)]
        # Counts tie often: stable, so that the list and rank_of tell the same.
        order = scores.argsort(descending=True, stable=True)[:wanted]
        found = list(zip(kept[order.numpy()].tolist(), scores[order].tolist(), strict=True))
        by_score = None
        if reranking:
            by_score = self._ranked(found[:top_k])
            found = self._reranked(found, top_k, reranking)
        return Recommendations(
            items=self._ranked(found),
            encode_ms=(scored - start) * 1e3,
            search_ms=(time.perf_counter() - scored) * 1e3,
            num_candidates=self.num_items if allowed is None else len(allowed),
            num_read=len(rows),
            num_known=0,
            by_score=by_score,
        )

    @torch.inference_mode()
    def rank_of(self, history: Sequence[Item], item: Item) -> ItemRank:
        """Where an item stands among all without those of the history; see Explainer.rank_of."""
        rows, [row] = self._rows(history), self._rows([item])
        if not rows or row in rows:
            raise ValueError("nothing is ranked for an empty history, nor an item that is in it")
        scores = self._scores([rows])[0]
        excluded = sorted(set(rows))
        scores[torch.tensor(excluded)] = float("-inf")
        better = int((scores > scores[row]).sum()) + int((scores[:row] == scores[row]).sum())
        num_ranked = self.num_items - len(excluded)
        return ItemRank(self.item_ids[row], float(scores[row]), better + 1, num_ranked)

    def explain(self, history: Sequence[Item], item: Item) -> list[ScoreChange]:
        """Leave-one-out; see hllm.serving.explain.Explainer.explain."""
        return self.explain_all(history, [item])[0]

    @torch.inference_mode()
    def explain_all(
        self, history: Sequence[Item], items: Sequence[Item]
    ) -> list[list[ScoreChange]]:
        """Leave-one-out for several items; see hllm.serving.explain.Explainer.explain_all."""
        rows, asked = self._rows(history), self._rows(items)
        if len(rows) < 2:
            raise ValueError("the history has one item: without it there is no score to compare")
        left_out = [rows[:place] + rows[place + 1 :] for place in range(len(rows))]
        scores = self._scores([rows, *left_out])[:, torch.tensor(asked, dtype=torch.long)]
        changes = (scores[1:] - scores[0]).T.tolist()  # (K, S)
        names = [self.item_ids[row] for row in rows]
        return [
            [ScoreChange(name, change) for name, change in zip(names, found, strict=True)]
            for found in changes
        ]

    @torch.inference_mode()
    def similar(self, item: Item, top_k: int = 10) -> list[Neighbour]:
        """The items most like one, most alike first.

        Raises:
            UnknownItemError: an item that the model has learned nothing of.
            NoSuchAnswerError: the model knows no likeness of items, or the item has only texts.
        """
        [row] = self._rows([item])
        cosines = self._vectors(range(self.num_items)) @ self._vectors([row])[0]
        cosines[row] = float("-inf")
        found = best_rows(cosines, top_k)
        return [Neighbour(self.item_ids[near], cosine) for near, cosine in found]

    def item_text(self, fields: Mapping[str, Any]) -> None:
        """None: it has no Item LLM."""
        return None

    def item_embedding(self, item: str) -> Tensor:
        """(D,) of length 1; raises as `similar`."""
        return self._vectors(self._rows([item]))[0]

    def load_item_encoder(self) -> None:
        """Raises NoSuchAnswerError: it reads no texts."""
        raise self._reads_no_texts()

    def new_item(self, fields: Mapping[str, Any]) -> NewItem:
        """Raises NoSuchAnswerError: it reads no texts."""
        raise self._reads_no_texts()

    def projection(self) -> None:
        """None: it is no HLLM, and has no place on a map."""
        return None

    def user_embedding(self, history: Sequence[Item]) -> Tensor:
        """Raises NoSuchAnswerError: it has none in a space of texts."""
        raise self._has_no_map()

    def nearest(self, vector: Tensor, top_k: int) -> list[tuple[int, float]]:
        """Raises NoSuchAnswerError, as `user_embedding`."""
        raise self._has_no_map()

    def _has_no_map(self) -> NoSuchAnswerError:
        return NoSuchAnswerError(f"{self.name} has no embeddings that could be drawn.")

    def stages(self) -> None:
        """None: it is no HLLM."""
        return None

    def counts(self) -> None:
        """None: it has no User LLM."""
        return None

    def read_whole(self, history: Sequence[Item]) -> None:
        """None: it has no User LLM."""
        return None

    def _reads_no_texts(self) -> NoSuchAnswerError:
        return NoSuchAnswerError(
            f"{self.name} knows items by their number only: an item that has just been written is "
            "nothing to it."
        )

    def _rows(self, items: Sequence[Item]) -> list[int]:
        if any(not isinstance(item, str) for item in items):
            raise self._reads_no_texts()
        unknown = [item for item in items if item not in self._lookup]
        if unknown:
            raise UnknownItemError(
                f"{self.name} has learned nothing of the item {str(unknown[0])[:40]!r}: it knows "
                f"only the {self.num_items:,} items that it was trained on."
            )
        return self._lookup.rows(str(item) for item in items)

    def _ranked(self, found: Sequence[tuple[int, float]]) -> list[Recommendation]:
        return [
            Recommendation(self.item_ids[row], score, rank)
            for rank, (row, score) in enumerate(found, start=1)
        ]

    def _reranked(
        self, candidates: list[tuple[int, float]], top_k: int, reranking: Reranking
    ) -> list[tuple[int, float]]:
        rows = np.array([row for row, _ in candidates], dtype=np.int64)
        scores = np.array([score for _, score in candidates])
        if reranking.diversity:
            vectors = self._vectors(rows.tolist()).numpy()
        else:
            vectors = np.zeros((len(rows), 1))
        places = reranking.choose(scores, vectors, rows, top_k)
        return [candidates[place] for place in places]


class IDRecommender(ScoredRecommender):
    """A trained ID model.

    Args:
        model: in eval mode, on the CPU.
        item_ids: by item index, padding first, as hllm.baselines.id_models.load_id_model gives it.
    """

    def __init__(self, model: IDModel, item_ids: Sequence[str]) -> None:
        config = model.config
        title = ID_TITLES[config.kind]
        shape = f"{config.num_layers} layers of {config.hidden_size}"
        super().__init__(item_ids[1:], name=title, model=f"{title}, {shape}, items by number")
        self._model = model
        with torch.no_grad():  # through the model: an ID-based Llama projects its table
            self._table = model.item_embeddings().detach()  # (1 + N, D)
        self._units = F.normalize(self._table[1:], dim=-1)
        self._candidates = self._units if config.cosine else self._table[1:]

    def _scores(self, histories: Sequence[list[int]]) -> Tensor:
        recent = [history[-self._model.config.max_history :] for history in histories]
        lengths = torch.tensor([len(history) for history in recent])
        items = torch.zeros(len(recent), int(lengths.max()), dtype=torch.long)  # (B, S)
        for place, history in enumerate(recent):
            items[place, : len(history)] = torch.tensor(history) + 1
        states = self._model.encode_users(self._table[items], lengths)
        users = states[torch.arange(len(items)), lengths - 1]  # (B, D) at the last items
        if self._model.config.cosine:
            users = F.normalize(users, dim=-1)
        scores = users @ self._candidates.T
        if not torch.isfinite(scores).all():
            raise CheckpointError(
                f"{self.name} answered with NaN or infinity: its weights are damaged or its "
                "training diverged; restore the model folder or train again."
            )
        return scores

    def _vectors(self, rows: Sequence[int]) -> Tensor:
        return self._units[torch.tensor(list(rows), dtype=torch.long)]


class KNNRecommender(ScoredRecommender):
    """Item-kNN over the training part of interactions (hllm.baselines.counts.ItemKNN)."""

    def __init__(self, interactions: Interactions) -> None:
        super().__init__(
            interactions.item_ids[1:],
            name="Item-kNN",
            model="Item-to-item neighbours: what the same users took",
        )
        self._knn = ItemKNN(interactions)

    def _scores(self, histories: Sequence[list[int]]) -> Tensor:
        return self._knn.score([np.array(history) + 1 for history in histories])[:, 1:]

    def _vectors(self, rows: Sequence[int]) -> Tensor:
        similarity = self._knn.similarity[np.array(list(rows), dtype=np.int64) + 1, 1:]
        return F.normalize(torch.from_numpy(similarity.toarray()), dim=-1)

    @torch.inference_mode()
    def similar(self, item: Item, top_k: int = 10) -> list[Neighbour]:
        """The items that the same users took, with the damped cosine of their users."""
        [row] = self._rows([item])
        near = self._knn.similarity[[row + 1], 1:].toarray()[0]
        found = best_rows(torch.from_numpy(near), top_k)
        return [Neighbour(self.item_ids[n], cosine) for n, cosine in found if cosine > 0]


class PopularityRecommender(ScoredRecommender):
    """The same list for everybody: by number of training interactions, the largest as 1."""

    def __init__(self, interactions: Interactions) -> None:
        super().__init__(
            interactions.item_ids[1:],
            name="Popularity",
            model="Number of training interactions, the same list for everybody",
        )
        counts = Popularity(interactions).score([np.zeros(1, dtype=np.int64)])[0, 1:]
        self._shares = counts / max(float(counts.max()), 1.0)

    def _scores(self, histories: Sequence[list[int]]) -> Tensor:
        return self._shares.repeat(len(histories), 1)


def load_id_recommender(folder: str | Path) -> IDRecommender:
    """Open a trained ID model.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    return IDRecommender(*load_id_model(folder))
