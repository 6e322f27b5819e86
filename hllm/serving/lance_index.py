"""Approximate nearest neighbours on the disk: LanceDB finds candidates, exact cosines rank.

For catalogues whose index should not have to fit in memory. LanceDB (an extra:
requirements-scale.txt) keeps one bit per dimension in inverted lists, as hllm.serving.
approximate_index does, but in files of which it reads the lists it probes. Why LanceDB, and with
which settings, was measured: docs/decisions.md.

N items, D dimensions.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from hllm.atomic import atomic_folder
from hllm.errors import HLLMError, StaleEmbeddingsError
from hllm.serving.approximate_index import (
    PROBE_ALL_BELOW,
    ROWS_AT_ONCE,
    RescoredIndex,
    normalised,
    num_candidates,
    num_lists,
    source_key,
)
from hllm.store import check_finite

if TYPE_CHECKING:
    import pyarrow as pa

# Of the settings below; raise it when they change, and indexes that were kept are made again.
_VERSION = 1
_TABLE = "items"
_SIZES = "sizes.json"  # of all files, written last
_CODE_DIMENSIONS = 8  # the bits of a code fill whole bytes
_SAMPLES_PER_LIST = 64  # for the centres of the lists
_MAX_ITERATIONS = 15
_MORE = 2  # times the candidates of hllm.serving.approximate_index: its codes are rougher
_CACHE_BYTES = 1 << 30  # of lists that were read; LanceDB's own bound is 6 GiB
_METADATA_BYTES = 1 << 26
_ENVIRONMENT = {
    # A large build warns by the dozen, in lines of its own, of queues that are full for a moment.
    "LANCEDB_LOG": "error",
    # What is read ahead and sorted at once while an index is made: 2 GiB and 128 MiB by default,
    # for machines with more memory than those that need this index.
    "LANCE_DEFAULT_IO_BUFFER_SIZE": str(1 << 26),
    "LANCE_SHUFFLE_BATCH_BYTES": str(1 << 24),
}
_DAMAGE = (
    RuntimeError,
    ValueError,
    OSError,
    KeyError,
    TypeError,
)  # LanceDB has no errors of its own

logger = logging.getLogger(__name__)


class LanceIndex(RescoredIndex):
    """LanceDB in a folder beside the embeddings.

    A filter never becomes an expression: the engine is asked for so many more of the nearest that
    enough of them are allowed. It is faster, too: an expression of 66,667 row numbers takes 450 ms.

    Args:
        item_ids, vectors: see RescoredIndex.
        beside: the embeddings file. The index is kept beside it and made again when it is stale.

    Raises:
        HLLMError: LanceDB is not installed.
        StaleEmbeddingsError: a vector has NaN or infinity in it.
        StorageError: the disk is full.
    """

    searched_by = "LanceDB, then exact cosine"

    def __init__(self, item_ids: Sequence[str], vectors: Tensor, beside: Path) -> None:
        super().__init__(item_ids, vectors)
        self._folder = beside.with_name(
            f"{beside.stem}.{source_key(vectors, beside, _VERSION)}.lancedb"
        )
        self._table = _open_or_build(self.item_ids, vectors, self._folder, beside)

    def _candidates(self, unit: Tensor, count: int, allowed: np.ndarray | None) -> np.ndarray:
        wanted = min(_MORE * num_candidates(count, len(self)), len(self))
        if allowed is None:
            return self._nearest(unit, wanted, everywhere=len(self) < PROBE_ALL_BELOW)
        is_allowed = np.zeros(len(self), dtype=bool)
        is_allowed[allowed] = True
        asked = 3 * wanted * len(self) // (2 * len(allowed))
        while asked < len(allowed):
            # The best allowed items may be far from the query, in any list: then all are probed.
            rows = self._nearest(unit, asked, everywhere=True)
            rows = rows[is_allowed[rows]]
            if len(rows) >= wanted:
                return rows[:wanted]
            asked *= 4
        return allowed.astype(np.int64)  # ranking them is no more than asking for as many

    def _nearest(self, unit: Tensor, count: int, *, everywhere: bool) -> np.ndarray:
        """The rows whose codes are nearest, best first; everywhere or in half of the lists."""
        if count >= len(self):
            return np.arange(len(self))
        lists = num_lists(len(self))
        query = F.pad(unit, (0, -len(unit) % _CODE_DIMENSIONS)).numpy()
        try:
            found = (
                self._table.search(query, vector_column_name="vector")
                .distance_type("dot")
                .nprobes(lists if everywhere else max(1, lists // 2))
                .limit(count)
                .select(["row", "_distance"])
                .to_arrow()
            )
            rows = found["row"].to_numpy()
        except _DAMAGE as error:
            raise StaleEmbeddingsError(
                f"The search index {self._folder} cannot be read ({_first_line(error)}): delete "
                "it, and the next start makes it again."
            ) from error
        if not ((rows >= 0) & (rows < len(self))).all():
            raise StaleEmbeddingsError(
                f"The search index {self._folder} names rows that do not exist: delete it, and the "
                "next start makes it again."
            )
        return rows


def _open_or_build(item_ids: Sequence[str], vectors: Tensor, folder: Path, beside: Path) -> Any:
    """Open the kept index, or make it first."""
    if folder.exists():
        problem = _problem(folder, len(item_ids))
        if problem:
            logger.warning("%s is damaged (%s): it is made again", folder, problem)
            shutil.rmtree(folder)
    if not folder.exists():
        # Before it is made: one NaN would spoil the centres of all lists.
        check_finite(item_ids, vectors, where=str(beside))
        try:
            with atomic_folder(folder) as temporary:
                _build(vectors, temporary)
        except OSError:
            if not folder.exists():  # otherwise another process was faster
                raise
        # Indexes of embeddings that are no longer there.
        for old in beside.parent.glob(f"{beside.stem}.*.lancedb"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
    return _connect(folder).open_table(_TABLE)


def _problem(folder: Path, num_rows: int) -> str:
    """What is wrong with a kept index; "" if nothing shows.

    Numbers that changed inside a file do not show here. They can only lose a candidate, as every
    score comes from the embeddings.
    """
    try:
        sizes = json.loads((folder / _SIZES).read_text(encoding="utf-8"))
        if sizes != _sizes_of(folder):
            return "files are missing or have another size"
        table = _connect(folder).open_table(_TABLE)
        indexed = [index.num_indexed_rows for index in table.list_indices()]
        if table.count_rows() != num_rows or indexed != [num_rows]:
            return "it holds other items"
    except _DAMAGE as error:
        return _first_line(error)
    return ""


def _build(vectors: Tensor, folder: Path) -> None:
    """Write the table part by part, then sort it into lists."""
    import pyarrow as pa  # noqa: PLC0415  takes as long to import as the rest of this module

    database = _connect(folder)
    from lancedb.index import IvfRq  # noqa: PLC0415  reads _ENVIRONMENT when it is imported

    count, width = vectors.shape
    stored_width = width + -width % _CODE_DIMENSIONS
    schema = pa.schema([("row", pa.int64()), ("vector", pa.list_(pa.float16(), stored_width))])
    reader = pa.RecordBatchReader.from_batches(schema, _batches(vectors, schema))
    table = database.create_table(_TABLE, data=reader)
    lists = num_lists(count)
    logger.info("%s items are sorted into %s lists", f"{count:,}", f"{lists:,}")
    table.create_index(
        "vector",
        config=IvfRq(
            distance_type="dot",
            num_partitions=lists,
            num_bits=1,
            max_iterations=_MAX_ITERATIONS,
            sample_rate=_SAMPLES_PER_LIST,
        ),
    )
    (folder / _SIZES).write_text(json.dumps(_sizes_of(folder)), encoding="utf-8")


def _batches(vectors: Tensor, schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa  # noqa: PLC0415  see _build

    width = schema.field("vector").type.list_size
    start = 0
    with tqdm(total=len(vectors), unit=" items", desc="writing the index", disable=None) as bar:
        for part in vectors.split(ROWS_AT_ONCE):
            units = np.pad(normalised(part), ((0, 0), (0, width - part.shape[1])))
            column = pa.FixedSizeListArray.from_arrays(units.astype(np.float16).ravel(), width)
            rows = pa.array(np.arange(start, start + len(part)))
            yield pa.RecordBatch.from_arrays([rows, column], schema=schema)
            start += len(part)
            bar.update(len(part))


def _sizes_of(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _SIZES)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(files)}


def _connect(folder: Path) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import lancedb  # noqa: PLC0415  the extra "scale"
    except ImportError as error:
        raise HLLMError(
            "LanceDB is not installed: pip install -r requirements-scale.txt -c constraints.txt, "
            "or leave out --index lancedb."
        ) from error
    session = lancedb.Session(
        index_cache_size_bytes=_CACHE_BYTES, metadata_cache_size_bytes=_METADATA_BYTES
    )
    return lancedb.connect(str(folder), session=session)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0][:200]
