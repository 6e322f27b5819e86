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

from hllm.errors import CheckpointError, DataError, StaleEmbeddingsError
from hllm.store import ItemEmbeddings, are_sentences, first_not_finite, is_embeddings_file
from hllm.text import text_hash

logger = logging.getLogger(__name__)
SECONDS_PER_PART = 30.0  # what a killed run loses at most, whatever the speed of the machine
_NOT_FINITE = (
    "got an embedding with NaN or infinity in it: the weights of the model are damaged or its "
    "training diverged; restore it or train again."
)

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

    Raises:
        CheckpointError: the encoder gives NaN or infinity.
    """
    vectors = torch.empty(0, 1)
    for rows, found in _encoded_rows(encode, texts, range(len(texts)), progress):
        row = first_not_finite(found)
        if row is not None:
            raise CheckpointError(f"The text {texts[rows[row]][:80]!r} {_NOT_FINITE}")
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

    Raises:
        CheckpointError: the encoder gives NaN or infinity.
    """
    texts = [text for _, text in items]
    result = _Assembly([item_id for item_id, _ in items], texts, fingerprint, dtype)
    for source in known:
        result.take_known(source)
    missing = result.missing
    if missing:
        logger.info("%s of %s items have to be encoded", f"{len(missing):,}", f"{len(items):,}")
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

    Raises:
        DataError: `output` is a file of another kind, which is not replaced.
        CheckpointError: the encoder gives NaN or infinity.
    """
    output = Path(output)
    stored = load_replaceable(output, fingerprint)
    parts = PartFolder(output)
    # A vector that was rounded to float16 is not what a run with float32 promises.
    known = [
        source
        for source in ([stored] if stored else []) + parts.load()
        if source.vectors.dtype.itemsize >= dtype.itemsize
    ]
    result = embed_incrementally(
        items, known, fingerprint, open_encoder, dtype=dtype, parts=parts, progress=progress
    )
    if stored is not None and _are_equal(stored, result):
        logger.info("%s is up to date: nothing to do", output)
    else:
        result.save(output)
    parts.remove()
    return result


def _are_equal(one: ItemEmbeddings, other: ItemEmbeddings) -> bool:
    return (
        (one.fingerprint, one.item_ids, one.text_hashes)
        == (other.fingerprint, other.item_ids, other.text_hashes)
        and one.vectors.dtype == other.vectors.dtype
        and torch.equal(one.vectors, other.vectors)
    )


def load_replaceable(path: Path, fingerprint: str) -> ItemEmbeddings | None:
    """Read the embeddings file that is about to be replaced; None where there is none.

    Embeddings are a cache, so that older or damaged ones may go; whatever else somebody has at the
    path by mistake - weights, a csv, the other column's embeddings - may not.

    Args:
        path: the file that will be written.
        fingerprint: of what will be written.

    Raises:
        DataError: it is not an embeddings file, or the baseline's where an HLLM's will be written,
            or the reverse.
    """
    if path.exists() and not is_embeddings_file(path):
        raise DataError(
            f"{path} is there and holds no item embeddings: give another output, or remove it."
        )
    stored = load_or_none(path)
    if stored is None:
        return None
    if are_sentences(stored.fingerprint) != are_sentences(fingerprint):
        kind = "the text baseline's" if are_sentences(stored.fingerprint) else "an HLLM's"
        raise DataError(f"{path} holds {kind} item embeddings: give another output, or remove it.")
    if stored.fingerprint != fingerprint:
        logger.warning("%s was made by another model or from other text keys: it is replaced", path)
    return stored


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
        stored = vectors.to(self._vectors.dtype)
        row = first_not_finite(stored)
        if row is not None:
            overflow = bool(torch.isfinite(vectors[row]).all())
            reason = "does not fit into float16: store float32 (--fp32)."
            raise CheckpointError(
                f"Item {self._item_ids[rows[row]]!r} {reason if overflow else _NOT_FINITE}"
            )
        self._vectors[rows] = stored

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
