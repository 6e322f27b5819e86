"""Baselines that count interactions: popularity, item-to-item neighbours, item transitions.

B users, N items with padding.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from hllm.baselines.text_scorer import DECAY, TextScorer
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

    @property
    def similarity(self) -> sparse.csr_matrix:
        """(N, N): the neighbours of each item, one row an item."""
        return self._similarity

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, N); 0 for an item without a common user."""
        num_items = self._similarity.shape[0]
        weights = _incidence(histories, num_items, self.decay)  # (B, N)
        return torch.from_numpy((weights @ self._similarity).toarray())


class TransitionGraph:
    """What came next to the last items in training: the untrained graph heuristic.

    An edge leads from every item to the one after it in a training history, and, lighter, back.
    Weight = log(1 + how often), the heaviest edge of an item scaled to 1. Score = sum over the last
    items of the edges one step away, and of the paths two steps away, lighter.

    Source: arXiv 2605.07125 (TGH-1 and TGH-2), which asks how much of a benchmark needs no model.
    Differs from it: there the last one or two items, forward edges only, and a list is filled with
    fixed numbers of items one, two and three steps away, each sorted by text and edge; here a sum,
    which ranks the whole catalogue. The defaults were chosen on validation.

    Args:
        interactions: only the training part is read.
        text: added to the score; None: transitions alone.
        num_last: items that are read, from the end of a history.
        decay: weight of a history item relative to the one after it.
        backward: weight of a step back relative to one forward.
        two_steps: weight of two steps relative to one.
        text_weight: of the text's cosine.
    """

    def __init__(
        self,
        interactions: Interactions,
        text: TextScorer | None = None,
        *,
        num_last: int = 5,
        decay: float = 0.5,
        backward: float = 0.5,
        two_steps: float = 0.1,
        text_weight: float = 2.0,
    ) -> None:
        self.name = "Transition graph" if text is None else "Transition graph and MiniLM"
        self.num_last = num_last
        self._decay, self._two_steps = decay, two_steps
        self._text, self._text_weight = text, text_weight
        parts = training_parts(interactions)
        before = np.concatenate([np.zeros(0, dtype=np.int64), *(part[:-1] for part in parts)])
        after = np.concatenate([np.zeros(0, dtype=np.int64), *(part[1:] for part in parts)])
        kept = before != after  # an item twice in a row says nothing of another
        before, after = before[kept], after[kept]
        shape = (interactions.num_items, interactions.num_items)
        forward = sparse.csr_matrix((np.ones(len(before)), (before, after)), shape=shape)
        edges = (forward + backward * forward.T).tocsr()
        edges.eliminate_zeros()
        heaviest = np.log1p(edges.max(axis=1).toarray().ravel())
        edges.data = np.log1p(edges.data) / np.repeat(heaviest, np.diff(edges.indptr))
        self._edges = edges.astype(np.float32)

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, N); without a text 0 for an item further than two steps away."""
        last = [history[-self.num_last :] for history in histories]
        one = _incidence(last, self._edges.shape[0], self._decay) @ self._edges  # (B, N)
        scores = torch.from_numpy((one + self._two_steps * (one @ self._edges)).toarray())
        if self._text is None:
            return scores
        return scores + self._text_weight * self._text.score(last).to(scores)


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
