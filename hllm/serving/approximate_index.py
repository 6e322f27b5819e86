"""Approximate nearest neighbours for large catalogues: FAISS finds candidates, exact cosines rank.

One bit per dimension (RaBitQ, arXiv 2405.12497) in inverted lists is enough to find candidates. It
takes 1/32 of the memory of the float32 embeddings that exact search holds. The candidates' own
embeddings are read from the memory-mapped file, so that every score shown is exact. Settings were
chosen by measurement: docs/results.md.

N items, D dimensions.
"""

import hashlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from hllm.atomic import atomic_path
from hllm.serving.index import (
    RANK_DEPTH,
    Rescore,
    RowLookup,
    best_rows,
    cosine_to,
    remaining,
    unit_query,
)
from hllm.store import check_finite, rows_of_file

EXACT_ROWS = 2_000  # ranking this few allowed items is faster than searching for them
# Of the settings below; raise it when they change, and indexes that were kept are made again.
_VERSION = 2
PROBE_ALL_BELOW = 300_000  # items; in larger catalogues the nearest are found in half of the lists
# One-bit distances are rough: many more candidates than results, so that few results are missed.
_MIN_CANDIDATES = 400
_CANDIDATES_PER_RESULT = 8
_TRAINING_ROWS = 60_000
_SAMPLED_AT_ONCE = 4_000
ROWS_AT_ONCE = 4_000
_DIGEST_BYTES = 32

logger = logging.getLogger(__name__)


class RescoredIndex(RowLookup, ABC):
    """Candidates from an engine, ranked by their stored embeddings.

    The same interface as hllm.serving.index.ItemIndex.

    Args:
        item_ids: N external ids.
        vectors: (N, D) as stored: any float dtype, not normalised, usually memory-mapped.

    Attributes:
        searched_by: what the page says of it.
    """

    searched_by: str

    def __init__(self, item_ids: Sequence[str], vectors: Tensor) -> None:
        super().__init__(item_ids)
        self.vectors = vectors

    @abstractmethod
    def _candidates(self, unit: Tensor, count: int, allowed: np.ndarray | None) -> np.ndarray:
        """Rows among which the best `count` should be, of those allowed.

        Args:
            unit: the query (D,), normalised.
            count: how many will be chosen from them.
            allowed: more than EXACT_ROWS rows; None: all.
        """

    def search(
        self,
        query: Tensor,
        top_k: int,
        exclude: Iterable[int] = (),
        allowed: np.ndarray | None = None,
    ) -> list[tuple[int, float]]:
        """See hllm.serving.index.ItemIndex.search; an item may be missed, a score is exact."""
        excluded = np.fromiter(set(exclude), dtype=np.int64)
        unit = unit_query(query)
        if allowed is not None and len(allowed) <= EXACT_ROWS:
            rows = remaining(allowed, excluded, len(self))
        else:
            # Excluded items take up places among the candidates.
            rows = self._candidates(unit, top_k + len(excluded), allowed)
            rows = rows[~np.isin(rows, excluded)]
        if not len(rows):
            return []
        rows.sort()  # read the file forwards
        # In parts: a filter may leave millions.
        parts = (rows[n : n + ROWS_AT_ONCE] for n in range(0, len(rows), ROWS_AT_ONCE))
        scores = torch.cat([self._cosines(part, unit) for part in parts])
        return [(int(rows[place]), score) for place, score in best_rows(scores, top_k)]

    def _cosines(self, rows: np.ndarray, unit: Tensor) -> Tensor:
        return F.normalize(rows_of_file(self.vectors, rows).float(), dim=-1) @ unit

    def rank(
        self,
        query: Tensor,
        row: int | Tensor,
        exclude: Iterable[int] = (),
        rescore: Rescore | None = None,
    ) -> tuple[float, int | None, int]:
        """See hllm.serving.index.ItemIndex.rank; no pass over all items."""
        assert rescore is None, "blends are searched exactly"
        best = self.search(query, RANK_DEPTH, exclude)
        ranked = min(RANK_DEPTH, len(self) - len(set(exclude)))
        if isinstance(row, Tensor):
            score = float(cosine_to(query, row))
            better = sum(other > score for _, other in best)
            return score, better + 1 if better < ranked else None, ranked
        found = [place for place, _ in best]
        score = float(cosine_to(query, self.vectors[row]))
        return score, found.index(row) + 1 if row in found else None, ranked


class ApproximateIndex(RescoredIndex):
    """FAISS in memory, or memory-mapped.

    Args:
        item_ids, vectors: see RescoredIndex.
        beside: the embeddings file. The index is kept beside it and made again when it is stale;
            None keeps it in memory only.

    Raises:
        StaleEmbeddingsError: a vector has NaN or infinity in it.
    """

    searched_by = "FAISS, then exact cosine"

    def __init__(
        self, item_ids: Sequence[str], vectors: Tensor, beside: Path | None = None
    ) -> None:
        super().__init__(item_ids, vectors)
        self._index = _load_or_build(self.item_ids, vectors, beside)
        # The same as an inverted-list index: only that type says how many lists there are.
        self._lists = faiss.extract_index_ivf(self._index)

    def _candidates(self, unit: Tensor, count: int, allowed: np.ndarray | None) -> np.ndarray:
        wanted = num_candidates(count, len(self))
        lists = self._lists.nlist
        options: Any = faiss.SearchParametersIVF()
        options.nprobe = lists
        if allowed is None and len(self) >= PROBE_ALL_BELOW:
            options.nprobe = lists // 2
        # The best allowed items may be far from the query, in any list: then all are probed.
        if allowed is not None:
            bits = np.zeros(len(self), dtype=bool)
            bits[allowed] = True
            selector: Any = faiss.IDSelectorBitmap
            options.sel = selector(np.packbits(bits, bitorder="little"))
        _, rows = self._index.search(unit.unsqueeze(0).numpy(), wanted, params=options)
        return rows[0][rows[0] >= 0]  # FAISS fills up with -1


def num_candidates(count: int, num_rows: int) -> int:
    """How many candidates to ask of one bit a dimension to find the best `count` of num_rows."""
    return min(max(_MIN_CANDIDATES, _CANDIDATES_PER_RESULT * count), num_rows)


def num_lists(num_rows: int) -> int:
    """Inverted lists: a power of two near sqrt(N), with the 40 items each that training wants."""
    return max(1, min(1 << int(np.log2(max(num_rows, 1)) / 2 + 0.5), num_rows // 40))


def _load_or_build(item_ids: Sequence[str], vectors: Tensor, beside: Path | None) -> faiss.Index:
    """Read the kept index, memory-mapped, or make it."""
    if beside is None:
        check_finite(item_ids, vectors, where="the search index")
        return _build(vectors)
    path = beside.with_name(f"{beside.stem}.{source_key(vectors, beside, _VERSION)}.faiss")
    if path.exists() and not is_whole_index(path):
        logger.warning("%s is damaged: it is made again", path)
        path.unlink(missing_ok=True)
    if not path.exists():
        # Before it is made: one NaN would spoil the centres of all lists.
        check_finite(item_ids, vectors, where=str(beside))
        index = _build(vectors)
        # A read-only folder or a full disk costs time at every start, but must not prevent one.
        try:
            with atomic_path(path) as temporary:
                faiss.write_index(index, str(temporary))
                _seal(temporary)
        except OSError as error:
            logger.warning("the index cannot be kept (%s): it is made again at every start", error)
            return index
        # Indexes of embeddings that are no longer there.
        for old in beside.parent.glob(f"{beside.stem}.*.faiss"):
            if old != path:
                old.unlink()
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def is_whole_index(path: Path) -> bool:
    """Whether a kept index is as it was written; FAISS itself checks nothing."""
    try:
        with path.open("rb") as file:
            stored = _digest(file, os.fstat(file.fileno()).st_size - _DIGEST_BYTES)
            return stored == file.read()
    except OSError:
        return False


def _seal(path: Path) -> None:
    """Put a SHA-256 behind an index, where FAISS does not look."""
    with path.open("r+b") as file:
        digest = _digest(file, os.fstat(file.fileno()).st_size)
        file.write(digest)


def _digest(file: BinaryIO, num_bytes: int) -> bytes:
    """SHA-256 of the next bytes of a file."""
    digest = hashlib.sha256()
    while num_bytes > 0 and (part := file.read(min(num_bytes, 1 << 20))):
        digest.update(part)
        num_bytes -= len(part)
    return digest.digest()


def source_key(vectors: Tensor, beside: Path, version: int) -> str:
    """Hex digits that name what an index was made from, and by which version of its settings."""
    stat = beside.stat()
    # Engines trust the files they read. Only this machine sets st_ctime and st_ino, so that no
    # index that came with a download has the right name.
    made_from = [version, list(vectors.shape), stat.st_size, stat.st_ctime_ns, stat.st_ino]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def _build(vectors: Tensor) -> faiss.Index:
    count, width = vectors.shape
    index = faiss.index_factory(width, f"IVF{num_lists(count)},RaBitQ", faiss.METRIC_INNER_PRODUCT)
    # A fixed seed: the same embeddings give the same index.
    generator = torch.Generator().manual_seed(0)
    sample = torch.randperm(count, generator=generator)[:_TRAINING_ROWS].sort().values.numpy()
    with tqdm(total=count, unit=" items", desc="indexing", disable=count < _TRAINING_ROWS) as bar:
        index.train(_units_of(vectors, sample))
        for part in vectors.split(ROWS_AT_ONCE):
            index.add(normalised(part))
            bar.update(len(part))
    return index


def _units_of(vectors: Tensor, rows: np.ndarray) -> np.ndarray:
    """(M, D) of length 1, of M rows; part by part, as each step on the way makes a copy."""
    units = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _SAMPLED_AT_ONCE):
        places = slice(start, start + _SAMPLED_AT_ONCE)
        units[places] = normalised(rows_of_file(vectors, rows[places]))
    return units


def normalised(vectors: Tensor) -> np.ndarray:
    """(N, D) float32 of length 1."""
    return F.normalize(vectors.float(), dim=-1).numpy()
