"""Tables with named columns: the csv pair, PixelRec, and any csv, tsv or parquet file."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.catalog import CatalogItem
from app.errors import IngestError
from app.ingest.clean import first_text, is_missing, labels
from app.ingest.columns import INTERACTION_COLUMNS
from app.ingest.files import Reader, csv_reader, parquet_records
from app.ingest.numbers import parse_count, parse_price, parse_year
from app.ingest.parquet import is_parquet, open_parquet
from app.ingest.records import Interaction, ItemDraft, required_id, timestamp_of
from hllm.errors import did_you_mean
from hllm.tables import CsvFormat, CsvTable, first_values, listing, looks_like_data

Fields = Mapping[str, Any]

_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def parse_mapping(text: str, fields: Sequence[str], option: str = "--map") -> dict[str, str]:
    """Read "title=name,creator=author".

    Raises:
        IngestError: it is written otherwise or names a field that does not exist.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = (side.strip() for side in part.partition("="))
        if not equals or not column or field not in fields:
            near = did_you_mean(field, fields) if column and field not in fields else ""
            raise IngestError(
                f"{option} {part!r} is not understood{near}: write "
                f"FIELD=COLUMN, where FIELD is one of {', '.join(fields)}."
            )
        mapping[field] = column
    return mapping


def table_reader(path: Path, form: CsvFormat) -> Reader:
    """The reader for a table file."""
    return parquet_records if is_parquet(path) else csv_reader(form)


def columns_of(path: Path, form: CsvFormat) -> list[str]:
    """Names of a table's columns."""
    if is_parquet(path):
        return list(open_parquet(path).schema_arrow.names)
    return CsvTable(path, form).names


def resolve(
    path: Path,
    columns: Sequence[str],
    known: Mapping[str, tuple[str, ...]],
    given: Mapping[str, str],
    required: Sequence[str],
    option: str,
) -> dict[str, str]:
    """Find the column of each field.

    Args:
        path: the table.
        columns: its columns.
        known: names to look for, by field.
        given: columns named by the user, by field.
        required: fields that must be there.
        option: the command line option to point to.

    Raises:
        IngestError: a column is missing; names the columns that there are.
    """
    folded = {_folded(column): column for column in reversed(columns)}
    found: dict[str, str] = {}
    for field, names in known.items():
        if field in given:
            if given[field] not in columns:
                raise IngestError(
                    f"{path}, line 1: there is no column {given[field]!r} for {field}"
                    f"{did_you_mean(given[field], columns)}; the columns are {listing(columns)}."
                )
            found[field] = given[field]
            continue
        column = next((folded[_folded(name)] for name in names if _folded(name) in folded), None)
        if column is not None and column not in given.values():
            found[field] = column
    missing = [field for field in required if field not in found]
    if missing:
        _check_header(path, columns, known)
        raise IngestError(
            f"{path}, line 1: no column for {missing[0]}; say which with {option} "
            f"{missing[0]}=COLUMN. The columns are {listing(columns)}."
        )
    return found


def _check_header(path: Path, columns: Sequence[str], names: Iterable[str]) -> None:
    if looks_like_data(columns):
        raise IngestError(
            f"{path}, line 1: {listing(columns, 5)!r} looks like data, and the header is missing: "
            f"add a line with the names of the columns, such as {', '.join(list(names)[:3])}."
        )


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "").replace("-", "")


def item_converter(
    columns: Mapping[str, str], *, separators: str = "|;", covers: Path | None = None
) -> Callable[[Fields], CatalogItem]:
    """Make a function from a row to an item.

    Args:
        columns: column of each field, from resolve.
        separators: characters that separate tags or categories in one cell.
        covers: folder with pictures named <item_id>.jpg (.jpeg, .png, .webp).
    """
    used = set(columns.values())
    # The paper's prompt for PixelRec calls this field "tag": keep it under its own name as well.
    if columns.get("tags", "").lower() == "tag":
        used.discard(columns["tags"])

    def convert(fields: Fields) -> CatalogItem:
        def cell(name: str) -> Any:
            return fields.get(columns[name]) if name in columns else None

        draft = ItemDraft(required_id(fields, columns["item_id"]))
        draft.title(cell("title"))
        draft.creator(cell("creator"))
        draft.description(cell("description"))
        draft.values["tags"] = labels(cell("tags"), separators)
        draft.values["categories"] = labels(cell("categories"), separators)
        draft.values["year"] = parse_year(cell("year"))
        draft.values["price"] = parse_price(cell("price"))
        draft.values["popularity"] = parse_count(cell("popularity"))
        image = "" if is_missing(cell("image")) else first_text([cell("image")])
        draft.values["image"] = image or _cover(covers, draft.values["item_id"])
        return draft.finish(fields, used)

    return convert


def _cover(folder: Path | None, item_id: str) -> str:
    # An id with a slash or dots must not lead out of the folder.
    if folder is None or not item_id or item_id != Path(item_id).name:
        return ""
    candidates = (folder / f"{item_id}{ending}" for ending in _IMAGE_ENDINGS)
    # Not Path.is_file: of an id that is longer than a file's name can be, it raises.
    return next((str(path.resolve()) for path in candidates if os.path.isfile(path)), "")


def interaction_converter(columns: Mapping[str, str]) -> Callable[[Fields], Interaction]:
    """Make a function from a row to an interaction."""

    def convert(fields: Fields) -> Interaction:
        return (
            required_id(fields, columns["user_id"]),
            required_id(fields, columns["item_id"]),
            timestamp_of(fields, columns["timestamp"]),
        )

    return convert


def pair_columns(path: Path, form: CsvFormat) -> tuple[dict[str, str], str]:
    """Columns of the csv pair's interactions: by name, or else by place as the reference does.

    Returns:
        The column of each field, and what a person should know: "" if all were found by name.

    Raises:
        IngestError: the file does not have three columns.
    """
    by_place = ", ".join(INTERACTION_COLUMNS)
    first = first_values(path, form)
    if len(first) == len(INTERACTION_COLUMNS) and looks_like_data(first[2:]):
        same = dict(zip(INTERACTION_COLUMNS, INTERACTION_COLUMNS, strict=True))
        return same, f"line 1 is not a header, so the columns are taken for {by_place}"
    columns = columns_of(path, form)
    found = resolve(path, columns, INTERACTION_COLUMNS, {}, (), "")
    if len(found) == len(INTERACTION_COLUMNS):
        return found, ""
    _check_header(path, columns, INTERACTION_COLUMNS)
    if len(columns) != len(INTERACTION_COLUMNS):
        raise IngestError(
            f"{path}, line 1: expected the columns item_id,user_id,timestamp but found "
            f"{listing(columns)}: import it as a table with --map-interactions."
        )
    return (
        dict(zip(INTERACTION_COLUMNS, columns, strict=True)),
        f"line 1 is taken for the header, and its columns {listing(columns)} for {by_place}",
    )
