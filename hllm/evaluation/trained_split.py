"""By which split a model was trained: an evaluation by another one would find what it has seen."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hllm.errors import DataError
from hllm.evaluation.run_records import OPTIONS
from hllm.split_options import DEFAULT_SPLIT, SplitOptions, split_differences, split_options


def trained_split(folder: str | Path) -> SplitOptions | None:
    """The split that a model was trained with; None if its folder does not say.

    Raises:
        DataError: what it says cannot be read.
    """
    path = Path(folder) / OPTIONS
    try:
        return split_options(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error}): restore it.") from error


def check_trained_split(folder: str | Path, split: SplitOptions) -> None:
    """Make sure that a model was trained with a split.

    A model that does not say counts as one of leave-one-out, as published ones are, and as nothing
    else.

    Raises:
        DataError: it was not.
    """
    found = trained_split(folder)
    if found is None and Path(folder).is_dir() and split != DEFAULT_SPLIT:
        raise DataError(
            f"{folder} does not say with which split it was trained (it has no {OPTIONS}), so "
            f"{split_differences(DEFAULT_SPLIT, split)} could measure what it has seen: train it "
            "with that split."
        )
    if found is not None and found != split:
        raise DataError(
            f"{folder} was trained with another split ({split_differences(found, split)}): "
            "evaluate and start only with the one that it was trained with."
        )


def agreed_split(folders: Sequence[str | Path], given: Mapping[str, Any]) -> SplitOptions:
    """The split that all models were trained with.

    Args:
        folders: of the models.
        given: what the user asks for, by name; None: what the models were trained with.

    Raises:
        DataError: a model was trained with another one.
    """
    known = [split for split in map(trained_split, folders) if split is not None]
    values = dataclasses.asdict(known[0] if known else DEFAULT_SPLIT)
    values |= {name: given[name] for name in values if given.get(name) is not None}
    split = split_options(values)
    for folder in folders:
        check_trained_split(folder, split)
    return split
