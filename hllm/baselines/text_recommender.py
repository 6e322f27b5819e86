"""The page's comparison: a recommender over MiniLM sentence embeddings that learns nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hllm.baselines.sentence_encoder import SentenceEncoder
from hllm.baselines.text_scorer import pool_history
from hllm.errors import StaleEmbeddingsError
from hllm.recommend import make_index
from hllm.serving.explain import Explainer
from hllm.serving.fit_check import check_once, open_embeddings
from hllm.serving.history_encoder import Reading
from hllm.serving.item_model import ItemText
from hllm.serving.new_items import Item, Key, NewItems, vectors_of
from hllm.serving.ranker import Recommendations, recommend_rows
from hllm.serving.rerank import Reranking
from hllm.store import SENTENCE_FINGERPRINT, ItemEmbeddings
from hllm.text import sentence_text, text_hash
from hllm.weights.packaged import MINILM

REMEDY = "python -m hllm.sentence"
POOLED = {
    "decay": "weighted mean of the history",
    "mean": "mean of the history",
    "last": "last item of the history",
}


class TextBaseline(Explainer):
    """The page's comparison: MiniLM sentence embeddings of a history, pooled.

    Its text_keys are those that the embeddings were made from, as their file says. MiniLM itself is
    loaded for the first item that the catalogue does not have.

    Args:
        embeddings: of a catalogue, from hllm.sentence.embed_sentences; their vectors have length 1.
        index_beside: their file; the index of a large catalogue is kept beside it.
        pooling: see hllm.baselines.text_scorer.pool_history.
        index: what searches; see hllm.recommend.make_index.
    """

    name = "MiniLM baseline"
    precision = "fp32"
    device = "cpu"
    explains_at_once = True

    def __init__(
        self,
        embeddings: ItemEmbeddings,
        index_beside: Path | None = None,
        pooling: str = "decay",
        index: str = "auto",
    ) -> None:
        self._pooling = pooling
        self._index = make_index(embeddings, index_beside, index)
        self.model = f"{MINILM}, {POOLED[pooling]}"
        self.num_items = len(self._index)
        self.item_ids = self._index.item_ids
        self.text_keys = tuple(_text_keys(embeddings))
        encoder = SentenceEncoder()

        def text_of(fields: Mapping[str, Any]) -> str:
            return sentence_text(fields, self.text_keys)

        self._new_items = NewItems(
            text_of, encoder.load, lambda fields: encoder.encode_one(text_of(fields))
        )

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
        """Rank the catalogue for a history.

        Args:
            history: items, oldest first; see hllm.recommend.Recommender.recommend.
            top_k: how many items at most.
            allowed: the only rows (places in item_ids, each once) that may be found; None: all.
            diversity: 0 to 1; with it, or the next, the list is chosen from the best 100: see
                hllm.serving.rerank.Reranking. `by_score` of the answer is what it would be.
            less_popular: 0 to 1.
            popularity: (N,) how many took each item of item_ids, for less_popular.

        Raises:
            ValueError: an empty history, or numbers that make no sense.
            UnknownItemError: an item without an embedding.
        """
        keys, reranking = self._keys(history), Reranking(diversity, less_popular, popularity)
        return recommend_rows(self._index, self._read, keys, top_k, allowed, reranking=reranking)

    def item_text(self, fields: Mapping[str, Any]) -> ItemText | None:
        """None: it has no Item LLM."""
        return None

    def projection(self) -> None:
        """None: it is no HLLM."""
        return None

    def stages(self) -> None:
        """None: it is no HLLM."""
        return None

    def counts(self) -> None:
        """None: it has no User LLM."""
        return None

    def read_whole(self, history: Sequence[Item]) -> None:
        """None: it has no User LLM."""
        return None

    def _read(self, keys: list[Key]) -> Reading:
        return Reading(self._user(keys), len(keys), 0)

    def _users(self, histories: Sequence[Sequence[Key]]) -> Tensor:
        inputs = (vectors_of(self._index.vectors, history).float() for history in histories)
        return torch.stack([pool_history(vectors, self._pooling) for vectors in inputs])


def load_text_baseline(
    path: str | Path,
    *,
    fields: Iterable[tuple[str, Mapping[str, Any]]] | None = None,
    texts_version: str = "",
    cache: Path | None = None,
    pooling: str = "decay",
    index: str = "auto",
) -> TextBaseline:
    """Load the baseline from its embeddings file.

    Args:
        path: as hllm.sentence.embed_sentences writes it.
        fields: (item_id, text fields) of the catalogue as it is now, to make sure that the
            embeddings are not older than it; None trusts them.
        texts_version: names what `fields` gives; see hllm.serving.fit_check.
        cache: folder of hllm.serving.fit_check's notes.
        pooling: see hllm.baselines.text_scorer.pool_history.
        index: what searches; see hllm.recommend.make_index.

    Raises:
        StaleEmbeddingsError: missing, damaged, of another model or too old.
    """
    embeddings = open_embeddings(path, notes=cache, remedy=REMEDY)
    # An HLLM's embeddings are of the same kind of file.
    if embeddings.fingerprint.partition(":")[0] != SENTENCE_FINGERPRINT:
        raise StaleEmbeddingsError(
            f"{path} holds item embeddings of another model, not {MINILM} sentence embeddings: "
            "name the baseline's file, or make one with  python -m hllm.sentence"
        )
    keys = _text_keys(embeddings)
    # A generator: where an earlier start has checked the same files, no text is hashed.
    hashes = ((item_id, text_hash(sentence_text(values, keys))) for item_id, values in fields or ())
    check_once(
        lambda: embeddings.check(embeddings.fingerprint, hashes, path=str(path), remedy=REMEDY),
        files=[Path(path)],
        texts_version=texts_version,
        notes=cache,
    )
    return TextBaseline(embeddings, Path(path), pooling, index)


def _text_keys(embeddings: ItemEmbeddings) -> list[str]:
    """The fields that were read, from the name that hllm.store.sentence_fingerprint makes."""
    return [key for key in embeddings.fingerprint.partition(":")[2].split(",") if key]
