"""Models to compare HLLM with that need no training by gradient: popularity, item-kNN, sentences.

B users, N items with padding, D embedding width.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from hllm.checked import check_once
from hllm.data import Interactions, popularity, training_parts
from hllm.errors import StaleEmbeddingsError
from hllm.pretrained import MINILM
from hllm.recommend import Recommendations, make_index, recommend_from
from hllm.store import ItemEmbeddings
from hllm.text import sentence_text, text_hash

POOLINGS = ("mean", "last", "decay")
DECAY = 0.7  # weight of an item relative to the one after it
SENTENCE_FINGERPRINT = f"sentence-embeddings/{MINILM}/1"


def sentence_fingerprint(text_keys: Sequence[str]) -> str:
    """Name of sentence embeddings of these fields, as their file keeps it."""
    return f"{SENTENCE_FINGERPRINT}:{','.join(text_keys)}"


class Popularity:
    """Ranks every item by its number of training interactions, for everybody the same."""

    name = "Popularity"

    def __init__(self, interactions: Interactions) -> None:
        self._scores = torch.from_numpy(popularity(interactions)).float()

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, N)."""
        return self._scores.expand(len(histories), -1)


class ItemKNN:
    """Item-to-item neighbours: items that the same users took.

    Similarity of two items = users of both / (sqrt(users of one * users of the other) + shrinkage),
    cosine of the binary user columns, damped where evidence is thin (Deshpande and Karypis 2004).
    Score = sum of the similarities to the history's items, each kept for its nearest neighbours.

    Args:
        interactions: only the training part is read.
        num_neighbours: kept for each item.
        shrinkage: see above.
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
        common = (users.T @ users).tocoo()
        kept = common.row != common.col
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
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *histories])
    ages = [np.arange(len(history))[::-1] for history in histories]
    weights = decay ** np.concatenate([np.zeros(0, dtype=np.int64), *ages])
    shape = (len(histories), num_items)
    return sparse.csr_matrix((weights.astype(np.float32), (rows, columns)), shape=shape)


def _largest_per_row(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keep the `count` largest entries of each row; of equal ones the smaller columns."""
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(order)) - matrix.indptr[rows[order]]
    kept = order[place < count]
    entries = (matrix.data[kept], (rows[kept], matrix.indices[kept]))
    return sparse.csr_matrix(entries, shape=matrix.shape)


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
    if pooling not in POOLINGS:
        raise ValueError(f"pooling {pooling!r}: choose one of {', '.join(POOLINGS)}")
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
        if pooling not in POOLINGS:
            raise ValueError(f"pooling {pooling!r}: choose one of {', '.join(POOLINGS)}")
        self.name = f"MiniLM {pooling}"
        self._pooling = pooling
        self._vectors = F.normalize(item_embeddings.float(), dim=-1)

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Cosines (B, N)."""
        users = [
            pool_history(self._vectors[torch.from_numpy(np.ascontiguousarray(h))], self._pooling)
            for h in histories
        ]
        return F.normalize(torch.stack(users), dim=-1) @ self._vectors.T


class TextBaseline:
    """The page's comparison: MiniLM sentence embeddings, history pooled with decay.

    Args:
        embeddings: of a catalogue, from hllm.sentence.embed_sentences: of length 1.
        index_beside: their file, beside which the index of a large catalogue is kept.
    """

    name = "MiniLM baseline"
    model = f"{MINILM}, weighted mean of the history"
    precision = "fp32"
    device = "cpu"

    def __init__(self, embeddings: ItemEmbeddings, index_beside: Path | None = None) -> None:
        self._index = make_index(embeddings, index_beside)
        self.num_items = len(self._index)
        self.item_ids = self._index.item_ids

    @torch.inference_mode()
    def recommend(
        self, history: Sequence[str], *, top_k: int = 10, allowed: np.ndarray | None = None
    ) -> Recommendations:
        """Rank the catalogue for a history.

        Args:
            history: item ids, oldest first.
            top_k: how many items at most.
            allowed: the only rows (places in item_ids, each once) that may be found; None: all.

        Raises:
            ValueError: an empty history.
            UnknownItemError: an item without an embedding.
        """
        vectors = self._index.vectors
        return recommend_from(self._index, vectors, self._encode, history, top_k, allowed)

    @staticmethod
    def _encode(history: Tensor) -> Tensor:
        return pool_history(history, "decay")


def load_text_baseline(
    path: str | Path,
    *,
    fields: Iterable[tuple[str, Mapping[str, Any]]] | None = None,
    texts_version: str = "",
    cache: Path | None = None,
) -> TextBaseline:
    """Load the baseline from its embeddings file.

    Args:
        path: as hllm.sentence.embed_sentences writes it.
        fields: (item_id, text fields) of the catalogue as it is now, to make sure that the
            embeddings are not older than it; None trusts them.
        texts_version: names what `fields` gives; see hllm.checked.
        cache: folder of hllm.checked's notes.

    Raises:
        StaleEmbeddingsError: missing, damaged, of another model or too old.
    """
    embeddings = ItemEmbeddings.load(path, remedy="python -m hllm.sentence")
    kind, _, keys = embeddings.fingerprint.partition(":")
    if kind != SENTENCE_FINGERPRINT:
        raise StaleEmbeddingsError(
            f"{path} does not hold {MINILM} sentence embeddings: make it again with  "
            "python -m hllm.sentence"
        )
    hashes = (
        (item_id, text_hash(sentence_text(values, keys.split(","))))
        for item_id, values in fields or ()
    )
    check_once(
        lambda: embeddings.check(
            embeddings.fingerprint, hashes, path=str(path), remedy="python -m hllm.sentence"
        ),
        files=[Path(path)],
        texts_version=texts_version,
        notes=cache,
    )
    return TextBaseline(embeddings, Path(path))
