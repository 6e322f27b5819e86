"""Where items stand on a map: a 2-D projection of their embeddings, PCA or one that was stored.

Embeddings are projected as the search compares them, normalised. Distances on a map are not those
between embeddings: two numbers cannot keep what hundreds say. N items, D dimensions.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hllm.atomic import atomic_path
from hllm.errors import StaleEmbeddingsError
from hllm.serving.blend import catalog_of
from hllm.store import PROJECTION, ItemEmbeddings
from hllm.weights.checksums import ChecksumError, VerifiedFile, checksum_metadata

FORMAT = "hllm-projection/1"
REMEDY = "python -m hllm.project"
PCA, UMAP = "PCA", "UMAP"
# The axes are fitted on so many items at most: more of them move an axis by less than is seen.
FIT_ITEMS = 20_000
ITEMS_AT_ONCE = 8_192
NEAREST = 10  # whose places give that of an embedding, where no linear map does
# (user or item embedding (D,), how many) -> (row, cosine), nearest first.
Nearest = Callable[[Tensor, int], Iterable[tuple[int, float]]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Projection:
    """Places of the items of a catalogue.

    Attributes:
        method: PCA or UMAP.
        places: (N, 2) float32 within -1 to 1, in the order of the embeddings.
        axes: (D, 2) float32, and
        offset: (2,) float32: the place of a normalised embedding v is v @ axes + offset; None where
            the method has no such map.
        note: why this is not the one that was stored, as a sentence; mostly empty.
    """

    method: str
    places: Tensor
    axes: Tensor | None = None
    offset: Tensor | None = None
    note: str = ""

    def place_of(self, vector: Tensor, nearest: Nearest) -> tuple[float, float]:
        """Where an embedding that has no place of its own stands, such as a user's.

        By the linear map; without one at the mean of the places of its NEAREST items, weighted by
        their cosines.

        Args:
            vector: (D,) need not be normalised.
            nearest: finds items.
        """
        if self.axes is not None and self.offset is not None:
            x, y = (F.normalize(vector.float().cpu(), dim=-1) @ self.axes + self.offset).tolist()
            return x, y
        found = list(nearest(vector, NEAREST))
        weights = torch.tensor([max(cosine, 1e-6) for _, cosine in found])
        places = self.places[[row for row, _ in found]]
        x, y = (weights @ places / weights.sum()).tolist()
        return x, y


def fit_pca(vectors: Tensor) -> Projection:
    """The two directions in which embeddings differ most.

    Args:
        vectors: (N, D) of any float dtype, on any device, perhaps memory-mapped.
    """
    num_items, width = vectors.shape
    step = max(1, -(-num_items // FIT_ITEMS))
    sample = F.normalize(vectors[::step].float().cpu(), dim=-1)
    centred = sample - sample.mean(dim=0)
    _, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
    axes = torch.zeros(width, 2)
    axes[:, : min(width, 2)] = directions[:, -2:].flip(1)
    # An eigenvector has two signs: the same map on every machine.
    largest = axes.abs().argmax(dim=0)
    axes *= torch.where(axes[largest, [0, 1]] < 0, -1.0, 1.0)
    parts = [
        F.normalize(vectors[start : start + ITEMS_AT_ONCE].float().cpu(), dim=-1) @ axes
        for start in range(0, num_items, ITEMS_AT_ONCE)
    ]
    places = torch.cat(parts)
    scale, offset = _fitting(places)
    return Projection(PCA, places * scale + offset, axes * scale, offset)


def fitted(method: str, places: Tensor) -> Projection:
    """A projection of places (N, 2) in units of their own, for a method without a linear map."""
    scale, offset = _fitting(places.float())
    return Projection(method, places.float() * scale + offset)


def _fitting(places: Tensor) -> tuple[float, Tensor]:
    """What brings places into -1 to 1, both axes alike: a factor, and what is added then."""
    low, high = places.amin(dim=0), places.amax(dim=0)
    # One unit of both axes must stay one length, or the map distorts even more.
    scale = 1.98 / max(float((high - low).max()), 1e-12)
    return scale, -scale * (low + high) / 2


def save_projection(projection: Projection, embeddings: ItemEmbeddings, path: str | Path) -> None:
    """Write a projection under a temporary name, then rename it.

    Args:
        projection: of these
        embeddings: which the file names: for others it is refused.
        path: the file.
    """
    tensors = {"places": projection.places.contiguous()}
    if projection.axes is not None and projection.offset is not None:
        tensors |= {"axes": projection.axes.contiguous(), "offset": projection.offset.contiguous()}
    metadata = {
        "format": FORMAT,
        "method": projection.method,
        "catalog": catalog_of(embeddings),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata | checksum_metadata(tensors))


def load_projection(path: str | Path, embeddings: ItemEmbeddings) -> Projection:
    """Read a stored projection.

    Raises:
        StaleEmbeddingsError: it is missing, damaged, or was made for other embeddings.
    """
    again = f"make it again with  {REMEDY}"
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = file.metadata() or {}, set(file.keys())
            if metadata.get("format") != FORMAT:
                raise ValueError("it says of itself that it is something else")
            verified = VerifiedFile(file)
            # A closed list, and shapes before memory.
            wanted: dict[str, tuple[int, ...]] = {"places": (len(embeddings.item_ids), 2)}
            if names != {"places"}:
                wanted |= {"axes": (embeddings.vectors.shape[1], 2), "offset": (2,)}
            if names != wanted.keys():
                raise ValueError("its tensors are not those of a projection")
            if metadata.get("catalog") != catalog_of(embeddings):
                raise StaleEmbeddingsError(
                    f"{path} was made for other item embeddings (other items or texts, or another "
                    f"model): {again}"
                )
            for name, shape in wanted.items():
                if tuple(verified.get_slice(name).get_shape()) != shape:
                    raise ValueError(f"{name} has another shape")
            tensors = {name: verified.get_tensor(name).float() for name in wanted}
    except (SafetensorError, ChecksumError, OSError, ValueError) as error:
        raise StaleEmbeddingsError(f"{path} is damaged ({error}): {again}") from error
    if any(not torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise StaleEmbeddingsError(f"{path} has NaN or infinity in it: {again}")
    method = UMAP if metadata.get("method") == UMAP else PCA
    places = tensors["places"].clamp(-1, 1)
    return Projection(method, places, tensors.get("axes"), tensors.get("offset"))


def open_projection(vectors: Tensor, beside: Path | None) -> Projection:
    """The projection that is stored beside embeddings; PCA, computed now, where none is usable.

    Args:
        vectors: (N, D) of the catalogue.
        beside: the embeddings file that they are from; None: there is none.
    """
    if beside is None or not beside.with_name(PROJECTION).exists():
        return fit_pca(vectors)
    try:
        # They were verified when they were opened.
        embeddings = ItemEmbeddings.load(beside, verify=False)
        return load_projection(beside.with_name(PROJECTION), embeddings)
    except StaleEmbeddingsError as error:
        logger.warning("%s", error)
        found = fit_pca(vectors)
        note = "The stored map cannot be used (the log of the app says why): this is a PCA."
        return Projection(PCA, found.places, found.axes, found.offset, note)
