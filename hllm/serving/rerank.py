"""Re-ranking the best candidates: for diversity among them, and against popularity.

N items of the catalogue, C candidates, D dimensions, K chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_CANDIDATES = 100  # the best by score, among which a list is chosen


@dataclass(frozen=True)
class Reranking:
    """How a list is chosen from the best candidates. False where it stays as the scores rank it.

    Attributes:
        diversity: 0 to 1; of two wishes, a high score and little likeness to what stands above, the
            share of the second. 0: scores alone. 1: the best item, then whatever is least like the
            items chosen before.
        less_popular: 0 to 1; what the most popular item of the catalogue loses, as a part of the
            distance between the best and the worst candidate's score.
        popularity: (N,) how many took each item, in the order of the rows; 0 or more. Only
            `less_popular` needs it.

    Raises:
        ValueError: a number is out of its range, or popularity is missing.
    """

    diversity: float = 0.0
    less_popular: float = 0.0
    popularity: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("diversity", "less_popular"):
            value = getattr(self, name)
            if not 0 <= value <= 1:  # NaN neither
                raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
        if self.less_popular and self.popularity is None:
            raise ValueError("less_popular needs popularity: how many took each item of item_ids")

    def __bool__(self) -> bool:
        return bool(self.diversity or self.less_popular)

    def choose(
        self, scores: np.ndarray, vectors: np.ndarray, rows: np.ndarray, top_k: int
    ) -> list[int]:
        """Choose from candidates.

        Args:
            scores: (C,) best first, in whatever unit: they are scaled to 0 (worst) to 1 (best).
            vectors: (C, D) float32, the candidates' embeddings, L2-normalised.
            rows: (C,) of the candidates in the catalogue.
            top_k: how many at most.

        Returns:
            Places among the candidates, first of the list first. A shorter list is the beginning of
            a longer one.

        Raises:
            ValueError: popularity is not one count of 0 or more for each item.
        """
        if not len(scores):
            return []
        # Without scaling, the same slider would do another thing in every model: cosines of the
        # best 100 lie close together in one, and a blend's scores are no cosines.
        span = scores[0] - scores[-1]
        relevance = (scores - scores[-1]) / span if span > 0 else np.zeros(len(scores))
        if self.less_popular:
            assert self.popularity is not None
            relevance = relevance - self.less_popular * log_popularity(self.popularity, rows)
        return mmr(relevance, vectors, top_k, self.diversity)


def log_popularity(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """log(1 + count) / log(1 + largest count of the catalogue): (C,) from 0 to 1.

    What is subtracted from a score to take popularity out of it is the logarithm of an item's
    frequency: post-hoc logit adjustment, Menon et al. 2021 (arXiv 2007.07314). Here it is bounded
    (1 + count, scaled), so that a slider has an end.

    Args:
        counts: (N,) 0 or more.
        rows: (C,) of the items wanted.

    Raises:
        ValueError: counts are of another shape, or not all of them are 0 or more.
    """
    if counts.ndim != 1 or len(counts) <= rows.max():
        raise ValueError(f"popularity must have one count for each item, not shape {counts.shape}")
    largest = counts.max()
    if not (counts.min() >= 0 and np.isfinite(largest)):
        raise ValueError("popularity must be counts of 0 or more")
    return np.log1p(counts[rows]) / max(np.log1p(largest), np.finfo(np.float64).tiny)


def mmr(relevance: np.ndarray, vectors: np.ndarray, top_k: int, diversity: float) -> list[int]:
    """Maximal marginal relevance: the best item, then each time the best compromise.

    argmax (1 - diversity) relevance - diversity max cosine with what is chosen. Carbonell and
    Goldstein 1998 (SIGIR, doi 10.1145/290941.291025), whose lambda is 1 - diversity.

    Args:
        relevance: (C,) higher is better.
        vectors: (C, D) L2-normalised.
        top_k: how many at most.
        diversity: 0 to 1.

    Returns:
        Up to top_k places, first chosen first; among equals the smaller place.
    """
    chosen: list[int] = []
    likeness = np.full(len(relevance), -np.inf)  # the largest cosine with what is chosen
    worth = np.array(relevance, dtype=np.float64)
    for _ in range(min(top_k, len(relevance))):
        place = int(np.argmax(worth))
        chosen.append(place)
        np.maximum(likeness, vectors @ vectors[place], out=likeness)
        worth = (1 - diversity) * relevance - diversity * likeness
        worth[chosen] = -np.inf
    return chosen


@dataclass(frozen=True)
class RerankCost:
    """What re-ranking costs a list.

    Attributes:
        score: by how much its mean score is lower than that of as many items by score alone.
        num_replaced: how many of its items would not be in it by score alone.
        num_items: how many it has.
    """

    score: float
    num_replaced: int
    num_items: int


def cost_of(
    chosen: Sequence[tuple[str, float]], by_score: Sequence[tuple[str, float]]
) -> RerankCost:
    """Compare two lists of equal length, (item id, score) each, one item at least."""
    before = {item_id for item_id, _ in by_score}
    lost = sum(score for _, score in by_score) - sum(score for _, score in chosen)
    replaced = sum(item_id not in before for item_id, _ in chosen)
    # Nothing scores higher than the best by score; rounding may say so.
    return RerankCost(max(lost, 0.0) / len(chosen), replaced, len(chosen))
