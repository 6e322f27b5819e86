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
from hllm.store import check_finite

EXACT_ROWS = 2_000  # ranking this few allowed items is faster than searching for them
# Of the settings below; raise it when they change, and indexes that were kept are made again.
_VERSION = 2
_PROBE_ALL_BELOW = 300_000  # items; in larger catalogues the nearest are found in half of the lists
# One-bit distances are rough: many more candidates than results, so that few results are missed.
_MIN_CANDIDATES = 400
_CANDIDATES_PER_RESULT = 8
_TRAINING_ROWS = 60_000
_ROWS_AT_ONCE = 20_000
_DIGEST_BYTES = 32

logger = logging.getLogger(__name__)


class ApproximateIndex(RowLookup):
    """Search over stored item embeddings; the same interface as hllm.serving.index.ItemIndex.

    Args:
        item_ids: N external ids.
        vectors: (N, D) as stored: any float dtype, not normalised, usually memory-mapped.
        beside: the embeddings file. The index is kept beside it and made again when it is stale;
            None keeps it in memory only.

    Raises:
        StaleEmbeddingsError: a vector has NaN or infinity in it.
    """

    def __init__(
        self, item_ids: Sequence[str], vectors: Tensor, beside: Path | None = None
    ) -> None:
        super().__init__(item_ids)
        self.vectors = vectors
        self._index = _load_or_build(self.item_ids, vectors, beside)
        # The same as an inverted-list index: only that type says how many lists there are.
        self._lists = faiss.extract_index_ivf(self._index)

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
        chosen = torch.from_numpy(rows)
        scores = F.normalize(self.vectors[chosen].float(), dim=-1) @ unit
        return [(int(rows[place]), score) for place, score in best_rows(scores, top_k)]

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

    def _candidates(self, unit: Tensor, count: int, allowed: np.ndarray | None) -> np.ndarray:
        """Rows whose one-bit codes are nearest: `count` or more, where the lists hold as many."""
        wanted = min(max(_MIN_CANDIDATES, _CANDIDATES_PER_RESULT * count), len(self))
        lists = self._lists.nlist
        options: Any = faiss.SearchParametersIVF()
        options.nprobe = lists
        if allowed is None and len(self) >= _PROBE_ALL_BELOW:
            options.nprobe = lists // 2
        # The best allowed items may be far from the query, in any list: then all are probed.
        if allowed is not None:
            bits = np.zeros(len(self), dtype=bool)
            bits[allowed] = True
            selector: Any = faiss.IDSelectorBitmap
            options.sel = selector(np.packbits(bits, bitorder="little"))
        _, rows = self._index.search(unit.unsqueeze(0).numpy(), wanted, params=options)
        return rows[0][rows[0] >= 0]  # FAISS fills up with -1


def _load_or_build(item_ids: Sequence[str], vectors: Tensor, beside: Path | None) -> faiss.Index:
    """Read the kept index, memory-mapped, or make it."""
    if beside is None:
        check_finite(item_ids, vectors, where="the search index")
        return _build(vectors)
    path = beside.with_name(f"{beside.stem}.{_source_key(vectors, beside)}.faiss")
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


def _source_key(vectors: Tensor, beside: Path) -> str:
    """Hex digits that name what an index was made from."""
    stat = beside.stat()
    # FAISS trusts the files it reads. Only this machine sets st_ctime and st_ino, so that no index
    # that came with a download has the right name.
    made_from = [_VERSION, list(vectors.shape), stat.st_size, stat.st_ctime_ns, stat.st_ino]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def _build(vectors: Tensor) -> faiss.Index:
    count, width = vectors.shape
    # A power of two near sqrt(N), with the 40 items per list that FAISS wants for training.
    lists = max(1, min(1 << int(np.log2(max(count, 1)) / 2 + 0.5), count // 40))
    index = faiss.index_factory(width, f"IVF{lists},RaBitQ", faiss.METRIC_INNER_PRODUCT)
    # A fixed seed: the same embeddings give the same index.
    generator = torch.Generator().manual_seed(0)
    sample = torch.randperm(count, generator=generator)[:_TRAINING_ROWS].sort().values
    with tqdm(total=count, unit=" items", desc="indexing", disable=count < _TRAINING_ROWS) as bar:
        index.train(_normalised(vectors[sample]))
        for part in vectors.split(_ROWS_AT_ONCE):
            index.add(_normalised(part))
            bar.update(len(part))
    return index


def _normalised(vectors: Tensor) -> np.ndarray:
    return F.normalize(vectors.float(), dim=-1).numpy()
