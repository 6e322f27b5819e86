"""Read Parquet files, a batch at a time and within bounds of memory, whatever they claim."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from app.errors import IngestError

BATCH_ROWS = 2_000
MAX_VALUE_BYTES = 4 * 2**20
# A column that unpacks to so much, from so little, was made to fill somebody's memory.
MAX_UNPACKED_BYTES = 2**30
MAX_UNPACKED_RATIO = 200
_MAGIC = b"PAR1"


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
        texts = [
            field.name
            for field in file.schema_arrow
            if pyarrow.types.is_string(field.type) or pyarrow.types.is_binary(field.type)
        ]
        _check_size(path, file.metadata)
        return pyarrow.parquet.ParquetFile(path, read_dictionary=texts)
    except (OSError, pyarrow.ArrowException) as error:
        raise IngestError(f"{path} cannot be read ({error}): check the file.") from error


def _check_size(path: Path, metadata: Any) -> None:
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
            if unpacked > MAX_UNPACKED_BYTES and unpacked > MAX_UNPACKED_RATIO * packed:
                raise IngestError(
                    f"{path}: column {chunk.path_in_schema!r} unpacks from {packed:,} bytes to "
                    f"{unpacked:,}: no data set does, so check where the file is from."
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


def _values(column: pyarrow.Array) -> list[Any]:
    """The values of a column as Python objects; equal texts are one object."""
    if not pyarrow.types.is_dictionary(column.type):
        return column.to_pylist()
    numbers = column.indices.to_pylist()
    used = np.unique([number for number in numbers if number is not None]).astype(np.int64)
    dictionary = column.dictionary.take(pyarrow.array(used))
    if pyarrow.types.is_string(dictionary.type) or pyarrow.types.is_binary(dictionary.type):
        sizes = pyarrow.compute.binary_length(dictionary).to_pylist()
    else:
        sizes = [0] * len(dictionary)
    value_of: dict[int | None, Any] = {None: None}
    for place, (number, size) in enumerate(zip(used.tolist(), sizes, strict=True)):
        value_of[number] = _TooLarge if size > MAX_VALUE_BYTES else dictionary[place].as_py()
    return [value_of[number] for number in numbers]


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
