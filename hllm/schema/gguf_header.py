"""The header of a GGUF file: its metadata, and where each tensor lies. Reads no weights.

GGUF (version 2 and 3, little-endian) is llama.cpp's format: one file with configuration, tokenizer
and weights. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Everything that a
file claims is compared with its size before memory is taken for it.
"""

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hllm.errors import CheckpointError

_REMEDY = "copy the original file there"
_MAGIC = b"GGUF"
_ENTRY_BYTES = 12  # the least that a key with its value, or a tensor's entry, takes
_STRING, _ARRAY = 8, 9
# Number of a type of metadata -> its code for struct.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class TensorType:
    """How a tensor's numbers are stored: in blocks of so many numbers, of so many bytes."""

    name: str
    numbers: int
    num_bytes: int


TENSOR_TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    3: TensorType("Q4_1", 32, 20),  # scale, minimum (float16), 32 codes of 4 bits
    8: TensorType("Q8_0", 32, 34),  # scale (float16), 32 int8
}


@dataclass(frozen=True)
class TensorPlace:
    """A tensor of the file.

    Attributes:
        shape: as torch has it, the last dimension varying fastest.
        kind: how it is stored.
        start: first byte in the file.
        num_bytes: of the stored numbers.
    """

    shape: tuple[int, ...]
    kind: TensorType
    start: int
    num_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF says before its weights.

    Attributes:
        path: of the file.
        metadata: key -> number, text, or list of them.
        tensors: by their names in the file.
    """

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, TensorPlace]


def gguf_in(folder: str | Path) -> Path | None:
    """The GGUF file of a folder that holds a language model in this format and no config.json.

    Raises:
        CheckpointError: there are several, and nothing says which is meant.
    """
    folder = Path(folder)
    if (folder / "config.json").exists():
        return None
    found = sorted(folder.glob("*.gguf"))
    if len(found) > 1:
        raise CheckpointError(
            f"{folder} holds {len(found)} GGUF files: give a folder with one of them."
        )
    return found[0] if found else None


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of a GGUF file; parsed once while nothing has touched the file.

    Raises:
        CheckpointError: missing, damaged, or stored in a way that is not read here.
    """
    try:
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): {_REMEDY}.") from error


@lru_cache(maxsize=1)  # two arrays of 49,000 texts take a while; nobody needs two files in turn
def _read(path: Path, size: int, *_changed: int) -> GgufHeader:
    if size < _ENTRY_BYTES:
        raise ValueError("it is cut off")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data)
        if reader.take(4) != _MAGIC:
            raise ValueError("it is no GGUF file")
        version = reader.scalar("I")
        if version not in (2, 3):
            raise ValueError(f"its version is {version}; 2 and 3 are read")
        num_tensors, num_keys = reader.scalar("Q"), reader.scalar("Q")
        metadata = reader.table(num_keys, reader.value)
        entries = reader.table(num_tensors, reader.tensor_entry)
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= 1 << 20:
            raise ValueError(f"its alignment is {str(alignment)[:20]}")
        start = -(-reader.position // alignment) * alignment
        tensors = {name: _place(name, start, size, *entry) for name, entry in entries.items()}
    return GgufHeader(path, metadata, tensors)


def _place(
    name: str, start: int, size: int, sizes: tuple[int, ...], number: int, offset: int
) -> TensorPlace:
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        names = ", ".join(kind.name for kind in TENSOR_TYPES.values())
        raise ValueError(f"{name[:80]!r} is of the type {number}; {names} are read")
    if not sizes or 0 in sizes or sizes[0] % kind.numbers:
        raise ValueError(f"{name[:80]!r} has an impossible shape")
    num_bytes = math.prod(sizes) // kind.numbers * kind.num_bytes  # of Python's unbounded numbers
    if start + offset + num_bytes > size:
        raise ValueError("it is cut off, or claims more than it holds")
    return TensorPlace(sizes[::-1], kind, start + offset, num_bytes)


class _Reader:
    """Reads values one after the other; raises ValueError at the end of the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise ValueError("it is cut off, or claims more than it holds")
        found = self._data[self.position : end]
        self.position = end
        return found

    def scalar(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        return self.take(self.scalar("Q")).decode("utf-8")  # what is no UTF-8 is a ValueError

    def value(self) -> Any:
        kind = self.scalar("I")
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array()
        if kind not in _SCALARS:
            raise ValueError(f"a value has the unknown type {kind}")
        return self.scalar(_SCALARS[kind])

    def _array(self) -> list[Any]:
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind == _STRING:
            self._expect(count, 8)  # each has its length in front
            return [self.text() for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"a list has the unknown type {kind}")
        width = struct.calcsize(f"<{_SCALARS[kind]}")
        self._expect(count, width)
        return list(struct.unpack(f"<{count}{_SCALARS[kind]}", self.take(count * width)))

    def table(self, count: int, read: Callable[[], Any]) -> dict[str, Any]:
        self._expect(count, _ENTRY_BYTES)
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self.text()
            if name in found:
                raise ValueError(f"{name[:80]!r} is there twice")
            found[name] = read()
        return found

    def tensor_entry(self) -> tuple[tuple[int, ...], int, int]:
        """Sizes (the first varies fastest), number of the type, offset."""
        dimensions = self.scalar("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"a tensor has {dimensions} dimensions")
        sizes = tuple(self.scalar("Q") for _ in range(dimensions))
        return sizes, self.scalar("I"), self.scalar("Q")

    def _expect(self, count: int, width: int) -> None:
        """Before a list of so many entries is made: could the file hold them?"""
        if count * width > len(self._data) - self.position:
            raise ValueError("it is cut off, or claims more than it holds")
