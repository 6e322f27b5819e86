"""How a data set is split, as options that training and evaluation share.

Imports nothing heavy, for the sake of --help.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What training may see of the data. hllm.evaluate uses what the model was trained with."""

    _argument_group_name = "split"

    held_out_items: float = _option(
        0.0,
        "hold out this share of the items, drawn by their ids: training never sees them, neither "
        "as target nor in a history nor as negative; evaluation reports their test targets",
    )
    split_seed: int = _option(0, "of the draw of held-out items")


DEFAULT_SPLIT = SplitOptions()


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
