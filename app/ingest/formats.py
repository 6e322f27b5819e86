"""Which files of which format are read how: each format becomes a list of sources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.errors import IngestError
from app.ingest import amazon, tables
from app.ingest.files import (
    Reader,
    Record,
    csv_reader,
    first_row,
    is_parquet,
    json_records,
    python_records,
    sniff_lines,
    start_progress,
)

Kind = Literal["items", "interactions"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file to import.

    Attributes:
        read: yields its records.
        convert: from a record's fields to a CatalogItem or an interaction; ValueError = reject.
        settings: everything that decides how it is read, as text.
    """

    path: Path
    kind: Kind
    read: Reader
    convert: Callable[[Mapping[str, Any]], Any]
    settings: str

    @property
    def fingerprint(self) -> str:
        """Changes when the file or the way it is read changes."""
        status = self.path.stat()
        return f"{status.st_size}:{status.st_mtime_ns}:{self.kind}:{self.settings}"

    def convert_or_explain(self, record: Record) -> tuple[Any, str]:
        """What a record becomes and "", or None and the problem that keeps it out."""
        if record.problem:
            return None, record.problem
        try:
            return self.convert(record.fields), ""
        except ValueError as error:
            return None, str(error) or type(error).__name__


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a user asked to import.

    Attributes:
        item_map, interaction_map: --map and --map-interactions, parsed.
        separators: characters that separate tags or categories in one cell of a table.
        covers: folder of pictures.
    """

    items: tuple[Path, ...] = ()
    interactions: tuple[Path, ...] = ()
    item_map: Mapping[str, str] | None = None
    interaction_map: Mapping[str, str] | None = None
    separators: str = "|;,"
    covers: Path | None = None


# Order of the columns of ratings files, which have no header.
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
    readers: dict[str, tuple[Reader, Callable[[Mapping[str, Any]], Any]]] = {
        "amazon2014": (python_records, amazon.item_2014),
        "amazon2018": (json_records, amazon.item_2018),
        "amazon2023": (json_records, amazon.item_2023),
    }
    read, convert = readers[format_name]
    return Source(path=path, kind="items", read=read, convert=convert, settings=format_name)


def _amazon_interactions(format_name: str, path: Path, files: Files) -> Source:
    convert: Callable[[Mapping[str, Any]], Any] = amazon.review
    if format_name == "amazon2023":
        convert = amazon.review_2023
    read = sniff_lines(path, otherwise=json_records)
    if ".csv" in path.suffixes or ".txt" in path.suffixes:
        read, convert = _ratings(format_name, path)
    return Source(path=path, kind="interactions", read=read, convert=convert, settings=format_name)


def _ratings(format_name: str, path: Path) -> tuple[Reader, Callable[[Mapping[str, Any]], Any]]:
    row = first_row(path)
    try:
        float(row[3])
    except (ValueError, IndexError):
        columns = tables.resolve(
            path, tables.INTERACTION_COLUMNS, {}, tuple(tables.INTERACTION_COLUMNS), "table --map"
        )
        return csv_reader(), tables.interaction_converter(columns)
    names = _RATINGS_2018 if format_name == "amazon2018" else _RATINGS_2014
    return csv_reader(columns=names), amazon.rating


def _table_items(format_name: str, path: Path, files: Files) -> Source:
    columns = tables.resolve(
        path, tables.ITEM_COLUMNS, files.item_map or {}, ("item_id",), "table --map"
    )
    # A category such as "Arts, Crafts & Sewing" is one; only unknown tables split at commas.
    separators = files.separators if format_name == "table" else "|;"
    if format_name == "pixelrec":
        columns.pop("image", None)
    convert = tables.item_converter(columns, separators=separators, covers=files.covers)
    settings = f"{format_name} {sorted(columns.items())} {separators} {files.covers}"
    return Source(
        path=path, kind="items", read=tables.table_reader(path), convert=convert, settings=settings
    )


def _table_interactions(format_name: str, path: Path, files: Files) -> Source:
    if format_name == "table" or is_parquet(path):
        columns = tables.resolve(
            path,
            tables.INTERACTION_COLUMNS,
            files.interaction_map or {},
            tuple(tables.INTERACTION_COLUMNS),
            "table --map-interactions",
        )
    else:
        columns = tables.pair_columns(path)
    return Source(
        path=path,
        kind="interactions",
        read=tables.table_reader(path),
        convert=tables.interaction_converter(columns),
        settings=f"{format_name} {sorted(columns.items())}",
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
