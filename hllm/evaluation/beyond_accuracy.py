"""Metrics beyond accuracy: coverage, novelty, popularity bias and diversity of what is recommended.

They judge the k best candidates of every case, and never ask which item was the target. n cases,
k items a list, N items with padding, D width of the space in which diversity is measured. Index 0,
padding, fills a list where there are fewer than k candidates, and counts nowhere.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from hllm.data import Interactions, popularity, training_parts

LIST_LENGTH = 10
LISTS_AT_ONCE = 1024  # bounds memory: so many vectors of the space at a time
# As hllm's csv export writes several labels into a cell, and MovieLens does.
_LABEL_SEPARATORS = re.compile(r"[;|]")


@dataclass(frozen=True)
class ItemSpace:
    """Where the similarity of two items is measured: for all models the same.

    Attributes:
        name: for people.
        vectors: (N, D) float32, dense or sparse; rows of length 1, or 0 for an item that is like
            no other.
    """

    name: str
    vectors: Any  # scipy's sparse classes have no types


def text_space(embeddings: np.ndarray) -> ItemSpace:
    """The space of a sentence encoder.

    Args:
        embeddings: (N, D) by item_index, row 0 padding.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return ItemSpace("MiniLM texts", embeddings / np.where(lengths > 0, lengths, 1))


def category_space(fields: Sequence[Mapping[str, Any] | None]) -> ItemSpace | None:
    """The space of categories: cosine = shared / sqrt(those of one * those of the other).

    Args:
        fields: by item_index; "categories" holds labels between ";" or "|".

    Returns:
        None if no item has a category. An item without one shares none with any other.
    """
    numbers: dict[str, int] = {}
    rows, columns = [], []
    for row, record in enumerate(fields):
        text = str((record or {}).get("categories", ""))
        for label in {part.strip().casefold() for part in _LABEL_SEPARATORS.split(text)} - {""}:
            rows.append(row)
            columns.append(numbers.setdefault(label, len(numbers)))
    if not numbers:
        return None
    weights = 1 / np.sqrt(np.bincount(rows, minlength=len(fields))[rows])
    shape = (len(fields), len(numbers))
    vectors = sparse.csr_matrix((weights.astype(np.float32), (rows, columns)), shape=shape)
    return ItemSpace("categories", vectors)


@dataclass(frozen=True)
class TrainingCounts:
    """How known each item is from training.

    Attributes:
        interactions: (N,) int64 training interactions with each item.
        users: (N,) int64 users with at least one.
        num_users: with a training part.
    """

    interactions: np.ndarray
    users: np.ndarray
    num_users: int

    @classmethod
    def of(cls, interactions: Interactions) -> "TrainingCounts":
        """Count the training parts."""
        parts = [np.unique(part) for part in training_parts(interactions)]
        joined = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        users = np.bincount(joined, minlength=interactions.num_items)
        return cls(popularity(interactions), users, len(parts))


def beyond_accuracy(
    lists: np.ndarray, counts: TrainingCounts, space: ItemSpace | None
) -> dict[str, float]:
    """All metrics of one model.

    Args:
        lists: (n, k) item indices, 0 where there are fewer candidates.
        counts: of the training.
        space: for diversity; None: it is left out.

    Returns:
        coverage@k, novelty@k, popularity@k, gini@k, diversity@k; nan where nothing can be measured.
    """
    k = lists.shape[1]
    exposure = np.bincount(lists[lists > 0], minlength=len(counts.users))[1:]  # without padding
    values = {
        f"coverage@{k}": coverage(exposure),
        f"novelty@{k}": novelty(lists, counts),
        f"popularity@{k}": average_popularity(lists, counts),
        f"gini@{k}": gini_index(exposure),
    }
    if space is not None:
        values[f"diversity@{k}"] = diversity(lists, space)
    return values


def coverage(exposure: np.ndarray) -> float:
    """Share of the catalogue that is recommended to anybody.

    Catalogue coverage, Ge, Delgado-Battenfeld and Jannach 2010 (RecSys); with normalize=True
    RecTools' CatalogCoverage.

    Args:
        exposure: (N - 1,) in how many lists each item is.

    >>> coverage(np.array([3, 0, 1, 0]))
    0.5
    """
    return float((exposure > 0).mean()) if len(exposure) else math.nan


def gini_index(exposure: np.ndarray) -> float:
    """How unequally exposure is spread: 0 all items alike, near 1 one item alone.

    Half the mean absolute difference of two items' exposure, relative to the mean exposure (Gini
    1912; for recommendations Adomavicius and Kwon 2012, Fleder and Hosanagar 2009). Items that are
    never recommended count.

    Args:
        exposure: (N - 1,) in how many lists each item is.

    >>> gini_index(np.array([2, 2, 2, 2])), gini_index(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    size, total = len(exposure), exposure.sum()
    if not total:
        return math.nan
    places = 2 * np.arange(1, size + 1) - size - 1
    return float(places @ np.sort(exposure) / (size * total))


def _mean_of_lists(lists: np.ndarray, values: np.ndarray) -> float:
    """Mean over the lists of the mean of their items' values (N,); empty lists do not count."""
    filled = lists > 0
    sizes = filled.sum(axis=1)
    sums = np.where(filled, values[lists], 0).sum(axis=1)
    return float((sums[sizes > 0] / sizes[sizes > 0]).mean()) if sizes.any() else math.nan


def novelty(lists: np.ndarray, counts: TrainingCounts) -> float:
    """Mean self-information of the recommended items, in bits: log2(users / users of the item).

    Zhou et al. 2010 (PNAS 107(10), "surprisal"); RecTools' MeanInvUserFreq. As there, an item that
    nobody has in training counts as if one user had it.
    """
    if not counts.num_users:
        return math.nan
    return _mean_of_lists(lists, np.log2(counts.num_users / np.maximum(counts.users, 1)))


def average_popularity(lists: np.ndarray, counts: TrainingCounts) -> float:
    """Mean number of training interactions of the recommended items.

    Average recommendation popularity, Yin et al. 2012 (VLDB), Abdollahpouri, Burke and Mobasher
    2019; RecTools' AvgRecPopularity.
    """
    return _mean_of_lists(lists, counts.interactions.astype(np.float64))


def diversity(lists: np.ndarray, space: ItemSpace) -> float:
    """Intra-list diversity: 1 - mean cosine of the pairs of a list, mean over the lists.

    Ziegler et al. 2005 (WWW), Castells, Hurley and Vargas 2015; RecTools' IntraListDiversity,
    LensKit's ILS is 1 - this. Lists of fewer than two items have no pairs and do not count.
    """
    vectors = space.vectors
    values = []
    for start in range(0, len(lists), LISTS_AT_ONCE):
        block = lists[start : start + LISTS_AT_ONCE]
        rows, columns = np.nonzero(block)
        shape = (len(block), vectors.shape[0])
        members = sparse.csr_matrix(
            (np.ones(len(rows), dtype=np.float32), (rows, block[rows, columns])), shape=shape
        )
        # |sum|^2 holds every pair twice, and each item once with itself.
        own = _squares(vectors[block[rows, columns]])
        twice = _squares(members @ vectors) - np.bincount(rows, own, minlength=len(block))
        sizes = np.bincount(rows, minlength=len(block))
        paired = sizes > 1
        values.append(1 - twice[paired] / (sizes * (sizes - 1))[paired])
    joined = np.concatenate([np.zeros(0), *values])
    return float(joined.mean()) if len(joined) else math.nan


def _squares(vectors: Any) -> np.ndarray:
    """(B,) squared lengths of (B, D) dense or sparse rows, float64."""
    if sparse.issparse(vectors):
        vectors = vectors.astype(np.float64)
        return np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    return np.einsum("bd,bd->b", vectors, vectors, dtype=np.float64)
