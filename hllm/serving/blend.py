"""A blend: HLLM's cosine plus those of the text and of item-to-item neighbours.

HLLM learns from the items that people have; of one that hardly anybody has, its text says more. And
pairs of items that the same people took are counted better than learned. The sum ranks better than
either (docs/results.md). hllm.blend makes the file and chooses the weights.

B histories, N items, D width of the text embeddings, E pairs of neighbours.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hllm.atomic import atomic_path
from hllm.errors import CheckpointError, StaleEmbeddingsError
from hllm.schema.rules import parse_json
from hllm.serving.index import ItemIndex, Rescore, Search
from hllm.store import BLEND, ItemEmbeddings
from hllm.weights.checksums import ChecksumError, VerifiedFile, checksum_metadata

FORMAT = "hllm-blend/1"
REMEDY = "python -m hllm.blend"
MAX_WEIGHT = 100.0
_TENSORS = ("texts", "starts", "neighbours", "similarities", "counts")


@dataclass(frozen=True)
class BlendWeights:
    """Factors of the parts, relative to HLLM's cosine.

    Attributes:
        text: of the text's cosine.
        rare_text: added to it, times 1 / sqrt(1 + training interactions of the item): of an item
            that nobody has, all of it.
        neighbours: of the sum over neighbours, the best item of each history scaled to 1.
        decay: weight of a history item relative to the one after it, in both.
    """

    text: float
    rare_text: float
    neighbours: float
    decay: float


@dataclass(frozen=True)
class Blend:
    """What the sum is made of, for every item of a catalogue.

    Attributes:
        weights: factors of the parts.
        texts: (N, D) sentence embeddings of length 1.
        starts: (N + 1,) int64: the neighbours of row n are those from starts[n] to starts[n + 1].
        neighbours: (E,) int32 rows.
        similarities: (E,) float32, 0 to 1.
        counts: (N,) int32 training interactions of each item.
        catalog: names the item embeddings that it was made for, see catalog_of.
    """

    weights: BlendWeights
    texts: Tensor
    starts: Tensor
    neighbours: Tensor
    similarities: Tensor
    counts: Tensor
    catalog: str

    def scores(self, cosines: Tensor, histories: Sequence[Sequence[int]]) -> Tensor:
        """Scores (B, N), float32, from HLLM's cosines (B, N) and histories of rows, oldest first.

        Not cosines, but comparable within a history.
        """
        text, near = self.parts(histories)
        return combined(cosines, text, near, self.counts, self.weights)

    def item_scores(self, cosines: Tensor, histories: Sequence[Sequence[int]], row: int) -> Tensor:
        """As `scores`, (B,) of the item in one row from its cosines (B,).

        No pass over the catalogue for each history.
        """
        texts = self.exact_texts
        text, near = torch.zeros(len(histories)), torch.zeros(len(histories))
        for place, history in enumerate(histories):
            rows = torch.as_tensor(history, dtype=torch.long)
            text[place] = F.normalize(self._recency(len(rows)) @ texts[rows], dim=0) @ texts[row]
            pairs = list(self._near(history))
            if not pairs:  # nothing in it is of the catalogue
                continue
            neighbours, inverse = torch.unique(
                torch.cat([found for found, _ in pairs]), return_inverse=True
            )
            if len(neighbours):
                weights = torch.cat([weight for _, weight in pairs])
                sums = torch.zeros(len(neighbours)).index_add_(0, inverse, weights)
                best = sums.max().clamp_min(torch.finfo(sums.dtype).tiny)
                near[place] = sums[neighbours == row].sum() / best
        return combined(cosines.cpu(), text, near, self.counts[row : row + 1], self.weights)

    def rescorer(self, history: Sequence[int]) -> Rescore:
        """From all cosines (N,) to the scores (N,) for one history."""
        return lambda cosines: self.scores(cosines.unsqueeze(0), [history])[0]

    @cached_property
    def exact_texts(self) -> Tensor:
        """The texts in float32, converted once and not at every click."""
        return self.texts.float()

    def parts(self, histories: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Text cosines (B, N), and neighbours (B, N), the best of each history scaled to 1."""
        texts = self.exact_texts
        users = torch.zeros(len(histories), texts.shape[1])
        near = torch.zeros(len(histories), len(self.texts))
        for place, history in enumerate(histories):
            rows = torch.as_tensor(history, dtype=torch.long)
            users[place] = self._recency(len(rows)) @ texts[rows]
            for found, weights in self._near(history):
                near[place].index_add_(0, found, weights)
        # A history without any neighbour stays 0.
        near /= near.amax(dim=1, keepdim=True).clamp_min(torch.finfo(near.dtype).tiny)
        return F.normalize(users, dim=1) @ texts.T, near

    def _recency(self, length: int) -> Tensor:
        """Weights (S,) of the items of a history, oldest first."""
        return self.weights.decay ** torch.arange(length - 1, -1, -1)

    def _near(self, history: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Neighbours of each item of a history, as rows, and what they get from it."""
        for row, weight in zip(history, self._recency(len(history)).tolist(), strict=True):
            of_row = slice(int(self.starts[row]), int(self.starts[row + 1]))
            yield self.neighbours[of_row].long(), self.similarities[of_row] * weight

    def save(self, path: str | Path) -> None:
        """Write the file under a temporary name, then rename it."""
        tensors = {name: getattr(self, name).contiguous() for name in _TENSORS}
        metadata = {
            "format": FORMAT,
            "catalog": self.catalog,
            "weights": json.dumps(asdict(self.weights)),
        }
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata=metadata | checksum_metadata(tensors))

    @classmethod
    def load(cls, path: str | Path) -> "Blend":
        """Read the file, all of it, and check every number.

        Raises:
            StaleEmbeddingsError: damaged, or of another kind.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata: Mapping[str, str] = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError("it is no blend of this version")
                verified = VerifiedFile(file)
                tensors = {name: verified.get_tensor(name) for name in _TENSORS}
            blend = cls(
                weights=_weights(metadata.get("weights", "")),
                catalog=metadata.get("catalog", ""),
                **tensors,
            )
            blend._check()
        except (SafetensorError, ChecksumError, OSError, ValueError, TypeError) as error:
            raise StaleEmbeddingsError(
                f"{path} cannot be used ({error}): make it again with  {REMEDY}  or remove it"
            ) from error
        return blend

    def _check(self) -> None:
        size, pairs = len(self.texts), len(self.neighbours)
        kinds = {
            "texts": (torch.float16, 2, size),
            "starts": (torch.int64, 1, size + 1),
            "neighbours": (torch.int32, 1, pairs),
            "similarities": (torch.float32, 1, pairs),
            "counts": (torch.int32, 1, size),
        }
        for name, (dtype, dimensions, length) in kinds.items():
            tensor = getattr(self, name)
            if (tensor.dtype, tensor.ndim, len(tensor)) != (dtype, dimensions, length):
                raise ValueError(f"{name} has another type or shape")
        steps = self.starts.diff()
        if self.starts[0] != 0 or self.starts[-1] != pairs or (steps < 0).any():
            raise ValueError("starts do not divide the neighbours")
        if pairs and not (0 <= int(self.neighbours.min()) and int(self.neighbours.max()) < size):
            raise ValueError("a neighbour is no row")
        if not (torch.isfinite(self.texts).all() and torch.isfinite(self.similarities).all()):
            raise ValueError("it has NaN or infinity in it")
        if (self.counts < 0).any():
            raise ValueError("a count is negative")


def combined(
    cosines: Tensor, text: Tensor, near: Tensor, counts: Tensor, weights: BlendWeights
) -> Tensor:
    """The sum of the parts (B, N); counts: (N,)."""
    factor = weights.text + weights.rare_text * torch.rsqrt(1 + counts.float())
    return cosines + factor * text + weights.neighbours * near


def catalog_of(embeddings: ItemEmbeddings) -> str:
    """16 hex digits that name item embeddings: their model, items, texts and the order of both."""
    parts = (embeddings.fingerprint, *embeddings.item_ids, *embeddings.text_hashes)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def blend_beside(folder: Path, embeddings: ItemEmbeddings, index: str = "auto") -> Blend | None:
    """The blend in a model folder; None if there is none.

    Args:
        folder: of the model.
        embeddings: of the catalogue.
        index: what shall search; see hllm.recommend.make_index.

    Raises:
        StaleEmbeddingsError: damaged, or made for other item embeddings than these.
        CheckpointError: there is one, and the index does not score all items, as a blend must.
    """
    path = folder / BLEND
    if not path.exists():
        return None
    if index != "auto":
        raise CheckpointError(
            f"{path} adds to the scores of all items, which {index} does not compute: leave out "
            "--index, or move that file away."
        )
    blend = Blend.load(path)
    if blend.catalog != catalog_of(embeddings) or len(blend.texts) != len(embeddings.item_ids):
        raise StaleEmbeddingsError(
            f"{path} was made for other item embeddings (other items or texts, or a model trained "
            f"since): make it again with  {REMEDY}  or remove it"
        )
    return blend


def blended_search(index: ItemIndex, blend: Blend) -> Search:
    """Search an index by the sum of the parts; the history is read off the excluded rows."""

    def search(
        user: Tensor, top_k: int, rows: list[int], allowed: np.ndarray | None
    ) -> list[tuple[int, float]]:
        return index.search(user, top_k, rows, allowed, blend.rescorer(rows))

    return search


def _weights(text: str) -> BlendWeights:
    values = parse_json(text)
    names = [field.name for field in fields(BlendWeights)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ValueError("its weights are not those of a blend")
    for name, value in values.items():
        if type(value) not in (int, float) or not 0 <= value <= MAX_WEIGHT:
            raise ValueError(f"its weight {name} is not a number from 0 to {MAX_WEIGHT:g}")
    return BlendWeights(**values)
