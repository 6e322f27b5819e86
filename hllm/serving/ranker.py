"""What every recommender answers, and the path from a history to an answer that all of them share.

D dimensions.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from hllm.packed import ItemIds
from hllm.serving.explain import ItemRank, Neighbour, ScoreChange
from hllm.serving.history_encoder import EncoderCounts, Reading
from hllm.serving.index import Index, Search
from hllm.serving.item_model import ItemText
from hllm.serving.new_items import Item, Key, NewItem, rows_of
from hllm.serving.rerank import NUM_CANDIDATES, RerankCost, Reranking, cost_of
from hllm.store import rows_of_file

if TYPE_CHECKING:
    from hllm.serving.projection import Projection


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item_id: external id.
        score: cosine of user and item embedding, -1 to 1; of a blended model its sum with the other
            parts (hllm.serving.blend), of counts what they rank by.
        rank: 1-based among the candidates.
    """

    item_id: str
    score: float
    rank: int


@dataclass(frozen=True)
class Recommendations:
    """Recommendations for one history.

    Attributes:
        items: best first, never an item of the history.
        encode_ms: history -> user embedding.
        search_ms: user embedding -> best items, re-ranking included.
        num_candidates: how many items were ranked: the catalogue, or what a filter allowed of it.
        num_read: items of the history that the model read now.
        num_known: items of it that were known already, as their keys and values were kept.
        by_score: as many items by score alone; None where `items` are these.
    """

    items: list[Recommendation]
    encode_ms: float
    search_ms: float
    num_candidates: int
    num_read: int
    num_known: int
    by_score: list[Recommendation] | None = None

    def rerank_cost(self, top_k: int) -> RerankCost | None:
        """What re-ranking costs the first top_k; None where nothing was re-ranked, or found."""
        if not self.by_score:
            return None
        chosen, best = (
            [(item.item_id, item.score) for item in found[:top_k]]
            for found in (self.items, self.by_score)
        )
        return cost_of(chosen, best)


@dataclass(frozen=True)
class Stage:
    """One step from texts to recommendations, as it runs here.

    Attributes:
        name: what computes it, for people.
        precision, device: of the computation.
        num_parameters: of a language model; 0 for what has none.
        num_bytes: in memory; 0: it is loaded when an item is typed in.
    """

    name: str
    precision: str
    device: str
    num_parameters: int
    num_bytes: int


@dataclass(frozen=True)
class Stages:
    """The steps of an HLLM: a text into an embedding, a history into another, the nearest items.

    Attributes:
        width: numbers of an embedding.
    """

    item: Stage
    user: Stage
    search: Stage
    width: int


@dataclass(frozen=True)
class WholeReading:
    """A history read without anything that was known of it, beside the same one read with it.

    Attributes:
        num_read: items that were read.
        encode_ms: history -> user embedding.
        cosine: of both user embeddings.
    """

    num_read: int
    encode_ms: float
    cosine: float


class ItemRanker(Protocol):
    """Whatever ranks a catalogue for a history: an HLLM (Recommender) or a baseline.

    A history holds item ids, oldest first, or the text fields of items that the catalogue does not
    have (hllm.serving.new_items). `item_ids` are in the order of the rows, `text_keys` the fields
    of an item that it reads. `explains_at_once`: explaining takes no longer than a few clicks.
    """

    name: str
    model: str
    precision: str
    device: str
    num_items: int
    item_ids: ItemIds
    text_keys: tuple[str, ...]
    explains_at_once: bool

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
        """Rank the catalogue, or the rows of it that are allowed, for a history (oldest first).

        For the last three see hllm.serving.rerank.Reranking.
        """
        ...

    def rank_of(self, history: Sequence[Item], item: Item) -> ItemRank:
        """See hllm.serving.explain.Explainer."""
        ...

    def explain(self, history: Sequence[Item], item: Item) -> list[ScoreChange]:
        """See hllm.serving.explain.Explainer."""
        ...

    def explain_all(
        self, history: Sequence[Item], items: Sequence[Item]
    ) -> list[list[ScoreChange]]:
        """See hllm.serving.explain.Explainer."""
        ...

    def similar(self, item: Item, top_k: int = 10) -> list[Neighbour]:
        """See hllm.serving.explain.Explainer."""
        ...

    def item_text(self, fields: Mapping[str, Any]) -> ItemText | None:
        """What its Item LLM is given of an item; None without one."""
        ...

    def item_embedding(self, item: str) -> Tensor:
        """(D,) float32 of an item of the catalogue; see hllm.serving.explain.Explainer."""
        ...

    def load_item_encoder(self) -> None:
        """See hllm.serving.explain.Explainer."""
        ...

    def new_item(self, fields: Mapping[str, Any]) -> NewItem:
        """See hllm.serving.explain.Explainer."""
        ...

    def user_embedding(self, history: Sequence[Item]) -> Tensor:
        """See hllm.serving.explain.Explainer."""
        ...

    def nearest(self, vector: Tensor, top_k: int) -> list[tuple[int, float]]:
        """See hllm.serving.explain.Explainer."""
        ...

    def projection(self) -> "Projection | None":
        """Where its items stand on a map; None where it is no HLLM."""
        ...

    def stages(self) -> Stages | None:
        """Its steps as they run here; None where it is no HLLM."""
        ...

    def counts(self) -> EncoderCounts | None:
        """The work on histories since the start; None without a User LLM."""
        ...

    def read_whole(self, history: Sequence[Item]) -> WholeReading | None:
        """Read a history anew, as if nothing were known of it; None without a User LLM."""
        ...

    def __hash__(self) -> int:
        """By identity: what is looked up for a recommender is remembered under it."""
        ...


def recommend_rows(
    index: Index,
    read: Callable[[list[Key]], Reading],
    keys: list[Key],
    top_k: int,
    allowed: np.ndarray | None = None,
    search: Search | None = None,
    reranking: Reranking | None = None,
) -> Recommendations:
    """Encode a history and search the index: the path that every recommender shares.

    Args:
        index: the candidates.
        read: items of the history, oldest first -> user embedding.
        keys: the items of the history, oldest first.
        top_k: how many items at most.
        allowed: the only rows that may be found, each once; None: all.
        search: instead of the index's own.
        reranking: of the best candidates; None, or one that is false: none.

    Raises:
        ValueError: an empty history, or popularity that is no count of each item.
    """
    if not keys:
        raise ValueError("the history is empty: show popular items instead")
    start = time.perf_counter()
    reading = read(keys)
    encoded = time.perf_counter()
    num_wanted = max(top_k, NUM_CANDIDATES) if reranking else top_k
    found = (search or index.search)(reading.user, num_wanted, rows_of(keys), allowed)
    by_score = None
    if reranking:
        by_score = _ranked(index, found[:top_k])
        found = _reranked(index, found, top_k, reranking)
    end = time.perf_counter()
    return Recommendations(
        items=_ranked(index, found),
        encode_ms=(encoded - start) * 1e3,
        search_ms=(end - encoded) * 1e3,
        num_candidates=len(index) if allowed is None else len(allowed),
        num_read=reading.num_read,
        num_known=reading.num_known,
        by_score=by_score,
    )


def _ranked(index: Index, found: Sequence[tuple[int, float]]) -> list[Recommendation]:
    """Rows and scores in the order of a list."""
    return [
        Recommendation(index.item_ids[row], score, rank)
        for rank, (row, score) in enumerate(found, start=1)
    ]


def _reranked(
    index: Index, candidates: list[tuple[int, float]], top_k: int, reranking: Reranking
) -> list[tuple[int, float]]:
    """What is chosen from candidates, best by score first."""
    rows = [row for row, _ in candidates]
    vectors = F.normalize(rows_of_file(index.vectors, rows).float(), dim=-1).cpu().numpy()
    scores = np.array([score for _, score in candidates])
    places = reranking.choose(scores, vectors, np.array(rows), top_k)
    return [candidates[place] for place in places]
