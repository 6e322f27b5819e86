"""Which rows of which Parquet file become which file of the output, and which of these are there.

The same input gives the same blocks in every run, and the name of a block's file says which it is:
whoever makes it, and however often, there is one. The output folder holds these files in the format
of hllm.exchange, ``_job.json``, which says what they are made of, and in the end
``_complete.json``. Readers of Parquet folders leave out names that begin with an underscore.
"""

import logging
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from hllm.errors import DataError, shortened
from hllm.exchange import COMPLETE, JOB
from hllm.places import Place
from hllm.store import FORMAT

ITEMS_PER_BLOCK = 10_000  # what a killed worker loses at most; 40 MB of 2,048 float16
_JOB_FORMAT = "hllm-embed-job/1"
_FOOTERS_AT_ONCE = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A file of items.

    Attributes:
        path: on its file system.
        name: below the folder of items, wherever that is.
        size_bytes: of the file.
        changed: when it was written, in seconds.
        num_rows: items.
    """

    path: str
    name: str
    size_bytes: int
    changed: float
    num_rows: int


@dataclass(frozen=True)
class Block:
    """Rows of one file, and the number of the output file that they become."""

    number: int
    path: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Of the output file."""
        return f"part-{self.number:06d}.parquet"

    @property
    def origin(self) -> str:
        """What the output file says of itself."""
        return f"{posixpath.basename(self.path)}:{self.start}-{self.stop}"


@dataclass(frozen=True)
class Job:
    """What an output folder is made of; a run with another one does not touch it."""

    fingerprint: str
    dtype: str
    items_per_block: int
    sources: list[Source]

    def as_json(self) -> dict[str, Any]:
        """What the folder says of itself."""
        values = {"format": _JOB_FORMAT} | asdict(self)
        for source in values["sources"]:
            del source["path"]  # a folder that is mounted elsewhere is the same
        return values


def read_sources(items: Place, text_keys: Sequence[str]) -> list[Source]:
    """Look at the footers of the files of items.

    Args:
        items: a Parquet file, or a folder of files that end in .parquet.
        text_keys: columns that the model reads, of which each file must have one at least.

    Raises:
        DataError: there are none, one cannot be read, or a column is missing or of a kind that is
            not text.
    """
    info = items.info()
    if info.type == pafs.FileType.NotFound:
        raise DataError(f"There is no {items.address}: check --items.")
    if info.type == pafs.FileType.File:
        found = [info]
    else:
        hidden = ("_", ".")
        found = [
            file
            for file in items.listed()
            if file.path.endswith(".parquet") and not file.base_name.startswith(hidden)
        ]
    if not found:
        raise DataError(
            f"{items.address} holds no Parquet: give a file, or a folder of files that end in "
            ".parquet, with a column item_id."
        )
    lacking: list[str] = []
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as threads:
        look = partial(_source, items, text_keys=text_keys, lacking=lacking)
        sources = list(threads.map(look, found))
    for key, count in Counter(lacking).items():
        logger.warning(
            "%s: %d of %d files have no column %r, which the model reads",
            items.address, count, len(found), key,
        )  # fmt: skip
    if not any(source.num_rows for source in sources):
        raise DataError(f"{items.address} holds no items: export them again.")
    return sources


def _source(
    items: Place, info: pafs.FileInfo, *, text_keys: Sequence[str], lacking: list[str]
) -> Source:
    with opened(items.files, info.path) as file:
        schema, num_rows = file.schema_arrow, file.metadata.num_rows
    if "item_id" not in schema.names:
        raise DataError(
            f"{info.path}: no column 'item_id' among {', '.join(schema.names[:20])}; name the "
            "column with the item's id 'item_id'."
        )
    if not set(text_keys) & set(schema.names):
        raise DataError(
            f"{info.path}: no column {', '.join(map(repr, text_keys))}, of which the model reads "
            f"texts: the columns are {', '.join(schema.names[:20])}."
        )
    lacking.extend(key for key in text_keys if key not in schema.names)
    for name in ("item_id", *text_keys):
        if name in schema.names and not _is_text(schema.field(name).type):
            raise DataError(
                f"{info.path}: {name} is {schema.field(name).type}, neither text nor whole "
                "numbers: write it as text."
            )
    name = info.path.removeprefix(items.path).strip("/") or info.base_name
    changed = info.mtime.timestamp() if info.mtime else 0
    return Source(info.path, name, info.size, changed, num_rows)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return is_string or pa.types.is_integer(kind) or pa.types.is_null(kind)


@contextmanager
def opened(files: pafs.FileSystem, path: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file.

    Raises:
        DataError: it is missing or damaged, which may also turn up while it is read.
    """
    place = Place(path, files, path)
    with place.errors(), files.open_input_file(path) as raw, pq.ParquetFile(raw) as file:
        yield file


def plan_blocks(sources: Sequence[Source], items_per_block: int) -> list[Block]:
    """Cut files into blocks of so many rows; the last one of a file has fewer."""
    ranges = [
        (source.path, start, min(start + items_per_block, source.num_rows))
        for source in sources
        for start in range(0, source.num_rows, items_per_block)
    ]
    return [Block(number, *cut) for number, cut in enumerate(ranges)]


def claim(output: Place, job: Job) -> bool:
    """Make an output folder this job's, if it is not.

    Returns:
        Whether it says that it is complete.

    Raises:
        DataError: it holds something else.
    """
    stored = output.child(JOB).read_json()
    if stored is None:
        others = [file.base_name for file in output.listed()]
        if others or output.info().type == pafs.FileType.File:
            raise DataError(
                f"{output.address} is there and holds no embeddings of such a job "
                f"({shortened(others)}): give another --output, or remove it."
            )
        output.child(JOB).write_json(job.as_json())
        return False
    wanted = job.as_json()
    if stored != wanted:
        changed = [name for name in wanted if stored.get(name) != wanted[name]]
        raise DataError(
            f"{output.address} was begun with another {' and '.join(changed) or 'format'}: give "
            "the model and the items that it was begun with, or another --output."
        )
    return output.child(COMPLETE).read_json() is not None


def unfinished(output: Place, blocks: Sequence[Block], fingerprint: str) -> list[Block]:
    """The blocks that the output does not hold whole."""
    present = {file.base_name for file in output.listed()}

    def is_finished(block: Block) -> bool:
        return block.name in present and _is_whole(output, block, fingerprint)

    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as threads:
        done = list(threads.map(is_finished, blocks))
    return [block for block, is_done in zip(blocks, done, strict=True) if not is_done]


def _is_whole(output: Place, block: Block, fingerprint: str) -> bool:
    # A footer is what is written last: a file that was cut off has none.
    try:
        with opened(output.files, output.child(block.name).path) as file:
            metadata = file.schema_arrow.metadata or {}
            num_rows = file.metadata.num_rows
    except DataError:
        return False
    own = {b"format": FORMAT, b"fingerprint": fingerprint, b"origin": block.origin}
    is_own = all(metadata.get(key) == value.encode() for key, value in own.items())
    return is_own and num_rows == block.stop - block.start
