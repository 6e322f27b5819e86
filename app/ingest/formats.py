"""Which files of which format are read how: each format becomes a list of sources."""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.errors import IngestError
from app.ingest import amazon, tables
from app.ingest.columns import INTERACTION_COLUMNS, ITEM_COLUMNS
from app.ingest.files import (
    Reader,
    Record,
    csv_reader,
    is_json_lines,
    json_reader,
    python_reader,
    start_progress,
)
from app.ingest.parquet import is_parquet
from hllm.tables import DEFAULT_FORMAT, CsvFormat, first_values, looks_like_data
from hllm.textfile import encoding_of

Kind = Literal["items", "interactions"]
Convert = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file to import.

    Attributes:
        read: yields its records.
        convert: from a record's fields to a CatalogItem or an interaction; ValueError = reject.
        settings: everything that decides how it is read, as text.
        notes: what a person should know about how it is read.
    """

    path: Path
    kind: Kind
    read: Reader
    convert: Convert
    settings: str
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when the file or the way it is read changes.

        The ends of the file are part of it: a corrected copy may keep size and time.
        """
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            ends = zlib.crc32(file.read(_FINGERPRINT_BYTES))
            file.seek(max(0, size - _FINGERPRINT_BYTES))
            ends = zlib.crc32(file.read(_FINGERPRINT_BYTES), ends)
            modified = os.fstat(file.fileno()).st_mtime_ns
        return f"{size}:{modified}:{ends:08x}:{self.kind}:{self.settings}"

    def convert_or_explain(self, record: Record) -> tuple[Any, str]:
        """What a record becomes and "", or None and the problem that keeps it out."""
        if record.problem:
            return None, record.problem
        try:
            return self.convert(record.fields), ""
        except (ValueError, OverflowError) as error:
            return None, str(error) or type(error).__name__


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a user asked to import.

    Attributes:
        item_map, interaction_map: --map and --map-interactions, parsed.
        separators: characters that separate tags or categories in one cell of a table.
        covers: folder of pictures.
        form: how text files are written.
    """

    items: tuple[Path, ...] = ()
    interactions: tuple[Path, ...] = ()
    item_map: Mapping[str, str] | None = None
    interaction_map: Mapping[str, str] | None = None
    separators: str = "|;,"
    covers: Path | None = None
    form: CsvFormat = DEFAULT_FORMAT


# Order of the columns of ratings files, which have no header.
_FINGERPRINT_BYTES = 64 * 2**10
_RATINGS_2014 = ("user", "item", "rating", "timestamp")
_RATINGS_2018 = ("item", "user", "rating", "timestamp")


def sources_of(format_name: str, files: Files) -> list[Source]:
    """The sources of an import: items first, because interactions need them.

    Raises:
        IngestError: a file is missing or lacks a column.
    """
    for path in (*files.items, *files.interactions):
        start_progress(path)
    if files.covers and not files.covers.is_dir():
        raise IngestError(f"There is no folder {files.covers}: check --covers.")
    items, interactions = _FORMATS[format_name]
    return [
        *(items(format_name, path, files) for path in files.items),
        *(interactions(format_name, path, files) for path in files.interactions),
    ]


def _amazon_items(format_name: str, path: Path, files: Files) -> Source:
    encoding = files.form.encoding
    converters = {
        "amazon2014": amazon.item_2014,
        "amazon2018": amazon.item_2018,
        "amazon2023": amazon.item_2023,
    }
    read = python_reader(encoding) if format_name == "amazon2014" else json_reader(encoding)
    return Source(
        path=path,
        kind="items",
        read=read,
        convert=converters[format_name],
        settings=f"{format_name} {encoding}",
        notes=_encoding_note(path, files.form),
    )


def _encoding_note(path: Path, form: CsvFormat) -> tuple[str, ...]:
    encoding = encoding_of(path, form.encoding)
    return () if encoding == "utf-8-sig" else (f"read as {encoding}",)


def _amazon_interactions(format_name: str, path: Path, files: Files) -> Source:
    form = files.form
    if {".csv", ".txt"} & set(path.suffixes) or not is_json_lines(path, form.encoding):
        read, convert = _ratings(format_name, path, form)
    else:
        read = json_reader(form.encoding)
        convert = amazon.review_2023 if format_name == "amazon2023" else amazon.review
    return Source(
        path=path,
        kind="interactions",
        read=read,
        convert=convert,
        settings=f"{format_name} {form}",
        notes=_encoding_note(path, form),
    )


def _ratings(format_name: str, path: Path, form: CsvFormat) -> tuple[Reader, Convert]:
    row = first_values(path, form)
    if len(row) == len(_RATINGS_2014) and looks_like_data(row[3:]):
        names = _RATINGS_2018 if format_name == "amazon2018" else _RATINGS_2014
        return csv_reader(form, columns=names), amazon.rating
    columns = _interaction_columns(path, form, {})
    return csv_reader(form), tables.interaction_converter(columns)


def _interaction_columns(path: Path, form: CsvFormat, given: Mapping[str, str]) -> dict[str, str]:
    return tables.resolve(
        path,
        tables.columns_of(path, form),
        INTERACTION_COLUMNS,
        given,
        tuple(INTERACTION_COLUMNS),
        "table --map-interactions",
    )


def _table_items(format_name: str, path: Path, files: Files) -> Source:
    columns = tables.resolve(
        path,
        tables.columns_of(path, files.form),
        ITEM_COLUMNS,
        files.item_map or {},
        ("item_id",),
        "table --map",
    )
    # A category such as "Arts, Crafts & Sewing" is one; only unknown tables split at commas.
    separators = files.separators if format_name == "table" else "|;"
    if format_name == "pixelrec":
        columns.pop("image", None)
    convert = tables.item_converter(columns, separators=separators, covers=files.covers)
    settings = f"{format_name} {sorted(columns.items())} {separators} {files.covers} {files.form}"
    return Source(
        path=path,
        kind="items",
        read=tables.table_reader(path, files.form),
        convert=convert,
        settings=settings,
        notes=() if is_parquet(path) else _encoding_note(path, files.form),
    )


def _table_interactions(format_name: str, path: Path, files: Files) -> Source:
    notes = () if is_parquet(path) else _encoding_note(path, files.form)
    read = tables.table_reader(path, files.form)
    if format_name == "table" or is_parquet(path):
        columns = _interaction_columns(path, files.form, files.interaction_map or {})
    else:
        columns, note = tables.pair_columns(path, files.form)
        if note:
            notes += (note,)
            has_header = list(columns) != list(columns.values())
            read = read if has_header else csv_reader(files.form, columns=list(columns))
    return Source(
        path=path,
        kind="interactions",
        read=read,
        convert=tables.interaction_converter(columns),
        settings=f"{format_name} {sorted(columns.items())} {files.form}",
        notes=notes,
    )


_MakeSource = Callable[[str, Path, Files], Source]
_FORMATS: dict[str, tuple[_MakeSource, _MakeSource]] = {
    "amazon2014": (_amazon_items, _amazon_interactions),
    "amazon2018": (_amazon_items, _amazon_interactions),
    "amazon2023": (_amazon_items, _amazon_interactions),
    "hllm": (_table_items, _table_interactions),
    "pixelrec": (_table_items, _table_interactions),
    "table": (_table_items, _table_interactions),
}
FORMATS = tuple(_FORMATS)
