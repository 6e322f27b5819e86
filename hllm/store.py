"""Item embeddings on disk: one safetensors file, a cache that may be deleted at any time.

Tensors: item_embeddings (N, D) float16 or float32; text_hashes (N, 8) uint8; item_ids uint8, the
bytes of a JSON list in UTF-8. Metadata: format, fingerprint of the model, SHA-256 of each tensor
(hllm.weights.checksums; older files have none). A vector belongs to (item_id, fingerprint, text
hash); two items with the same text are two rows. No number in it is NaN or infinite.
"""

import ctypes
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hllm.atomic import atomic_path
from hllm.errors import StaleEmbeddingsError
from hllm.packed import ItemIds, PackedHashes
from hllm.weights.checksums import ChecksumError, check_digest, checksum_metadata, stored_digests
from hllm.weights.packaged import MINILM

EMBEDDINGS = "embeddings.safetensors"  # default file name inside a model folder
FORMAT = "hllm-item-embeddings/1"
REMEDY = "python -m hllm.embed"
BLEND = "blend.safetensors"  # see hllm.serving.blend
PROJECTION = "projection.safetensors"  # see hllm.serving.projection
BASELINE = "baseline.safetensors"  # sentence embeddings of the text baseline in a model folder
SENTENCE_FINGERPRINT = f"sentence-embeddings/{MINILM}/1"
_HASHES_AT_ONCE = 50_000
_WILL_NEED = getattr(mmap, "MADV_WILLNEED", None)  # POSIX
_NUMBERS_AT_ONCE = 1 << 24  # so that checking a memory-mapped file does not read it into memory


def sentence_fingerprint(text_keys: Sequence[str]) -> str:
    """Name of sentence embeddings of these fields, as their file keeps it."""
    return f"{SENTENCE_FINGERPRINT}:{','.join(text_keys)}"


def are_sentences(fingerprint: str) -> bool:
    """Whether embeddings are a sentence encoder's, for the baseline, and not an HLLM's."""
    return fingerprint.startswith("sentence-embeddings/")


_TENSORS = ("item_embeddings", "text_hashes", "item_ids")


@dataclass(frozen=True)
class ItemEmbeddings:
    """Embeddings of a catalogue.

    Attributes:
        item_ids: N external ids, in the order of the rows; packed when loaded, as
        text_hashes: N hashes (hllm.text.text_hash) of the texts that were embedded.
        vectors: (N, D) float16 or float32, not normalised, as the User LLM reads them;
            memory-mapped when loaded.
        fingerprint: of the model that made them (hllm.model_folder.ModelFolder).
    """

    item_ids: Sequence[str]
    text_hashes: Sequence[str]
    vectors: Tensor
    fingerprint: str

    def save(self, path: str | Path) -> None:
        """Write the file under a temporary name, then rename it: a reader never sees half of it.

        Raises:
            StaleEmbeddingsError: a number is NaN or infinite; nothing is written.
        """
        check_finite(self.item_ids, self.vectors, where=str(path))
        tensors = {
            "item_embeddings": self.vectors.contiguous(),
            "text_hashes": torch.tensor(
                [list(bytes.fromhex(h)) for h in self.text_hashes], dtype=torch.uint8
            ).reshape(-1, 8),  # also without items
            # A tensor, because the header that holds the metadata must not exceed 100 MB.
            "item_ids": torch.tensor(
                list(json.dumps(list(self.item_ids), ensure_ascii=False).encode()),
                dtype=torch.uint8,
            ),
        }
        metadata = {"format": FORMAT, "fingerprint": self.fingerprint}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata=metadata | checksum_metadata(tensors))

    @classmethod
    def load(
        cls, path: str | Path, *, remedy: str = REMEDY, verify: bool = True
    ) -> "ItemEmbeddings":
        """Open the file.

        Args:
            path: the file.
            remedy: the command that makes it, for messages.
            verify: read all of it and compare it with its checksums. False leaves the vectors on
                the disk until they are used: for a file that has not changed since it was verified
                (hllm.serving.fit_check.open_embeddings).

        Raises:
            StaleEmbeddingsError: it is missing, corrupt or of another kind, or a number in it is
                not finite.
        """
        path = Path(path)
        _check_kind(path, remedy)
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                # First, as a file of another kind may lack the tensors below.
                if metadata.get("format") != FORMAT:
                    raise StaleEmbeddingsError(
                        f"{path} does not hold item embeddings of this version: delete it and make "
                        f"them again with  {remedy}"
                    )
                tensors = {name: file.get_tensor(name) for name in _TENSORS}
            if verify:
                digests = stored_digests(metadata)
                for name, tensor in tensors.items():
                    check_digest(name, tensor, digests)
            loaded = cls._from_tensors(tensors, metadata["fingerprint"])
        except (SafetensorError, ChecksumError, OSError, ValueError, KeyError) as error:
            raise StaleEmbeddingsError(
                f"{path} is damaged ({error}): delete it and make the item embeddings again with  "
                f"{remedy}"
            ) from error
        if verify:
            check_finite(loaded.item_ids, loaded.vectors, where=str(path), remedy=remedy)
        return loaded

    @classmethod
    def _from_tensors(cls, tensors: Mapping[str, Tensor], fingerprint: str) -> "ItemEmbeddings":
        vectors, hashes, names = (tensors[name] for name in _TENSORS)
        item_ids: Any = json.loads(names.numpy().tobytes())
        if not isinstance(item_ids, list) or not all(isinstance(name, str) for name in item_ids):
            raise ValueError("its item ids are not a list of texts")
        if vectors.ndim != 2 or not len(item_ids) == len(hashes) == len(vectors):
            raise ValueError("it has not one vector and one text hash for each item id")
        return cls(ItemIds(item_ids), PackedHashes(hashes.numpy()), vectors, fingerprint)

    def check(
        self,
        fingerprint: str,
        text_hashes: Iterable[tuple[str, str]],
        *,
        path: str,
        remedy: str = REMEDY,
    ) -> None:
        """Make sure that these embeddings belong to this model and to these item texts.

        Args:
            fingerprint: of the model that will read them.
            text_hashes: (item_id, hash) of every item of the catalogue as it is now.
            path: for the message.
            remedy: the command that makes the file, for the message.

        Raises:
            StaleEmbeddingsError: another model, another catalogue, or new or changed items.
        """
        if fingerprint != self.fingerprint:
            maker = (
                "holds sentence embeddings, which are the baseline's"
                if are_sentences(self.fingerprint)
                else f"was made by another model (fingerprint {self.fingerprint}, this model has "
                f"{fingerprint})"
            )
            raise StaleEmbeddingsError(
                f"{path} {maker}: name the file of this model, or make one with  {remedy}"
            )
        # Items that have left the catalogue do not matter: nothing is missing.
        known, rest = ItemIds.of(self.item_ids), iter(text_hashes)
        num_items = num_changed = num_unknown = 0
        while part := list(islice(rest, _HASHES_AT_ONCE)):
            rows = known.rows([item_id for item_id, _ in part]).tolist()
            num_items += len(part)
            num_unknown += rows.count(-1)
            num_changed += sum(
                row < 0 or self.text_hashes[row] != value
                for row, (_, value) in zip(rows, part, strict=True)
            )
        if num_unknown and num_unknown == num_items:
            raise StaleEmbeddingsError(
                f"{path} belongs to another catalogue: none of the {num_items:,} items of this one "
                f"is in it. Name the file of this catalogue, or make one with  {remedy}"
            )
        if num_changed:
            raise StaleEmbeddingsError(
                f"{path} is older than the catalogue: {num_changed:,} items are new or have "
                f"another text; run  {remedy}  again (only those are encoded)"
            )


def _check_kind(path: Path, remedy: str) -> None:
    if path.is_dir():
        raise StaleEmbeddingsError(
            f"No item embeddings at {path}, which is a folder: name the file in it "
            f"({EMBEDDINGS}), or make one with  {remedy}"
        )
    if not path.is_file():
        raise StaleEmbeddingsError(f"No item embeddings at {path}: make them with  {remedy} --help")
    if not is_embeddings_file(path):  # nobody must be told to delete a catalogue or a model
        raise StaleEmbeddingsError(
            f"{path} holds something else, no item embeddings: name a file that was made with  "
            f"{remedy}"
        )


def is_embeddings_file(path: str | Path) -> bool:
    """Whether a file may be replaced: item embeddings of any version, perhaps damaged."""
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _says_embeddings(file)
    except (SafetensorError, OSError):  # damaged: only its name is left to tell by
        return path.is_file() and path.suffix == ".safetensors"


def _says_embeddings(file: Any) -> bool:
    return (file.metadata() or {}).get("format", "").startswith("hllm-item-embeddings/")


def is_item_embeddings(path: str | Path) -> bool:
    """Whether a file says of itself that it holds item embeddings."""
    try:
        with safe_open(path, framework="pt") as file:
            return _says_embeddings(file)
    except (SafetensorError, OSError):
        return False


def rows_of_file(vectors: Tensor, rows: Sequence[int] | np.ndarray) -> Tensor:
    """Some rows of embeddings of which memory may hold few.

    Whoever touches a page of a memory-mapped file that is not in memory waits for it, and for all
    around it that the kernel reads along, up to megabytes: right for a file that is read through,
    and not for a thousand rows of one. Told of them first, it reads these alone, many at once.

    Args:
        vectors: (N, D), memory-mapped or not.
        rows: M rows.

    Returns:
        (M, D), a copy.
    """
    wanted = np.asarray(rows, dtype=np.int64)
    if _WILL_NEED is not None and vectors.device.type == "cpu" and len(wanted):
        _read_ahead(vectors, np.unique(wanted))
    return vectors[torch.from_numpy(wanted)]


def _read_ahead(vectors: Tensor, rows: np.ndarray) -> None:
    size = vectors.element_size()
    starts = vectors.data_ptr() + rows * (vectors.stride(0) * size)
    first = starts // mmap.PAGESIZE
    behind = (starts + vectors.shape[1] * size - 1) // mmap.PAGESIZE + 1
    gaps = np.flatnonzero(first[1:] > behind[:-1])  # what has none is read in one piece
    begins = first[np.append(0, gaps + 1)] * mmap.PAGESIZE
    ends = behind[np.append(gaps, len(rows) - 1)] * mmap.PAGESIZE
    advise = _madvise()
    for begin, length in zip(begins.tolist(), (ends - begins).tolist(), strict=True):
        advise(begin, length, _WILL_NEED)  # what the kernel cannot follow changes nothing


@cache
def _madvise() -> Any:
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def first_not_finite(vectors: Tensor) -> int | None:
    """The first row of (N, D) vectors with NaN or infinity in it; None: there is none."""
    # Part by part: isfinite makes a tensor as long as what it looks at.
    step = max(1, _NUMBERS_AT_ONCE // max(vectors.shape[-1], 1))
    for start in range(0, len(vectors), step):
        finite = torch.isfinite(vectors[start : start + step]).all(dim=1)
        if not finite.all():
            return start + int(finite.int().argmin())  # the first 0
    return None


def check_finite(
    item_ids: Sequence[str], vectors: Tensor, *, where: str, remedy: str = REMEDY
) -> None:
    """Make sure that every number in the vectors is finite: a NaN would rank first in any search.

    Args:
        item_ids: N external ids.
        vectors: (N, D).
        where: the file, for the message.
        remedy: the command that makes it, for the message.

    Raises:
        StaleEmbeddingsError: names the first item with NaN or infinity.
    """
    row = first_not_finite(vectors)
    if row is not None:
        raise StaleEmbeddingsError(
            f"{where}: the embedding of item {item_ids[row]!r} has NaN or infinity in it: delete "
            f"the file and make the item embeddings again with  {remedy}"
        )
