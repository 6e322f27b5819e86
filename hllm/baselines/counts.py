"""Baselines that count interactions: popularity and item-to-item neighbours.

B users, N items with padding.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from hllm.baselines.text_scorer import DECAY
from hllm.data import Interactions, popularity, training_parts


class Popularity:
    """Ranks items by their number of training interactions, the same for everybody."""

    name = "Popularity"

    def __init__(self, interactions: Interactions) -> None:
        self._scores = torch.from_numpy(popularity(interactions)).float()

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, N)."""
        return self._scores.expand(len(histories), -1)


class ItemKNN:
    """Item-to-item neighbours: items that the same users took (Deshpande and Karypis 2004).

    Similarity of two items = users of both / (sqrt(users of one * users of the other) + shrinkage):
    the cosine of their binary user columns, damped where evidence is thin.
    Score = sum of the similarities to the history's items. Each item keeps only its nearest
    neighbours.

    Args:
        interactions: only the training part is read.
        num_neighbours: kept for each item.
        shrinkage: added to the denominator, see above.
        decay: weight of a history item relative to the one after it; 1 = all the same.
    """

    name = "Item-kNN"

    def __init__(
        self,
        interactions: Interactions,
        *,
        num_neighbours: int = 200,
        shrinkage: float = 50.0,
        decay: float = DECAY,
    ) -> None:
        self.decay = decay
        users = _incidence(training_parts(interactions), interactions.num_items)
        users.data[:] = 1  # somebody who took an item twice is still one user of it
        counts = np.asarray(users.sum(axis=0)).ravel()
        common = (users.T @ users).tocoo()  # (N, N) users of both items
        kept = common.row != common.col  # an item is not its own neighbour
        rows, columns, both = common.row[kept], common.col[kept], common.data[kept]
        cosines = both / (np.sqrt(counts[rows] * counts[columns]) + shrinkage)
        matrix = sparse.csr_matrix((cosines, (rows, columns)), shape=common.shape)
        self._similarity = _largest_per_row(matrix.astype(np.float32), num_neighbours)

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, N); 0 for an item without a common user."""
        num_items = self._similarity.shape[0]
        weights = _incidence(histories, num_items, self.decay)  # (B, N)
        return torch.from_numpy((weights @ self._similarity).toarray())


def _incidence(
    histories: Sequence[np.ndarray], num_items: int, decay: float = 1.0
) -> sparse.csr_matrix:
    """(B, N) weight of each item in each history, oldest first; repeated items add up."""
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    # An empty array first, as nothing cannot be concatenated.
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *histories])
    ages = [np.arange(len(history))[::-1] for history in histories]
    weights = decay ** np.concatenate([np.zeros(0, dtype=np.int64), *ages])
    shape = (len(histories), num_items)
    return sparse.csr_matrix((weights.astype(np.float32), (rows, columns)), shape=shape)


def _largest_per_row(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keep the `count` largest entries of each row; among equal ones the smaller columns."""
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    # Sorted by row, then falling entry: the place within the row follows from where the row begins.
    place = np.arange(len(order)) - matrix.indptr[rows[order]]
    kept = order[place < count]
    entries = (matrix.data[kept], (rows[kept], matrix.indices[kept]))
    return sparse.csr_matrix(entries, shape=matrix.shape)
