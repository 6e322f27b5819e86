"""The one incremental embedder: look up what is known, encode the rest, keep parts on the way.

hllm.embed and hllm.sentence differ only in the encoder that they hand over.

N items, D dimensions.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from hllm.errors import StaleEmbeddingsError
from hllm.store import ItemEmbeddings
from hllm.text import text_hash

logger = logging.getLogger(__name__)
SECONDS_PER_PART = 30.0  # what a killed run loses at most, whatever the speed of the machine

# Encodes distinct texts, shortest first: gives batch after batch as places in the texts and their
# vectors (B, D). A generator, so that the caller can keep what is done at any moment.
Encoder = Callable[[Sequence[str]], Iterable[tuple[list[int], Tensor]]]


def distinct_by_length(texts: Iterable[str]) -> list[str]:
    """Each text once, shortest first: texts of a batch are of one length, with little padding."""
    return sorted(dict.fromkeys(texts), key=len)


def encode_all(encode: Encoder, texts: Sequence[str], *, progress: bool = True) -> Tensor:
    """Encode texts and keep nothing on disk.

    Args:
        encode: see Encoder.
        texts: N texts; equal ones are encoded once.
        progress: whether to show a progress bar.

    Returns:
        (N, D) in the encoder's dtype; (0, 1) of no texts, as no encoder has told its width.
    """
    vectors = torch.empty(0, 1)
    for rows, found in _encoded_rows(encode, texts, range(len(texts)), progress):
        if not len(vectors):
            vectors = torch.empty(len(texts), found.shape[1], dtype=found.dtype)
        vectors[rows] = found
    return vectors


def embed_incrementally(
    items: Sequence[tuple[str, str]],
    known: Iterable[ItemEmbeddings],
    fingerprint: str,
    open_encoder: Callable[[], Encoder],
    *,
    dtype: torch.dtype,
    parts: "PartFolder | None" = None,
    progress: bool = True,
) -> ItemEmbeddings:
    """Embeddings of a catalogue, of which only the unknown are encoded.

    Args:
        items: N pairs of item_id and text.
        known: embeddings that may be of this model and of these texts; the first that fits counts.
        fingerprint: of the model that encodes.
        open_encoder: makes the encoder; called only if something has to be encoded, since loading
            a model takes long.
        dtype: of the result.
        parts: where to keep finished pieces; None keeps none.
        progress: whether to show a progress bar.

    Returns:
        The embeddings; nothing but parts is written.
    """
    texts = [text for _, text in items]
    result = _Assembly([item_id for item_id, _ in items], texts, fingerprint, dtype)
    for source in known:
        result.take_known(source)
    missing = result.missing
    logger.info("%s of %s items have to be encoded", f"{len(missing):,}", f"{len(items):,}")
    if missing:
        fresh: list[int] = []
        started = time.monotonic()
        for rows, vectors in _encoded_rows(open_encoder(), texts, missing, progress):
            result.put(rows, vectors)
            fresh += rows
            if parts is not None and time.monotonic() - started >= SECONDS_PER_PART:
                parts.add(result.part(fresh))
                fresh, started = [], time.monotonic()
    return result.finished()


def embed_to_file(
    items: Sequence[tuple[str, str]],
    output: str | Path,
    fingerprint: str,
    open_encoder: Callable[[], Encoder],
    *,
    dtype: torch.dtype = torch.float16,
    progress: bool = True,
) -> ItemEmbeddings:
    """Bring an embeddings file up to date; a killed run continues behind its last part.

    Args:
        items: see embed_incrementally.
        output: the file; vectors in it that still fit are kept.
        fingerprint: see embed_incrementally.
        open_encoder: see embed_incrementally.
        dtype: of the stored vectors.
        progress: whether to show a progress bar.

    Returns:
        The embeddings, also written to `output`.
    """
    output = Path(output)
    stored = load_or_none(output)
    parts = PartFolder(output)
    known = [*([stored] if stored else []), *parts.load()]
    result = embed_incrementally(
        items, known, fingerprint, open_encoder, dtype=dtype, parts=parts, progress=progress
    )
    result.save(output)
    parts.remove()
    return result


def load_or_none(path: Path) -> ItemEmbeddings | None:
    """Read an embeddings file; None where there is none or it cannot be used."""
    if not path.exists():
        return None
    try:
        return ItemEmbeddings.load(path)
    except StaleEmbeddingsError as error:  # it is a cache: make it again
        logger.warning("%s", error)
        return None


def _encoded_rows(
    encode: Encoder, texts: Sequence[str], rows: Iterable[int], progress: bool
) -> Iterator[tuple[list[int], Tensor]]:
    """Encode the texts of some rows: batches of rows and their vectors; equal texts are one."""
    rows_of: dict[str, list[int]] = {}
    for row in rows:
        rows_of.setdefault(texts[row], []).append(row)
    distinct = distinct_by_length(rows_of)
    total = sum(map(len, rows_of.values()))
    with tqdm(total=total, unit=" items", desc="embedding", disable=not progress) as bar:
        for places, vectors in encode(distinct):
            groups = [rows_of[distinct[place]] for place in places]
            repeats = torch.tensor([len(group) for group in groups])
            batch = [row for group in groups for row in group]
            yield batch, vectors.repeat_interleave(repeats, dim=0)
            bar.update(len(batch))


class _Assembly:
    """The embeddings of a catalogue while they are put together."""

    def __init__(
        self, item_ids: list[str], texts: Sequence[str], fingerprint: str, dtype: torch.dtype
    ) -> None:
        self._item_ids = item_ids
        self._hashes = [text_hash(text) for text in texts]
        self._fingerprint = fingerprint
        self._vectors = torch.empty(0, 1, dtype=dtype)
        self.missing = list(range(len(item_ids)))

    def put(self, rows: list[int], vectors: Tensor) -> None:
        if not len(self._vectors):  # the first that is known tells the width
            shape = len(self._item_ids), vectors.shape[1]
            self._vectors = torch.empty(shape, dtype=self._vectors.dtype)
        self._vectors[rows] = vectors.to(self._vectors.dtype)

    def take_known(self, source: ItemEmbeddings) -> None:
        """Copy the vectors that are still missing and that another file of this model has."""
        if source.fingerprint != self._fingerprint:
            return
        place_of = {
            pair: place
            for place, pair in enumerate(zip(source.item_ids, source.text_hashes, strict=True))
        }
        found = {
            row: place
            for row in self.missing
            if (place := place_of.get((self._item_ids[row], self._hashes[row]))) is not None
        }
        if found:
            self.put(list(found), source.vectors[list(found.values())])
            self.missing = [row for row in self.missing if row not in found]

    def part(self, rows: list[int]) -> ItemEmbeddings:
        return ItemEmbeddings(
            [self._item_ids[row] for row in rows],
            [self._hashes[row] for row in rows],
            self._vectors[rows],
            self._fingerprint,
        )

    def finished(self) -> ItemEmbeddings:
        return ItemEmbeddings(self._item_ids, self._hashes, self._vectors, self._fingerprint)


class PartFolder:
    """Finished pieces of a running job, in a folder beside its output.

    Args:
        output: the file that the job will write.
    """

    def __init__(self, output: Path) -> None:
        self._folder = output.with_name(f"{output.name}.parts")

    def add(self, part: ItemEmbeddings) -> None:
        """Keep a piece."""
        number = len(self._paths())
        part.save(self._folder / f"{number:06d}.safetensors")

    def load(self) -> list[ItemEmbeddings]:
        """All pieces that can be read."""
        return [part for path in self._paths() if (part := load_or_none(path)) is not None]

    def remove(self) -> None:
        """Delete the folder: the output holds it all."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"))
