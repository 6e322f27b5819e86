"""Data sets: the csv pair (items, interactions), sequences per user, leave-one-out split, chunks.

``interactions.csv[.gz]`` has the columns item_id, user_id, timestamp; ``items.csv[.gz]`` has
item_id and any text columns. Item index 0 is padding; real items are numbered from 1 in order of
their first appearance in the interactions file, then those that only items.csv names, if asked for.
"""

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hllm.errors import DataError
from hllm.rows import NO_HEADER, InteractionRows, good_rows, read_interaction_rows, required_id
from hllm.tables import (
    DEFAULT_FORMAT,
    MISSING,
    CsvFormat,
    CsvTable,
    listing,
    looks_like_data,
)
from hllm.times import Timestamp, time_order

logger = logging.getLogger(__name__)

PAD_ID = "[PAD]"
NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Interactions:
    """Interactions as one time-ordered sequence of item indices per user.

    Attributes:
        item_ids: item_index -> item_id; entry 0 is padding.
        user_ids: user_id of each sequence.
        user_indices: (num_users,) int64, 1-based number of each user in order of appearance in the
            file (the reference numbers users so); only the parity tests need it.
        sequences: one int64 array of item indices per user, oldest first. Users are in the order of
            their first interaction in time.
        parts: what training sees and what is evaluated; None: leave-one-out.
        held_out: (num_items,) bool, items that training never sees; None: no option asked for it.
    """

    item_ids: list[str]
    user_ids: list[str]
    user_indices: np.ndarray
    sequences: list[np.ndarray]
    parts: "Parts | None" = None
    held_out: np.ndarray | None = None

    @property
    def num_items(self) -> int:
        """Number of rows of an embedding table: the items plus the padding row."""
        return len(self.item_ids)


def read_items(
    path: str | Path,
    *,
    form: CsvFormat = DEFAULT_FORMAT,
    reference_compatible: bool = False,
) -> dict[str, dict[str, Any]]:
    r"""Read items.csv into item_id -> fields; of a repeated item_id the last row counts.

    By default every cell is text exactly as written and only an empty cell and ``\N`` are missing,
    so a book called "None" keeps its title and 1999 stays "1999".

    Args:
        path: csv, plain or .gz, with a column item_id.
        form: how the csv is written.
        reference_compatible: infer types as the reference does through pandas: cells such as "NA",
            "None" or "null" are missing, integers become floats in a column with an empty cell.

    Raises:
        DataError: the file is missing, unreadable, empty or has no column item_id, or a row does
            not fit the header (with its line).
    """
    table = CsvTable(path, form)
    names = table.names
    if "item_id" not in names:
        raise DataError(
            f"{path}: line 1: no column 'item_id' among {listing(names)}; "
            f"{NO_HEADER if looks_like_data(names) else ''}"
            "name the column with the item's id 'item_id'."
        )
    place = names.index("item_id")
    items: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    repeated: dict[str, int] = {}
    for line, values in good_rows(path, table.rows):
        item_id = required_id(path, line, "item_id", values[place])
        if item_id in items:
            repeated.setdefault(item_id, lines[item_id])
        lines[item_id] = line
        items[item_id] = {
            name: value
            for name, value in zip(names, values, strict=True)
            if value and value != MISSING and name != "item_id"
        }
    _warn_of_repeated(
        path, {item_id: (first, lines[item_id]) for item_id, first in repeated.items()}
    )
    return _typed_items(path, form) if reference_compatible else items


def _warn_of_repeated(path: str | Path, repeated: Mapping[str, tuple[int, int]]) -> None:
    if repeated:
        examples = ", ".join(
            f"{item_id!r} (lines {first} and {last})"
            for item_id, (first, last) in islice(repeated.items(), NUM_EXAMPLES)
        )
        logger.warning(
            "%s: %s item ids are there more than once, and the last row of each counts: %s",
            path, f"{len(repeated):,}", examples,
        )  # fmt: skip


def _typed_items(path: str | Path, form: CsvFormat) -> dict[str, dict[str, Any]]:
    """Items of a file that CsvTable has read to its end, with the types that pandas infers."""
    delimiter = form.delimiter_of(Path(path))
    how: dict[str, Any] = {"sep": delimiter, "low_memory": False}
    if len(delimiter) > 1:  # pandas takes it for a regular expression
        how = {"sep": re.escape(delimiter), "engine": "python"}
    how |= {"quotechar": form.quote} if form.quote else {"quoting": csv.QUOTE_NONE}
    frame = pd.read_csv(
        path, dtype={"item_id": str}, index_col=False, encoding=form.encoding or "utf-8", **how
    )
    return {
        str(row.pop("item_id")): {str(k): v for k, v in row.items() if not _missing(v)}
        for row in frame.to_dict("records")
    }


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and value != value)


def read_interactions(
    path: str | Path,
    *,
    form: CsvFormat = DEFAULT_FORMAT,
    extra_item_ids: Sequence[str] = (),
    reference_compatible: bool = False,
) -> Interactions:
    """Read interactions.csv into one time-ordered sequence per user.

    Args:
        path: csv, plain or .gz, with the columns item_id, user_id, timestamp (in any order). A
            timestamp is a number in any unit or a date and time in ISO notation; every digit
            counts.
        form: how the csv is written.
        extra_item_ids: items without interactions that are candidates too; they are numbered last.
        reference_compatible: take the columns by position whatever they are called, and sort by
            time with pandas' unstable default, as the reference does. Our default sorts stably:
            rows of equal time keep the order of the file on every machine.

    Raises:
        DataError: a missing file or column, a row that does not fit the header, an id that is
            empty, or a timestamp that cannot be read (with its line).
    """
    rows = read_interaction_rows(path, form, by_position=reference_compatible)
    order = row_order(rows, reference_compatible=reference_compatible)
    return make_interactions(rows, order, extra_item_ids)


def row_order(rows: InteractionRows, *, reference_compatible: bool = False) -> np.ndarray:
    """(n,) int64 the rows in order of time; see read_interactions."""
    order = _unstable_order if reference_compatible else time_order
    return order(rows.timestamps)


def make_interactions(
    rows: InteractionRows, order: np.ndarray, extra_item_ids: Sequence[str] = ()
) -> Interactions:
    """Sequences from rows, taken in an order of time; extra_item_ids as read_interactions'."""
    users, items = np.asarray(rows.user_codes)[order], np.asarray(rows.item_codes)[order]
    first, sequences = group_by_user(users, items + 1)
    user_ids, known = list(rows.user_number), rows.item_number
    return Interactions(
        item_ids=[PAD_ID, *known, *(i for i in extra_item_ids if i not in known)],
        user_ids=[user_ids[user] for user in first],
        user_indices=first + 1,
        sequences=sequences,
    )


def _unstable_order(timestamps: Sequence[Timestamp]) -> np.ndarray:
    numbers = pd.Series(np.array(timestamps, dtype=np.float64))
    if all(isinstance(number, int) for number in timestamps):
        numbers = pd.Series(np.array(timestamps, dtype=np.int64))
    return numbers.sort_values(kind="quicksort").index.to_numpy()


def group_by_user(users: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows in order of time become one sequence per user, in order of their first row.

    Args:
        users: (n,) int64 user of each row.
        values: (n,) int64 item of each row, or whatever else it has.

    Returns:
        (num_users,) int64 user of each sequence, and the sequences, int64.
    """
    appearance, _ = pd.factorize(users)
    grouped = np.argsort(appearance, kind="stable")
    bounds = np.cumsum(np.bincount(appearance))[:-1]
    first = users[grouped][np.concatenate([[0], bounds])]
    return first.astype(np.int64), np.split(values[grouped].astype(np.int64), bounds)


@dataclass(frozen=True)
class EvalCase:
    """One user to evaluate: what the model sees and what it must find.

    Attributes:
        user: position in Interactions.sequences.
        history: item indices, oldest first, not truncated.
        target: item index of the next interaction.
    """

    user: int
    history: np.ndarray
    target: int


@dataclass(frozen=True)
class Parts:
    """A split other than leave-one-out (hllm.splits).

    Attributes:
        training: item indices of each user that training may see, oldest first, none empty.
        cases: phase -> cases.
        new_users: (num_users,) bool users of whom training sees nothing; None: not asked for.
        description: for people, with what was counted.
    """

    training: list[np.ndarray]
    cases: Mapping[str, list[EvalCase]]
    new_users: np.ndarray | None = None
    description: str = ""


def eval_cases(interactions: Interactions, phase: str) -> list[EvalCase]:
    """The cases of a phase, by the split of the interactions.

    Leave-one-out: "valid" predicts the last but one interaction, "test" the last. Users whose
    history would be empty are left out (the reference crashes on them or ranks the
    padding item's guess).

    Raises:
        ValueError: phase is neither "valid" nor "test".
    """
    if phase not in ("valid", "test"):
        raise ValueError(f"phase {phase!r}: choose 'valid' or 'test'")
    if interactions.parts:
        return interactions.parts.cases[phase]
    end = -2 if phase == "valid" else -1
    return [
        EvalCase(user, sequence[:end], int(sequence[end]))
        for user, sequence in enumerate(interactions.sequences)
        if len(sequence) > -end
    ]


def train_chunks(
    part: np.ndarray, max_history: int, *, data_split: bool = True
) -> list[np.ndarray]:
    """Training sequences of one user: the training part, cut to max_history + 1.

    Args:
        part: (n,) of training_parts, oldest first.
        max_history: most items the User LLM reads (MAX_ITEM_LIST_LENGTH of the reference).
        data_split: cut a long sequence into consecutive chunks of exactly max_history + 1, dropping
            the oldest remainder; otherwise only the most recent max_history + 1 are used.

    Returns:
        Arrays of 1 to max_history + 1 items, none of an empty part. The first item of a chunk is
        context only.
    """
    size = max_history + 1
    if len(part) == 0:
        return []
    if len(part) <= size:
        return [part]
    if not data_split:
        return [part[-size:]]
    return list(part[len(part) % size :].reshape(-1, size))


def training_parts(interactions: Interactions) -> list[np.ndarray]:
    """What training may see of each user; by leave-one-out, all but the last two interactions."""
    if interactions.parts:
        return interactions.parts.training
    return [sequence[:-2] for sequence in interactions.sequences if len(sequence) > 2]


def popularity(interactions: Interactions) -> np.ndarray:
    """(num_items,) int64: how often each item occurs in training_parts."""
    train = training_parts(interactions)
    joined = np.concatenate(train) if train else np.zeros(0, dtype=np.int64)
    return np.bincount(joined, minlength=interactions.num_items)


def item_fields(
    interactions: Interactions, items: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any] | None]:
    """Fields by item_index; None for padding and for items that items.csv does not have.

    Raises:
        DataError: it has none of them.
    """
    item_ids = interactions.item_ids[1:]
    unknown = [item_id for item_id in item_ids if item_id not in items]
    if unknown:
        examples = ", ".join(map(repr, unknown[:NUM_EXAMPLES]))
        others = ", ".join(map(repr, islice(items, NUM_EXAMPLES)))
        if len(unknown) == len(item_ids):
            raise DataError(
                f"none of the {len(item_ids):,} items of the interactions has a row in the items "
                f"file: {examples} in the one, {others or 'nothing'} in the other; write the ids "
                "alike in both."
            )
        logger.warning(
            "%s of %s items of the interactions (%.1f%%) have no row in the items file and so no "
            "text: %s; the items file has %s",
            f"{len(unknown):,}", f"{len(item_ids):,}", 100 * len(unknown) / len(item_ids),
            examples, others,
        )  # fmt: skip
    return [None, *map(items.get, item_ids)]
