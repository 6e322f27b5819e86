"""How a data set is split, as options that training and evaluation share.

Imports nothing heavy, for the sake of --help.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hllm.errors import DataError

LEAVE_ONE_OUT, TEMPORAL, FILES = SPLITS = ("leave-one-out", "temporal", "files")
TARGETS = ("last", "random")


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What training may see of the data. hllm.evaluate uses what the model was trained with."""

    _argument_group_name = "split"

    split: str = _option(
        LEAVE_ONE_OUT,
        "leave-one-out: the last interaction of each user is for the test, the one before it for "
        "validation; temporal: one moment for all users divides training from what comes later "
        "(needs clock times); files: a published split, as interactions, valid_interactions and "
        "test_interactions have it",
    )
    split_quantile: float = _option(
        0.9, "temporal: share of the interactions before the cut, and of these before validation's"
    )
    split_target: str = _option(
        "last", "temporal: which of a user's later interactions is to be found, last or random"
    )
    held_out_items: float = _option(
        0.0,
        "hold out this share of the items, drawn by their ids: training never sees them, neither "
        "as target nor in a history nor as negative; evaluation reports their test targets",
    )
    split_seed: int = _option(0, "of the draws of held-out items and random targets")


DEFAULT_SPLIT = SplitOptions()


def check_split(split: SplitOptions) -> None:
    """Make sure that no option is given which would change nothing.

    Raises:
        DataError: one is.
    """
    for name in ("split_quantile", "split_target"):
        value = getattr(split, name)
        if split.split != TEMPORAL and value != getattr(DEFAULT_SPLIT, name):
            raise DataError(f"--{name} {value} changes only --split temporal: give that, too.")


def check_split_files(split: SplitOptions, *others: object) -> None:
    """Make sure that the files of a published split are given with it, and with nothing else.

    Args:
        split: the split.
        others: the files of validation and test; what is empty was not given.

    Raises:
        DataError: they are not.
    """
    if split.split == FILES and not all(others):
        raise DataError("--split files: give --valid_interactions and --test_interactions, too.")
    if split.split != FILES and any(others):
        raise DataError("--valid_interactions and --test_interactions: give --split files, too.")


def number_of(name: str, seed: int) -> int:
    """A random number, 64 bits, that depends on an id and a seed alone: on no order, no file."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def split_options(values: Mapping[str, Any]) -> SplitOptions:
    """The split among other options; what is not there, or None, has its default."""
    names = [own.name for own in dataclasses.fields(SplitOptions)]
    return SplitOptions(**{n: values[n] for n in names if values.get(n) is not None})


def split_differences(was: SplitOptions, now: SplitOptions) -> str:
    """The options that differ, for a sentence; "" if none does."""
    before, after = dataclasses.asdict(was), dataclasses.asdict(now)
    return ", ".join(
        f"--{name} {before[name]} against {after[name]}"
        for name in before
        if before[name] != after[name]
    )
