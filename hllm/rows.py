"""The rows of an interactions file, with every mistake told by its line.

Ids are numbered in order of appearance; nothing is sorted yet.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hllm.errors import DataError
from hllm.tables import MISSING, CsvFormat, CsvRow, CsvTable, looks_like_data
from hllm.times import Timestamp, parse_timestamp, parse_timestamps

INTERACTION_COLUMNS = ("item_id", "user_id", "timestamp")
NO_HEADER = "this line looks like data, and the header with names of columns is missing: "
_Places = tuple[int, int, int]  # of item_id, user_id and timestamp among the columns
_Cells = tuple[list[str], list[str], list[Timestamp]]


@dataclass
class InteractionRows:
    """The rows of an interactions file; ids are numbered in order of appearance."""

    item_number: dict[str, int] = field(default_factory=dict)
    user_number: dict[str, int] = field(default_factory=dict)
    item_codes: "array[int]" = field(default_factory=lambda: array("q"))
    user_codes: "array[int]" = field(default_factory=lambda: array("q"))
    timestamps: list[Timestamp] = field(default_factory=list)


def read_interaction_rows(
    path: str | Path, form: CsvFormat, *, by_position: bool
) -> InteractionRows:
    """Read all rows.

    Args:
        path: csv, plain or .gz.
        form: how it is written.
        by_position: take the first three columns for item, user and time, whatever they are called.

    Raises:
        DataError: a column is missing, or a row cannot be read (with its line).
    """
    table = CsvTable(path, form)
    places = _interaction_places(path, table.names, by_position=by_position)
    read = InteractionRows()
    item_number, user_number = read.item_number, read.user_number
    for rows in table.blocks:
        items, users, timestamps = _at_once(rows, places) or _one_by_one(path, rows, places)
        read.item_codes.extend(item_number.setdefault(i, len(item_number)) for i in items)
        read.user_codes.extend(user_number.setdefault(u, len(user_number)) for u in users)
        read.timestamps += timestamps
    if not read.timestamps:
        raise DataError(f"{path}: has a header but no interactions; export them again.")
    return read


def _at_once(rows: Sequence[CsvRow], places: _Places) -> _Cells | None:
    """Items, users and times of rows; None if something is wrong with one of them."""
    if any(row.problem for row in rows):
        return None
    items, users, times = ([row.values[place] for row in rows] for place in places)
    ids = {*items, *users}
    if MISSING in ids or not all(map(str.strip, ids)):
        return None
    try:
        return items, users, parse_timestamps(times)
    except ValueError:
        return None


def _one_by_one(path: str | Path, rows: Sequence[CsvRow], places: _Places) -> _Cells:
    """The same; says which line is wrong."""
    items, users, timestamps = [], [], []
    for line, values in good_rows(path, rows):
        item, user, time = (values[place] for place in places)
        try:
            timestamps.append(parse_timestamp(time))
        except ValueError as error:
            raise DataError(
                f"{path}: line {line}: timestamp {error}; correct or remove that line."
            ) from error
        items.append(required_id(path, line, "item_id", item))
        users.append(required_id(path, line, "user_id", user))
    return items, users, timestamps


def good_rows(path: str | Path, rows: Iterable[CsvRow]) -> Iterator[tuple[int, list[str]]]:
    """Line and values of rows.

    Raises:
        DataError: a row does not fit the header.
    """
    for row in rows:
        if row.problem:
            raise DataError(f"{path}: line {row.line}: {row.problem}; mend or re-export the file.")
        yield row.line, row.values


def required_id(path: str | Path, line: int, name: str, value: str) -> str:
    """An id that is not empty.

    Raises:
        DataError: it is.
    """
    if not value.strip() or value == MISSING:
        raise DataError(f"{path}: line {line}: {name} is empty; correct or remove that line.")
    return value


def _interaction_places(path: str | Path, names: Sequence[str], *, by_position: bool) -> _Places:
    absent = [name for name in INTERACTION_COLUMNS if name not in names]
    if absent and looks_like_data(names):
        raise DataError(
            f"{path}: line 1: {NO_HEADER}add a line with {', '.join(INTERACTION_COLUMNS)}."
        )
    if by_position and len(names) >= 3:
        return 0, 1, 2
    if absent:
        raise DataError(
            f"{path}: line 1: no column {', '.join(absent)}; the header must name "
            f"{', '.join(INTERACTION_COLUMNS)}."
        )
    item, user, timestamp = map(names.index, INTERACTION_COLUMNS)
    return item, user, timestamp
