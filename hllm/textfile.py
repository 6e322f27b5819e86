"""Text files line by line: plain or gzip, in any encoding, in constant memory, with line numbers.

What is not text (an archive, a workbook, a database) is named for what it is. A line that cannot be
decoded or is too long has a problem; the lines behind it are read.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hllm.errors import DataError

# A longer line is a damaged file, not a record; it is skipped without being held in memory.
MAX_LINE_CHARS = 32 * 2**20
BLOCK_CHARS = 2**13  # that are read at once; more is slower: Python's collector walks through all
_HEAD_BYTES = 512
_GZIP = b"\x1f\x8b"
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Undecodable bytes come as lone surrogates (PEP 383): they cannot be confused with any text.
_UNDECODED = re.compile("[\udc80-\udcff]")
_WEIGHTS = "give a csv; weights of the reference are for  python -m hllm.checkpoint convert"
_KINDS = (
    (b"PK\x03\x04", "a zip archive (or an Excel workbook)", "unpack it, or save it as CSV UTF-8"),
    (b"PK\x05\x06", "an empty zip archive", "pack it again"),
    (b"\x28\xb5\x2f\xfd", "a zst (Zstandard) archive", "unpack it with unzstd"),
    (b"BZh", "a bzip2 archive", "unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it with unxz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"\x04\x22\x4d\x18", "an lz4 archive", "unpack it with unlz4"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV UTF-8"),
    (
        b"SQLite format 3\x00",
        "an SQLite database",
        "export its tables as csv (a catalogue of this program: python -m app.ingest export)",
    ),
    (
        b"PAR1",
        "a Parquet file",
        "convert it to csv, or import it with a name that ends in .parquet",
    ),
    (b"ARROW1", "an Arrow file", "convert it to csv or Parquet"),
    (b"\x89HDF", "an HDF5 file", "convert it to csv or Parquet"),
    (b"\x89PNG", "a picture", "give a text file"),
    (b"%PDF", "a PDF", "give a text file"),
    (b"\x80\x04\x95", "a Python pickle", "convert it to csv"),
    (b"<!DOCTYPE html", "a web page", "fetch the file itself"),
    (b"<html", "a web page", "fetch the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
)


class Line(NamedTuple):
    """One line without its end; with a problem its text is for people only."""

    number: int
    text: str
    problem: str


class Block(NamedTuple):
    """Lines that follow each other.

    Attributes:
        number: of the first line.
        texts: without ends.
        problems: by place in the texts.
    """

    number: int
    texts: list[str]
    problems: Mapping[int, str]

    def lines(self) -> Iterator[Line]:
        """One by one."""
        for place, text in enumerate(self.texts):
            yield Line(self.number + place, text, self.problems.get(place, ""))


def check_encoding(name: str) -> str:
    """Return the name of a text encoding that Python knows; "" stands for UTF-8.

    Raises:
        DataError: there is no such encoding.
    """
    try:
        if name and codecs.lookup(name)._is_text_encoding:
            "".encode(name)
            return name
    except (LookupError, ValueError):
        pass
    if not name:
        return name
    raise DataError(
        f"--encoding {name!r} is not an encoding that Python knows: try latin-1, cp1252 or utf-16."
    )


def read_lines(
    path: str | Path, encoding: str = "", tell: Callable[[int], None] | None = None
) -> Iterator[Line]:
    r"""Read a file's lines, whether they end with \n, \r\n or \r.

    Args:
        path: plain or gzip, told by content.
        encoding: of Python; "": UTF-8, or UTF-16 where its mark begins the file.
        tell: called now and then with the position in the file as it lies on disk, in bytes.

    Raises:
        DataError: the file is missing, not text, cut off or damaged; names the last good line.
    """
    for block in read_blocks(path, encoding, tell):
        yield from block.lines()


def read_blocks(
    path: str | Path, encoding: str = "", tell: Callable[[int], None] | None = None
) -> Iterator[Block]:
    """The same, about BLOCK_CHARS characters at once: many times as fast where lines are short.

    Raises:
        DataError: as read_lines; every line before the damage has been given then.
    """
    number = 1
    try:
        with _opened(Path(path), encoding) as (on_disk, text):
            while True:
                read, damage = _read_block(text)
                if read:
                    yield _checked(number, read, text.encoding)
                    number += len(read)
                if damage:
                    raise damage
                if tell:
                    tell(on_disk.tell())
                if not read:
                    return
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {number} or soon after it is not {error.encoding} "
            f"({error.reason}): give its --encoding."
        ) from error
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(Path(path), number - 1, error) from error


def _read_block(text: io.TextIOWrapper) -> tuple[list[str], Exception | None]:
    """Lines with their ends, and what stopped the reading behind them.

    Of a line that is too long there is only the beginning, without an end.
    """
    read: list[str] = []
    num_chars = 0
    try:
        while num_chars < BLOCK_CHARS and (line := text.readline(MAX_LINE_CHARS)):
            read.append(line)
            num_chars += len(line)
            if len(line) >= MAX_LINE_CHARS and line[-1] != "\n":
                _skip_line(text)
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        return read, error
    return read, None


def encoding_of(path: Path, encoding: str = "") -> str:
    """The encoding that read_lines reads a file in.

    Raises:
        DataError: it is not a text file.
    """
    try:
        with _opened(path, encoding) as (_, text):
            return text.encoding
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(path, 0, error) from error


def _unreadable(path: Path, number: int, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file; check the name.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path}: cannot be read: it is a folder; give a file.")
    return DataError(
        f"{path}: cannot be read: {path.name} is damaged after line {number} ({error}); fetch it "
        "again and repeat the same command."
    )


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[tuple[BinaryIO, io.TextIOWrapper]]:
    """The file as it lies on disk, and its text."""
    with path.open("rb") as file:
        unpacked: BinaryIO = file
        if file.peek(2)[:2] == _GZIP:
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=file))
        head = unpacked.peek(_HEAD_BYTES)[:_HEAD_BYTES]  # type: ignore[attr-defined]
        codec = _codec(path, head, encoding)
        # Newlines of all three kinds become "\n"; undecodable bytes are told line by line.
        yield file, io.TextIOWrapper(unpacked, codec, errors="surrogateescape", newline=None)


def _codec(path: Path, head: bytes, encoding: str) -> str:
    if head.startswith(b"PK\x03\x04") and b"/data.pkl" in head:
        raise DataError(f"{path} holds weights of torch, not text: {_WEIGHTS}.")
    if head[8:10] == b'{"' and b"\x00\x00" in head[:8]:
        raise DataError(f"{path} is a safetensors file, not text: {_WEIGHTS}.")
    for magic, kind, remedy in _KINDS:
        if head.startswith(magic):
            raise DataError(f"{path} is {kind}, not a text file: {remedy}.")
    if head[257:262] == b"ustar":
        raise DataError(f"{path} is a tar archive, not a text file: unpack it.")
    if not encoding and head.startswith(_UTF32_MARKS):
        return "utf-32"
    if not encoding and head.startswith(_UTF16_MARKS):
        return "utf-16"
    if not encoding and b"\x00" in head[:64]:
        guess = "utf-16-le" if head[1:2] == b"\x00" else "utf-16-be"
        raise DataError(
            f"{path}, line 1: holds NUL characters, so it is not UTF-8 text: if it is UTF-16, give "
            f"--encoding {guess}."
        )
    if codecs.lookup(encoding or "utf-8").name == "utf-8":
        return "utf-8-sig"
    return encoding


def _checked(number: int, read: list[str], encoding: str) -> Block:
    whole = "".join(read)
    texts = [line.removesuffix("\n") for line in read]
    problems: dict[int, str] = {}
    # Both are rare, so that all lines are looked at together first.
    if not whole.isascii() and _UNDECODED.search(whole):
        for place, text in enumerate(texts):
            if found := _UNDECODED.search(text):
                problems[place] = _not_decoded(found.group(), encoding)
                texts[place] = text.encode("utf-8", "surrogateescape").decode(
                    "utf-8", "backslashreplace"
                )
    if len(whole) >= MAX_LINE_CHARS:
        for place, line in enumerate(read):
            if len(line) >= MAX_LINE_CHARS and line[-1] != "\n":
                problems[place] = f"the line is longer than {MAX_LINE_CHARS} characters"
                texts[place] = ""
    return Block(number, texts, problems)


def _not_decoded(char: str, encoding: str) -> str:
    name = encoding.upper().removesuffix("-SIG")
    return (
        f"byte 0x{ord(char) - 0xDC00:02x} is not {name}: give the file's --encoding, "
        "such as latin-1"
    )


def _skip_line(text: io.TextIOWrapper) -> None:
    while (rest := text.readline(2**20)) and not rest.endswith("\n"):
        pass
