"""Read data set files: plain or .gz, in constant memory, with byte progress and line numbers.

Each reader yields Records. What cannot be read is a Record with a problem, never an exception; only
a file that is damaged as a whole (cut off, not gzip, no header) ends the import.
"""

import ast
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from app.catalog.items import storable
from app.errors import IngestError

# A longer line is a damaged file, not a record; it is skipped without being held in memory.
MAX_LINE_BYTES = 32 * 2**20
PARQUET_BATCH = 2_000
LINES_PER_TELL = 100
csv.field_size_limit(MAX_LINE_BYTES)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file: its fields, or the problem that keeps it from being read.

    Attributes:
        line: number of its first line (parquet: of its row), from 1.
        raw: its text, for the rejects file.
    """

    line: int
    raw: str
    fields: Mapping[str, Any]
    problem: str = ""


@dataclass
class FileProgress:
    """How much of a file was read, in bytes of the file on disk (parquet: in rows)."""

    total: int
    done: int = 0
    unit: str = "B"


Reader = Callable[[Path, FileProgress, int], Iterator[Record]]


def start_progress(path: Path) -> FileProgress:
    """Check that a file can be read.

    Raises:
        IngestError: it cannot.
    """
    try:
        with path.open("rb") as file:
            file.read(1)
        if is_parquet(path):
            return FileProgress(pyarrow.parquet.ParquetFile(path).metadata.num_rows, unit="rows")
        return FileProgress(path.stat().st_size)
    except FileNotFoundError as error:
        raise IngestError(f"There is no file {path}: check the name.") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise IngestError(f"{path} cannot be read ({error}): check the file.") from error


def is_parquet(path: Path) -> bool:
    """Whether a file is parquet, by its name."""
    return path.suffix.lower() in (".parquet", ".pq")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file as it lies on disk, and the same unpacked."""
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield file, io.BufferedReader(unpacked)
        else:
            file.seek(0)
            yield file, file


def read_lines(path: Path, progress: FileProgress) -> Iterator[tuple[int, str | None]]:
    """Numbered lines without their ends; None for one that is too long.

    Raises:
        IngestError: the file is cut off or damaged; names the last good line.
    """
    number = 0
    try:
        with _opened(path) as (on_disk, unpacked):
            while line := unpacked.readline(MAX_LINE_BYTES):
                number += 1
                if number % LINES_PER_TELL == 0:
                    progress.done = on_disk.tell()
                if len(line) >= MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip_line(unpacked)
                    yield number, None
                    continue
                yield number, _decoded(line, first=number == 1)
            progress.done = progress.total
    except (EOFError, OSError, zlib.error) as error:
        raise IngestError(
            f"{path} is damaged after line {number} ({error}): fetch it again and repeat the same "
            "command; what was read so far is kept."
        ) from error


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(2**20)) and not rest.endswith(b"\n"):
        pass


def _decoded(line: bytes, first: bool) -> str:
    text = line.decode("utf-8-sig" if first else "utf-8", errors="replace")
    return text.rstrip("\r\n")


def _parsed_lines(
    parse: Callable[[str], Any], path: Path, progress: FileProgress, after: int
) -> Iterator[Record]:
    for number, line in read_lines(path, progress):
        if number <= after or line == "":
            continue
        if line is None:
            yield Record(number, "", {}, f"the line is longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            fields = parse(line)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield Record(number, line, {}, f"cannot be parsed: {reason[:200]}")
            continue
        if isinstance(fields, dict):
            yield Record(number, line, fields)
        else:
            yield Record(number, line, {}, f"is a {type(fields).__name__}, not an object")


def json_records(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
    """One JSON object a line."""
    return _parsed_lines(json.loads, path, progress, after)


def python_records(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
    """One Python dict literal a line; read as data, never executed."""
    return _parsed_lines(_literal, path, progress, after)


def _literal(line: str) -> Any:
    # JSON is a different language with the same look; some mirrors hold converted files.
    if line.startswith('{"'):
        try:
            return json.loads(line)
        except ValueError:
            pass
    return ast.literal_eval(line)


def sniff_lines(path: Path, otherwise: Reader) -> Reader:
    """json_records if the file's first line begins with "{", else another reader."""
    for _, line in read_lines(path, FileProgress(0)):
        if line and line.strip():
            return json_records if line.lstrip().startswith("{") else otherwise
    return otherwise


class _Lines:
    """Feeds csv.reader and remembers the lines of the record that it is reading."""

    def __init__(self, lines: Iterable[tuple[int, str | None]]) -> None:
        self.lines = iter(lines)
        self.taken: list[str] = []
        self.first = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        number, line = next(self.lines)
        if not self.taken:
            self.first = number
        self.taken.append(line or "")
        return (line or "") + "\n"

    def release(self) -> tuple[int, str]:
        """First line number and text of the record just read."""
        first, raw = self.first, "\n".join(self.taken)
        self.taken = []
        return first, raw


def csv_reader(columns: Sequence[str] | None = None, delimiter: str | None = None) -> Reader:
    """Make a reader of comma- or tab-separated files.

    Args:
        columns: names of the columns of a file without a header; None if it has one.
        delimiter: None for "," or, in files named .tsv or .tab, a tab.
    """

    def read(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
        lines = _Lines(read_lines(path, progress))
        rows = csv.reader(lines, delimiter=delimiter or delimiter_of(path))
        names = list(columns) if columns else _header(path, rows, lines)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                first, raw = lines.release()
                yield Record(first, raw, {}, f"cannot be parsed: {error}")
                continue
            first, raw = lines.release()
            if first > after and row:
                yield _csv_record(first, raw, row, names)

    return read


def _csv_record(line: int, raw: str, row: list[str], names: list[str]) -> Record:
    if len(row) != len(names):
        return Record(line, raw, {}, f"has {len(row)} columns where the header has {len(names)}")
    return Record(line, raw, dict(zip(names, row, strict=True)))


def delimiter_of(path: Path) -> str:
    """Tab for .tsv and .tab (also .gz of them), else comma."""
    name = path.name.lower().removesuffix(".gz")
    return "\t" if name.endswith((".tsv", ".tab")) else ","


def _header(path: Path, rows: Iterator[list[str]], lines: _Lines) -> list[str]:
    try:
        names = [name.strip() for name in next(rows)]
    except (StopIteration, csv.Error) as error:
        raise IngestError(
            f"{path}, line 1: a header with the names of the columns is missing: add one."
        ) from error
    lines.release()
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise IngestError(f"{path}, line 1: column {doubles[0]!r} is there twice: rename one.")
    return names


def first_row(path: Path) -> list[str]:
    """The first row of a csv file, [] if it is empty."""
    lines = (line or "" for _, line in read_lines(path, FileProgress(0)))
    return next(csv.reader(lines, delimiter=delimiter_of(path)), [])


def parquet_records(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
    """Rows of a parquet file, a batch at a time."""
    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=PARQUET_BATCH):
            if number + batch.num_rows <= after:
                number += batch.num_rows
                continue
            for row in batch.to_pylist():
                number += 1
                progress.done = number
                if number > after:
                    yield Record(number, "", row)
    except (pyarrow.ArrowException, OSError) as error:
        raise IngestError(
            f"{path} is damaged after row {number} ({error}): fetch it again and repeat the same "
            "command; what was read so far is kept."
        ) from error


def raw_text(record: Record, limit: int = 10_000) -> str:
    """What the rejects file keeps of a record."""
    text = record.raw or json.dumps(record.fields, default=str, ensure_ascii=False)
    return storable(text)[:limit]
