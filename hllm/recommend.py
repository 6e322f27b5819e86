"""From a history of item ids to ranked recommendations.

python -m hllm.recommend --help    for every user of a file
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("recommend")

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hllm.config import HLLMConfig
from hllm.errors import StaleEmbeddingsError
from hllm.model_folder import ModelFolder
from hllm.serving.blend import Blend, blend_beside, blended_search
from hllm.serving.explain import Explainer
from hllm.serving.fit_check import check_once, open_embeddings
from hllm.serving.history_encoder import (
    CACHE_BYTES,
    EncoderCounts,
    HistoryEncoder,
    Reading,
    history_window,
)
from hllm.serving.index import Index, ItemIndex, Search
from hllm.serving.item_model import EncodeElsewhere, ItemModel, ItemText
from hllm.serving.new_items import Item, Key, NewItems, vectors_of
from hllm.serving.ranker import (
    ItemRanker,
    Recommendation,
    Recommendations,
    Stage,
    Stages,
    WholeReading,
    recommend_rows,
)
from hllm.serving.rerank import Reranking
from hllm.serving.user_model import UserModel, load_user_model
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import text_hash

if TYPE_CHECKING:
    from hllm.serving.projection import Projection

# Encoding the next window ahead pays where encoding it anew takes long: 1.6 s for 50 items at 1.1
# billion parameters, but 6 ms at 1.3 million, where the thread costs more than it saves.
PREPARE_FROM_PARAMETERS = 50_000_000
USERS_AT_ONCE = 256  # of a batch: the User LLM's matrices are large enough to be fast
# Numbers (items x dimensions); below, exact search takes less than 30 ms on two cores.
APPROXIMATE_FROM = 100_000_000

__all__ = ["ItemRanker", "Recommendation", "Recommendations", "Recommender", "load_hllm"]


class Recommender(Explainer):
    """Recommends with a User LLM over stored item embeddings.

    The Item LLM is loaded for what the catalogue does not have: a history may hold the text fields
    of such an item in the place of an id.

    >>> recommender = Recommender.from_pretrained("assets/books/model")
    >>> found = recommender.recommend(["dune-herbert", "solaris-lem"], top_k=3)
    >>> [item.rank for item in found.items]
    [1, 2, 3]
    >>> found = recommender.recommend(["dune-herbert", {"title": "A funny heist on Mars"}])
    >>> len(found.items)
    10

    Args:
        user: the User LLM.
        config: of the model that made the embeddings.
        embeddings: of the catalogue.
        cache_bytes: most memory for what is known of histories, see hllm.serving.history_encoder.
        item_model: encodes items that have no embedding yet; None: nothing does.
        window_stride: how many items the window moves at once when a history outgrows max_history.
            1 reads what training and evaluation read, the most recent max_history items; for others
            see hllm.serving.history_encoder.history_window.
        index_beside: the embeddings file, beside which the index of a large catalogue is kept.
        blend: of the same embeddings; with it the search is exact whatever the size.
        index: what searches; see make_index.
    """

    name = "HLLM"

    def __init__(
        self,
        user: UserModel,
        config: HLLMConfig,
        embeddings: ItemEmbeddings,
        *,
        item_model: ItemModel | None = None,
        cache_bytes: int = CACHE_BYTES,
        window_stride: int = 1,
        index_beside: Path | None = None,
        blend: Blend | None = None,
        index: str = "auto",
    ) -> None:
        self._index: Index
        if blend is None:
            self._index = make_index(embeddings, index_beside, index)
            self._search: Search = self._index.search
        else:
            exact = ItemIndex(embeddings.item_ids, embeddings.vectors, index_beside)
            self._index, self._search = exact, blended_search(exact, blend)
        # The User LLM reads embeddings as the Item LLM gave them; only the search normalises.
        self._steps = user.steps
        self._inputs = embeddings.vectors
        self._max_history, self._stride = config.max_history, window_stride
        self._blend, self._beside = blend, index_beside
        self._encoder = HistoryEncoder(
            user.steps,
            embeddings.vectors,
            max_history=config.max_history,
            stride=window_stride,
            max_bytes=cache_bytes,
            prepare=user.num_parameters >= PREPARE_FROM_PARAMETERS,
        )
        self._stages = _stages(user, config, self._index, item_model)
        self.model = config.describe() + (" + text and item-kNN" if blend else "")
        self.precision = user.precision
        self._item_model = item_model
        if item_model:
            self._new_items = NewItems(config.item_text, item_model.load, item_model.encode)
        self.device = user.device
        self.num_items = len(self._index)
        self.item_ids = self._index.item_ids
        self.text_keys = tuple(config.text_keys)
        self.explains_at_once = user.num_parameters < PREPARE_FROM_PARAMETERS

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        embeddings: str | Path | None = None,
        precision: str = "auto",
        index: str = "auto",
    ) -> "Recommender":
        """Open a trained model and the item embeddings that it made.

        Args:
            folder: a model folder, as python -m hllm.train writes it.
            embeddings: of the catalogue (python -m hllm.embed); None: those in the model folder.
            precision: of the User LLM; see hllm.serving.precision.
            index: what searches; see make_index.

        Raises:
            CheckpointError: the model is missing or damaged, or the precision is impossible here.
            StaleEmbeddingsError: the embeddings are missing, damaged or another model's.
        """
        return load_hllm(folder, embeddings, precision=precision, index=index)

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
            history: items, oldest first; the model reads the most recent max_history. An item is an
                item id, or the text fields of one that the catalogue does not have, such as
                {"title": "A funny heist on Mars"}: the model reads those of `text_keys`.
            top_k: how many items at most.
            allowed: the only rows (places in item_ids, each once) that may be found; None: all.
            diversity: 0 to 1; with it, or the next, the list is chosen from the best 100: see
                hllm.serving.rerank.Reranking. `by_score` of the answer is what it would be.
            less_popular: 0 to 1.
            popularity: (N,) how many took each item of item_ids, for less_popular.

        Raises:
            ValueError: an empty history, or numbers that make no sense.
            UnknownItemError: an item without an embedding.
            CheckpointError: weights of the Item LLM are missing or damaged.
        """
        keys, reranking = self._keys(history), Reranking(diversity, less_popular, popularity)
        return recommend_rows(
            self._index, self._read, keys, top_k, allowed, self._search, reranking=reranking
        )

    @torch.inference_mode()
    def recommend_all(
        self, histories: Sequence[Sequence[str]], *, top_k: int = 10
    ) -> list[list[Recommendation]]:
        """Recommend for many users at once, none of whom is expected back: nothing is remembered.

        Args:
            histories: B times item ids, oldest first, at least one each.
            top_k: how many items at most.

        Returns:
            What `recommend` finds for each of them, best first.

        Raises:
            ValueError: an empty history.
            UnknownItemError: an item without an embedding.
        """
        if not all(histories):
            raise ValueError("a history is empty: show popular items instead")
        rows = [self._index.rows(history) for history in histories]
        # Histories of one length side by side: what is padded is computed for nothing.
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found: list[list[Recommendation]] = [[]] * len(rows)
        for start in range(0, len(order), USERS_AT_ONCE):
            places = order[start : start + USERS_AT_ONCE]
            users = self._users([rows[place] for place in places])
            for place, user in zip(places, users, strict=True):
                best = self._search(user, top_k, rows[place], None)
                found[place] = [
                    Recommendation(self.item_ids[row], score, rank)
                    for rank, (row, score) in enumerate(best, start=1)
                ]
        return found

    def knows(self, item_id: str) -> bool:
        """Whether an item has an embedding."""
        return item_id in self._index

    def item_text(self, fields: Mapping[str, Any]) -> ItemText | None:
        """What the Item LLM is given of an item, and how many tokens that are; see new_item."""
        return self._item_model.text_of(fields) if self._item_model else None

    def item_embedding(self, item: str) -> Tensor:
        """(D,) float32 as the Item LLM gave it, which the User LLM reads.

        Raises:
            UnknownItemError: the item has no embedding.
        """
        return self._inputs[self._index.rows([item])[0]].float()

    def projection(self) -> "Projection":
        """Where the items stand on a map: stored beside the embeddings, or computed now."""
        from hllm.serving.projection import open_projection  # noqa: PLC0415  only for the map

        return open_projection(self._inputs, self._beside)

    def stages(self) -> Stages:
        """The steps of a recommendation as they run here."""
        return self._stages

    def counts(self) -> EncoderCounts:
        """The work on histories since the start."""
        return self._encoder.counts

    @torch.inference_mode()
    def read_whole(self, history: Sequence[Item]) -> WholeReading:
        """Read a history anew, and compare with what is answered from what is known of it.

        Raises:
            ValueError: an empty history.
            UnknownItemError: an item without an embedding.
        """
        keys = self._keys(history)
        known = self._encoder.encode(keys)
        start = time.perf_counter()
        whole = self._encoder.read_whole(keys)
        encode_ms = (time.perf_counter() - start) * 1e3
        cosine = torch.cosine_similarity(known.float(), whole.user.float(), dim=0)
        return WholeReading(whole.num_read, encode_ms, float(cosine))

    def _user(self, keys: list[Key]) -> Tensor:
        return self._read(keys).user

    def _read(self, keys: list[Key]) -> Reading:
        return self._encoder.read(keys).to(self._index.vectors.device)

    def _users_to_compare(self, histories: Sequence[Sequence[Key]]) -> Tensor:
        if not self._steps.rounds_activations:
            return self._users(histories)
        # Read as recommending reads it, and kept: side by side, a difference of 1e-7 before
        # rounding can become one of 1e-3 in a score.
        users = [self._encoder.read(keys, ahead=False).user for keys in histories]
        return torch.stack(users).to(self._index.vectors.device)

    def _users(self, histories: Sequence[Sequence[Key]]) -> Tensor:
        # Of a long history the model reads the end: without an older item that is the same.
        windows = [
            tuple(keys[history_window(len(keys), self._max_history, self._stride) :])
            for keys in histories
        ]
        distinct = list(dict.fromkeys(windows))
        parts = [distinct[n : n + USERS_AT_ONCE] for n in range(0, len(distinct), USERS_AT_ONCE)]
        inputs = ([vectors_of(self._inputs, window).float() for window in part] for part in parts)
        users = torch.cat([self._steps.read(part) for part in inputs])
        place = {window: number for number, window in enumerate(distinct)}
        return users[[place[window] for window in windows]].to(self._index.vectors.device)


def _stages(
    user: UserModel,
    config: HLLMConfig,
    index: Index,
    item_model: ItemModel | None,
) -> Stages:
    item_name, user_name = config.describe_both()
    vectors = index.vectors
    exact = isinstance(index, ItemIndex)
    return Stages(
        item=Stage(
            item_name,
            item_model.precision if item_model else "",
            item_model.device if item_model else "",
            item_model.num_parameters if item_model else 0,
            0,
        ),
        user=Stage(user_name, user.precision, user.device, user.num_parameters, user.num_bytes),
        search=Stage(
            index.searched_by,
            str(vectors.dtype).removeprefix("torch."),
            vectors.device.type if exact else "cpu",
            0,
            vectors.nbytes,
        ),
        width=vectors.shape[1],
    )


def make_index(embeddings: ItemEmbeddings, beside: Path | None = None, kind: str = "auto") -> Index:
    """Exact search while it is fast, approximate search beyond, or a database on the disk.

    Args:
        embeddings: of the catalogue.
        beside: their file, beside which an index is kept; lancedb needs one.
        kind: one of hllm.choices.INDEXES.
    """
    if kind == "lancedb":
        from hllm.serving.lance_index import LanceIndex  # noqa: PLC0415  an extra

        assert beside is not None, "its folder lies beside the embeddings file"
        return LanceIndex(embeddings.item_ids, embeddings.vectors, beside)
    if embeddings.vectors.numel() < APPROXIMATE_FROM:
        return ItemIndex(embeddings.item_ids, embeddings.vectors, beside)
    from hllm.serving.approximate_index import ApproximateIndex  # noqa: PLC0415  faiss, for large catalogues

    return ApproximateIndex(embeddings.item_ids, embeddings.vectors, beside)


def load_hllm(
    model_folder: ModelFolder | str | Path,
    embeddings_path: str | Path | None = None,
    *,
    fields: Iterable[tuple[str, dict[str, str]]] | None = None,
    texts_version: str = "",
    precision: str = "auto",
    index: str = "auto",
    cache: Path | None = None,
    encode_elsewhere: EncodeElsewhere | None = None,
) -> Recommender:
    """Load a trained model and the embeddings of a catalogue.

    Args:
        model_folder: as hllm.train writes it.
        embeddings_path: default: embeddings.safetensors in the model folder.
        fields: (item_id, text fields) of the catalogue as it is now, to make sure that the
            embeddings are not older than it; None trusts them.
        texts_version: names what `fields` gives; see hllm.serving.fit_check.
        precision: see hllm.serving.precision.
        index: what searches; see make_index.
        cache: see hllm.serving.user_model.load_user_model; also keeps the notes of
            hllm.serving.fit_check.
        encode_elsewhere: see hllm.serving.item_model.ItemModel.

    Raises:
        CheckpointError: the model is missing or damaged.
        StaleEmbeddingsError: the embeddings are missing, damaged, another model's or too old.
    """
    folder = ModelFolder.of(model_folder)
    path = Path(embeddings_path or folder.path / EMBEDDINGS)
    config = folder.config
    user = load_user_model(folder, precision, cache=cache)
    embeddings = open_embeddings(path, notes=cache)
    hashes = ((item_id, text_hash(config.item_text(values))) for item_id, values in (fields or ()))
    check_once(
        lambda: embeddings.check(folder.fingerprint, hashes, path=str(path)),
        files=[*folder.files, path],
        texts_version=texts_version,
        notes=cache,
    )
    if embeddings.vectors.shape[1] != config.embedding_size:
        raise StaleEmbeddingsError(
            f"{path} has vectors of another width: delete it and embed again."
        )
    items = ItemModel(folder, cache=cache, elsewhere=encode_elsewhere)
    blend = blend_beside(folder.path, embeddings, index)
    return Recommender(
        user, config, embeddings, item_model=items, index_beside=path, blend=blend, index=index
    )
