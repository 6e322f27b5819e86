"""Data sets: the csv pair (items, interactions), sequences per user, leave-one-out split, chunks.

``interactions.csv[.gz]`` has the columns item_id, user_id, timestamp; ``items.csv[.gz]`` has
item_id and any text columns. Item index 0 is padding; real items are numbered from 1 in order of
their first appearance in the interactions file, then those that only items.csv names, if asked for.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hllm.errors import DataError

PAD_ID = "[PAD]"
INTERACTION_COLUMNS = ("item_id", "user_id", "timestamp")


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
    """

    item_ids: list[str]
    user_ids: list[str]
    user_indices: np.ndarray
    sequences: list[np.ndarray]

    @property
    def num_items(self) -> int:
        """Number of rows of an embedding table: the items plus the padding row."""
        return len(self.item_ids)


def read_items(
    path: str | Path, *, reference_compatible: bool = False
) -> dict[str, dict[str, Any]]:
    """Read items.csv into item_id -> fields; of a repeated item_id the last row counts.

    By default every cell is text exactly as written and only an empty cell is missing, so a book
    called "None" keeps its title and 1999 stays "1999".

    Args:
        path: csv, plain or .gz, with a column item_id.
        reference_compatible: infer types as the reference does through pandas: cells such as "NA",
            "None" or "null" are missing, integers become floats in a column with an empty cell.

    Raises:
        DataError: the file is missing, unreadable, empty or has no column item_id.
    """
    frame = _read_csv(path, typed=reference_compatible)
    if "item_id" not in frame.columns:
        raise DataError(
            f"{path}: line 1: no column 'item_id' among {', '.join(map(str, frame.columns))}; "
            "name the column with the item's id 'item_id'."
        )
    records = frame.to_dict("records")
    return {
        str(row.pop("item_id")): {str(k): v for k, v in row.items() if not _missing(v)}
        for row in records
    }


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _read_csv(path: str | Path, *, typed: bool) -> pd.DataFrame:
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of a csv or csv.gz file.")
    options: dict[str, Any] = (
        {"dtype": {"item_id": str}, "low_memory": False}
        if typed
        else {"dtype": str, "keep_default_na": False, "na_filter": False}
    )
    try:
        return pd.read_csv(path, **options)
    except (ValueError, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read as csv ({error}); mend or re-export it."
        ) from error


def read_interactions(
    path: str | Path,
    *,
    extra_item_ids: Sequence[str] = (),
    reference_compatible: bool = False,
) -> Interactions:
    """Read interactions.csv into one time-ordered sequence per user.

    Args:
        path: csv, plain or .gz, with the columns item_id, user_id, timestamp (in any order).
        extra_item_ids: items without interactions that are candidates too; they are numbered last.
        reference_compatible: take the columns by position whatever they are called, and sort by
            time with pandas' unstable default, as the reference does. Our default sorts stably:
            rows of equal time keep the order of the file on every machine.

    Raises:
        DataError: a missing file or column, or a timestamp that is no integer (with its line).
    """
    frame = _interaction_columns(path, by_position=reference_compatible)
    timestamps = _timestamps(path, frame["timestamp"])
    item_codes, item_values = pd.factorize(frame["item_id"])
    user_codes, user_values = pd.factorize(frame["user_id"])
    known = set(item_values)
    item_ids = [PAD_ID, *item_values, *(i for i in extra_item_ids if i not in known)]
    order = (
        pd.Series(timestamps)
        .sort_values(kind="quicksort" if reference_compatible else "stable")
        .index.to_numpy()
    )
    users, items = user_codes[order], item_codes[order] + 1
    appearance, _ = pd.factorize(users)  # users numbered by their first interaction in time
    grouped = np.argsort(appearance, kind="stable")
    bounds = np.cumsum(np.bincount(appearance))[:-1]
    sequences = np.split(items[grouped].astype(np.int64), bounds)
    first = users[grouped][np.concatenate([[0], bounds])]
    return Interactions(
        item_ids=list(map(str, item_ids)),
        user_ids=[str(user_values[u]) for u in first],
        user_indices=first.astype(np.int64) + 1,
        sequences=sequences,
    )


def _interaction_columns(path: str | Path, *, by_position: bool) -> pd.DataFrame:
    frame = _read_csv(path, typed=False)
    if by_position and len(frame.columns) >= 3:
        frame = frame.iloc[:, :3].set_axis(list(INTERACTION_COLUMNS), axis=1)
    absent = [name for name in INTERACTION_COLUMNS if name not in frame.columns]
    if absent:
        raise DataError(
            f"{path}: line 1: no column {', '.join(absent)}; the header must name "
            f"{', '.join(INTERACTION_COLUMNS)}."
        )
    if frame.empty:
        raise DataError(f"{path}: has a header but no interactions; export them again.")
    return frame


def _timestamps(path: str | Path, column: pd.Series) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna().to_numpy())
    if len(bad):
        raise DataError(
            f"{path}: line {bad[0] + 2}: timestamp {column.iloc[bad[0]]!r} is not a number; "
            "correct or remove that line."
        )
    return values.to_numpy()


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


def eval_cases(interactions: Interactions, phase: str) -> list[EvalCase]:
    """Leave-one-out cases: "valid" predicts the last but one interaction, "test" the last.

    Users whose history would be empty are left out (the reference crashes on them or ranks the
    padding item's guess).

    Raises:
        ValueError: phase is neither "valid" nor "test".
    """
    if phase not in ("valid", "test"):
        raise ValueError(f"phase {phase!r}: choose 'valid' or 'test'")
    end = -2 if phase == "valid" else -1
    return [
        EvalCase(user, sequence[:end], int(sequence[end]))
        for user, sequence in enumerate(interactions.sequences)
        if len(sequence) > -end
    ]


def train_chunks(
    sequence: np.ndarray, max_history: int, *, data_split: bool = True
) -> list[np.ndarray]:
    """Training sequences of one user: all but the last two interactions, cut to max_history + 1.

    Args:
        sequence: (n,) the user's item indices, oldest first.
        max_history: most items the User LLM reads (MAX_ITEM_LIST_LENGTH of the reference).
        data_split: cut a long sequence into consecutive chunks of exactly max_history + 1, dropping
            the oldest remainder; otherwise only the most recent max_history + 1 are used.

    Returns:
        Arrays of 1 to max_history + 1 items; none for users with fewer than three interactions.
        The first item of a chunk is context only.
    """
    items, size = sequence[:-2], max_history + 1
    if len(items) == 0:
        return []
    if len(items) <= size:
        return [items]
    if not data_split:
        return [items[-size:]]
    items = items[len(items) % size :]
    return list(items.reshape(-1, size))


def training_parts(interactions: Interactions) -> list[np.ndarray]:
    """What training may see of each user: all but the last two interactions, if any are left."""
    return [sequence[:-2] for sequence in interactions.sequences if len(sequence) > 2]


def popularity(interactions: Interactions) -> np.ndarray:
    """(num_items,) int64: how often each item occurs in training_parts."""
    train = training_parts(interactions)
    joined = np.concatenate(train) if train else np.zeros(0, dtype=np.int64)
    return np.bincount(joined, minlength=interactions.num_items)


def item_fields(
    interactions: Interactions, items: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any] | None]:
    """Fields by item_index; None for padding and for items that items.csv does not have."""
    return [None, *(items.get(item_id) for item_id in interactions.item_ids[1:])]
