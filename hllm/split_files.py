"""Splits that others have published: a file each for training, validation and test, unchanged.

Known columns: user_id; item_id or parent_asin; timestamp; and the history of a row, as item ids
between spaces (``history``, Amazon Reviews 2023) or as a list in brackets (``history_item_id``,
MiniOneRec). A file needs a time or a history. Other columns are not read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hllm.data import PAD_ID, EvalCase, Interactions, Parts
from hllm.errors import DataError
from hllm.rows import good_rows, required_id
from hllm.tables import CsvFormat, CsvTable, listing
from hllm.times import Timestamp, parse_timestamp

ITEM_COLUMNS = ("item_id", "parent_asin")
HISTORY_COLUMNS = ("history", "history_item_id")
_PART = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s,'\"\[\]]+))\s*")


@dataclass(frozen=True)
class _Row:
    """A row of a file: an interaction, and what came before it if the file says so."""

    user: str
    item: str
    time: Timestamp | None
    history: list[str] | None


@dataclass
class _User:
    """What is known of a user while the files are read."""

    number: int
    training: list[list[str]] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)  # so far, of all files


def read_split_files(
    training: str | Path,
    valid: str | Path,
    test: str | Path,
    form: CsvFormat,
    extra_item_ids: Sequence[str] = (),
) -> Interactions:
    """Read a published split.

    A row of the second and third file is a case: its item is to be found from the row's history,
    or, without that column, from all earlier rows of its user in the three files. Rows without
    either are counted and left out. Training: the interactions of the first file, each once; where
    rows have histories, a row continues the sequence that its history ends, or begins a new one.

    Args:
        training: csv, plain or .gz.
        valid: the same.
        test: the same.
        form: how they are written.
        extra_item_ids: candidates that no file names; they are numbered last.

    Raises:
        DataError: a file is malformed, two are the same, or a part is empty.
    """
    paths = [Path(path) for path in (training, valid, test)]
    if len({path.resolve() for path in paths}) < len(paths):
        raise DataError(f"--split files: {', '.join(map(str, paths))} must be three files.")
    tables = [_in_time(list(_rows(path, form))) for path in paths]
    for path, rows in zip(paths, tables, strict=True):
        if not rows:
            raise DataError(f"{path}: has a header but no interactions; export them again.")
    if any(row.history is None for rows in tables for row in rows):
        _check_times(paths, tables)
    users: dict[str, _User] = {}
    for row in tables[0]:
        user = users.setdefault(row.user, _User(len(users)))
        _continue(user.training, row)
        user.rows.append(row)
    cases = [_cases(rows, users) for rows in tables[1:]]
    return _interactions(users, cases, [len(rows) for rows in tables[1:]], extra_item_ids)


def _rows(path: Path, form: CsvFormat) -> Iterator[_Row]:
    table = CsvTable(path, form)
    names = list(table.names)
    item = next((names.index(name) for name in ITEM_COLUMNS if name in names), None)
    before = next((names.index(name) for name in HISTORY_COLUMNS if name in names), None)
    time = names.index("timestamp") if "timestamp" in names else None
    if item is None or "user_id" not in names or (before is None and time is None):
        raise DataError(
            f"{path}: line 1: a published split needs user_id, {' or '.join(ITEM_COLUMNS)}, and "
            f"timestamp or {' or '.join(HISTORY_COLUMNS)}; there are {listing(names)}."
        )
    user = names.index("user_id")
    for line, values in good_rows(path, table.rows):
        try:
            yield _Row(
                required_id(path, line, "user_id", values[user]),
                required_id(path, line, names[item], values[item]),
                None if time is None else parse_timestamp(values[time]),
                None if before is None else item_list(values[before]),
            )
        except ValueError as error:
            raise DataError(
                f"{path}: line {line}: {error}; correct or remove that line."
            ) from error


def item_list(text: str) -> list[str]:
    """Read item ids between spaces, or a list in brackets.

    >>> item_list("a b"), item_list("['a', 7]"), item_list("")
    (['a', 'b'], ['a', '7'], [])

    Raises:
        ValueError: brackets that hold no list.
    """
    text = text.strip()
    if not text.startswith("["):
        return text.split()
    inner = text[1:-1].rstrip()
    if not text.endswith("]"):
        raise ValueError(f"{text[:40]!r} is no list of item ids")
    found, place = [], 0
    while place < len(inner):
        part = _PART.match(inner, place)
        if part is None or (part.end() < len(inner) and inner[part.end()] != ","):
            raise ValueError(f"{text[:40]!r} is no list of item ids")
        found.append(next(group for group in part.groups() if group is not None))
        place = part.end() + 1
    return found


def _in_time(rows: list[_Row]) -> list[_Row]:
    if any(row.time is None for row in rows):
        return rows
    return sorted(rows, key=lambda row: row.time)  # type: ignore[arg-type, return-value]


def _check_times(paths: Sequence[Path], tables: Sequence[Sequence[_Row]]) -> None:
    for path, rows in zip(paths, tables, strict=True):
        if any(row.time is None for row in rows):
            raise DataError(
                f"{path}: has no column timestamp, and another of the three files no history: what "
                "came before a row cannot be told; give files with either."
            )


def _continue(sequences: list[list[str]], row: _Row) -> None:
    """Add a training row to the sequence that its history ends; each interaction counts once."""
    history = row.history
    last = sequences[-1] if sequences else []
    if history is None:
        history = last
    if sequences and (history is last or (history and last[-len(history) :] == history)):
        last.append(row.item)
    else:
        sequences.append([*history, row.item])


def _cases(rows: Iterable[_Row], users: dict[str, _User]) -> list[tuple[int, list[str], str]]:
    """User, history and target of every row; a file's own rows are history of its later ones."""
    found = []
    for row in rows:
        user = users.setdefault(row.user, _User(len(users)))
        history = row.history
        if history is None:
            history = [other.item for other in user.rows if other.time <= row.time]  # type: ignore[operator]
        user.rows.append(row)
        if history:
            found.append((user.number, history, row.item))
    return found


def _interactions(
    users: dict[str, _User],
    cases: list[list[tuple[int, list[str], str]]],
    num_rows: list[int],
    extra_item_ids: Sequence[str],
) -> Interactions:
    training = [sequence for user in users.values() for sequence in user.training]
    touched = [[i for s in user.training for i in s] for user in users.values()]
    for number, history, target in (case for part in cases for case in part):
        touched[number] += [*history, target]
    for user in users.values():  # rows that are no cases have items, too
        touched[user.number] += [row.item for row in user.rows]
    ids = dict.fromkeys(item for items in touched for item in items)
    numbers = {item: number for number, item in enumerate(ids, start=1)}

    def numbered(items: Iterable[str]) -> np.ndarray:
        return np.array([numbers[item] for item in items], dtype=np.int64)

    made = [[EvalCase(u, numbered(h), numbers[t]) for u, h, t in part] for part in cases]
    if not all(made):
        raise DataError("--split files: validation or test has no row with a history.")
    seen = {item for sequence in training for item in sequence}
    left_out = [total - len(part) for total, part in zip(num_rows, made, strict=True)]
    new = [sum(target not in seen for _, _, target in part) for part in cases]
    is_new = np.array([not user.training for user in users.values()])
    description = (
        f"Published split: {sum(map(len, training)):,} interactions of {int((~is_new).sum()):,} "
        f"users for training, {len(made[0]):,} targets for validation and {len(made[1]):,} for "
        f"test ({left_out[0]:,} and {left_out[1]:,} rows without a history left out; {new[0]:,} "
        f"and {new[1]:,} targets are items new to training)"
    )
    return Interactions(
        item_ids=[PAD_ID, *ids, *(item for item in extra_item_ids if item not in ids)],
        user_ids=list(users),
        user_indices=np.arange(1, len(users) + 1),
        sequences=[numbered(dict.fromkeys(items)) for items in touched],
        parts=Parts(
            [numbered(sequence) for sequence in training],
            dict(zip(("valid", "test"), made, strict=True)),
            is_new,
            description,
        ),
    )
