"""Read Parquet files, a batch at a time and within bounds of memory, whatever they claim."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from app.errors import IngestError
from hllm.tables import MAX_COLUMNS

BATCH_ROWS = 2_000
MAX_VALUE_BYTES = 4 * 2**20
# A column that unpacks to so much, from so little, was made to fill somebody's memory.
MAX_UNPACKED_BYTES = 2**30
MAX_UNPACKED_RATIO = 200
# Values of lists beyond one a row: a run of equal ones takes no space in the file, but in memory.
MAX_LISTED_VALUES = 2**25
_TEXTS = ("STRING", "JSON", "ENUM", "BSON", "NONE")  # not numbers that are written as bytes
_MAGIC = b"PAR1"
_OBJECT_BYTES = 8  # at least, of a reference to an object
_IS_TEXT = (
    pyarrow.types.is_string,
    pyarrow.types.is_large_string,
    pyarrow.types.is_binary,
    pyarrow.types.is_large_binary,
)


def is_parquet(path: Path) -> bool:
    """Whether a file is parquet, by its name or its first bytes."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def open_parquet(path: Path) -> pyarrow.parquet.ParquetFile:
    """Open a file; columns of text come with each different value once.

    Raises:
        IngestError: it is not parquet, or asks for more memory than its size can mean.
    """
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _check_size(path, file.metadata)
        columns = (file.schema.column(number) for number in range(file.metadata.num_columns))
        texts = [
            column.path
            for column in columns
            if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in _TEXTS
        ]
        return pyarrow.parquet.ParquetFile(path, read_dictionary=texts)
    except (OSError, pyarrow.ArrowException) as error:
        raise IngestError(f"{path} cannot be read ({error}): check the file.") from error


def _check_size(path: Path, metadata: Any) -> None:
    if metadata.num_columns > MAX_COLUMNS:
        raise IngestError(
            f"{path}: has {metadata.num_columns:,} columns, more than {MAX_COLUMNS:,}: leave some "
            "out."
        )
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
            if unpacked > MAX_UNPACKED_BYTES and unpacked > MAX_UNPACKED_RATIO * packed:
                raise IngestError(
                    f"{path}: column {chunk.path_in_schema!r} unpacks from {packed:,} bytes to "
                    f"{unpacked:,}: no data set does, so check where the file is from."
                )
            num_rows = metadata.row_group(group).num_rows
            if chunk.num_values - num_rows > MAX_LISTED_VALUES:
                raise IngestError(
                    f"{path}: column {chunk.path_in_schema!r} holds {chunk.num_values:,} values in "
                    f"{num_rows:,} rows of one row group: write the file with smaller row groups."
                )


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Rows with their number, from 1, and the problem that keeps one from being used.

    Raises:
        IngestError: the file is damaged.
    """
    number = 0
    try:
        for batch in open_parquet(path).iter_batches(batch_size=BATCH_ROWS):
            columns = [_values(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                number += 1
                fields = dict(zip(batch.schema.names, row, strict=True))
                try:
                    yield number, {name: _decoded(name, v) for name, v in fields.items()}, ""
                except ValueError as error:
                    yield number, {}, str(error)
    except (pyarrow.ArrowException, OSError) as error:
        raise IngestError(
            f"{path} is damaged after row {number} ({error}): fetch it again and repeat the same "
            "command; what was read so far is kept."
        ) from error


class _TooLarge:
    """Stands for a value that is too large to be taken into memory once more."""


def _values(column: pyarrow.Array) -> Iterable[Any]:
    """The values of a column as Python objects; equal texts are one object."""
    if pyarrow.types.is_nested(column.type):
        # One by one: their texts are no longer shared, and a batch of them could be gigabytes.
        return (
            _TooLarge if size > MAX_VALUE_BYTES else column[place].as_py()
            for place, size in enumerate(_sizes(column).tolist())
        )
    if not pyarrow.types.is_dictionary(column.type):
        return column.to_pylist()
    numbers = column.indices.to_pylist()
    used = np.unique([number for number in numbers if number is not None]).astype(np.int64)
    dictionary = column.dictionary.take(pyarrow.array(used))
    sizes = _sizes(dictionary).tolist()
    value_of: dict[int | None, Any] = {None: None}
    for place, (number, size) in enumerate(zip(used.tolist(), sizes, strict=True)):
        value_of[number] = _TooLarge if size > MAX_VALUE_BYTES else dictionary[place].as_py()
    return [value_of[number] for number in numbers]


def _sizes(column: pyarrow.Array) -> np.ndarray:
    """(num_rows,) int64, about the bytes that each value takes as a Python object of its own."""
    kind, types = column.type, pyarrow.types
    if types.is_dictionary(kind):
        used = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return _sizes(column.dictionary)[used] if len(column.dictionary) else np.zeros(len(used))
    if types.is_struct(kind):
        parts = [_sizes(column.field(place)) for place in range(kind.num_fields)]
        return np.asarray(np.sum(parts, axis=0, dtype=np.int64) + _OBJECT_BYTES)
    if types.is_fixed_size_list(kind):
        return _sizes(column.values).reshape(len(column), -1).sum(axis=1)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        is_map = types.is_map(kind)
        parts = [column.keys, column.items] if is_map else [column.values]
        ends = np.cumsum(np.concatenate([[0], np.sum([_sizes(part) for part in parts], axis=0)]))
        offsets = column.offsets.to_numpy()
        return ends[offsets[1:]] - ends[offsets[:-1]]
    if any(is_text(kind) for is_text in _IS_TEXT):
        lengths = pyarrow.compute.binary_length(column).fill_null(0)
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64) + _OBJECT_BYTES
    return np.full(len(column), _OBJECT_BYTES)


def _decoded(name: str, value: Any) -> Any:
    """Texts that were written as bytes, as Hive and Impala do."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if value is _TooLarge:
        raise ValueError(f"{name} is longer than {MAX_VALUE_BYTES} bytes")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} holds bytes that are not UTF-8") from error
    if isinstance(value, list):
        return [_decoded(name, part) for part in value]
    if isinstance(value, dict):
        return {_decoded(name, key): _decoded(name, part) for key, part in value.items()}
    return value
