"""Records of data set files: lines of JSON or Python, csv, parquet; in constant memory.

Each reader yields Records. What cannot be read is a Record with a problem, never an exception; only
a file that is damaged as a whole (cut off, not text, without a header) ends the import.
"""

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalog.items import storable
from app.errors import IngestError
from app.ingest.parquet import is_parquet, open_parquet, parquet_rows
from hllm.schema.rules import check_depth, parse_json
from hllm.tables import MAX_COLUMNS, MISSING, CsvFormat, CsvTable
from hllm.textfile import read_lines


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

    def tell(self, done: int) -> None:
        """Note the position that was reached."""
        self.done = done


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
            return FileProgress(open_parquet(path).metadata.num_rows, unit="rows")
        return FileProgress(path.stat().st_size)
    except FileNotFoundError as error:
        raise IngestError(f"There is no file {path}: check the name.") from error
    except OSError as error:
        raise IngestError(f"{path} cannot be read ({error}): check the file.") from error


def json_reader(encoding: str = "") -> Reader:
    """Make a reader of files with one JSON object a line."""
    return _line_reader(parse_json, encoding)


def python_reader(encoding: str = "") -> Reader:
    """Make a reader of files with one Python dict literal a line: read as data, never executed."""
    return _line_reader(_literal, encoding)


def _line_reader(parse: Callable[[str], Any], encoding: str) -> Reader:
    def read(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
        for number, line, problem in read_lines(path, encoding, progress.tell):
            if number > after and (problem or (line and not line.isspace())):
                yield Record(number, line, {}, problem) if problem else _parsed(parse, number, line)

    return read


def _parsed(parse: Callable[[str], Any], number: int, line: str) -> Record:
    try:
        fields = parse(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Record(number, line, {}, f"cannot be parsed: {reason[:200]}")
    if not isinstance(fields, dict):
        return Record(number, line, {}, f"is a {type(fields).__name__}, not an object")
    if len(fields) > MAX_COLUMNS:
        return Record(number, line, {}, f"has {len(fields):,} fields, more than {MAX_COLUMNS:,}")
    return Record(number, line, fields)


def _literal(line: str) -> Any:
    # JSON is a different language with the same look; some mirrors hold converted files.
    if line.startswith('{"'):
        try:
            return parse_json(line)
        except ValueError:
            pass
    return ast.literal_eval(check_depth(line))


def is_json_lines(path: Path, encoding: str = "") -> bool:
    """Whether a file's first line that is not empty begins with "{"."""
    lines = (line.text.lstrip() for line in read_lines(path, encoding))
    return next((line.startswith("{") for line in lines if line), False)


def csv_reader(form: CsvFormat, columns: Sequence[str] | None = None) -> Reader:
    """Make a reader of csv files.

    Args:
        form: how they are written.
        columns: names of the columns of a file without a header; None if it has one.
    """

    def read(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
        table = CsvTable(path, form, columns=columns, tell=progress.tell)
        names = table.names
        for line, values, raw, problem in table.rows:
            if line <= after:
                continue
            if problem:
                yield Record(line, raw, {}, problem)
                continue
            fields: dict[str, Any] = dict(zip(names, values, strict=True))
            if MISSING in values:
                fields = {name: None if v == MISSING else v for name, v in fields.items()}
            yield Record(line, raw, fields)

    return read


def parquet_records(path: Path, progress: FileProgress, after: int = 0) -> Iterator[Record]:
    """Rows of a parquet file."""
    for number, fields, problem in parquet_rows(path):
        progress.done = number
        if number > after:
            yield Record(number, "", fields, problem)


def raw_text(record: Record, limit: int = 10_000) -> str:
    """What the rejects file keeps of a record."""
    if record.raw:
        return storable(record.raw[:limit])
    try:
        return storable(json.dumps(record.fields, default=str, ensure_ascii=False))[:limit]
    except ValueError:
        return ""
