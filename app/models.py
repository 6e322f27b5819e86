"""The models that can stand in the two columns of a catalogue.

Which two a visitor sees travels with every question, as names from the closed list of what is
installed; nothing about a visitor is kept. The two models of the catalogue that is shown first
always stay loaded; of all others app.loaded holds a bounded number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.columns import Column
from app.languages import tr, tr_parts, tr_reason
from app.loaded import Installed, Loaded
from hllm.errors import CheckpointError, HLLMError, did_you_mean

KEYS = ("hllm", "baseline")  # of the left column and of the right one
Pair = tuple[str, str]


@dataclass(frozen=True)
class Offer:
    """An installed model as the page lists it; `problem` says why it cannot be chosen."""

    name: str
    title: str
    does: str
    numbers: str
    problem: str
    remedy: str


class Models:
    """What is installed for a catalogue.

    Args:
        installed: in the order in which they are listed.
        default: names of those that are shown first: left, right.
        loaded: holds what is loaded; None: a holder of its own.
        stays: both of `default` stay loaded, which whoever makes this loads; otherwise they load
            when they are asked for, as all others.

    Attributes:
        on_let_go: is given a column that is let go, so that nobody else keeps its model.
        columns: those of `default` where they stay; empty otherwise.

    Raises:
        CheckpointError: a name of `default` is not installed, or both are the same.
    """

    def __init__(
        self,
        installed: Sequence[Installed],
        default: Pair,
        loaded: Loaded | None = None,
        *,
        stays: bool = True,
    ) -> None:
        self._installed = {one.name: one for one in installed}
        for name in default:
            if name not in self._installed:
                raise CheckpointError(
                    f"There is no model {name!r} for a column"
                    f"{did_you_mean(name, self._installed)}: choose from "
                    f"{', '.join(self._installed)}, or name its folder with --models."
                )
        if default[0] == default[1]:
            raise CheckpointError(f"{default[0]!r} is in both columns: choose two models.")
        self.default = default
        self.columns = [self._installed[name].column() for name in default] if stays else []
        for column, key in zip(self.columns, KEYS, strict=False):
            column.key = key
        self._loaded = loaded or Loaded()
        self.on_let_go: Callable[[Column], None] = lambda column: None

    def pair_of(self, raw: Any) -> Pair:
        """The two models that a page names; the default for anything else."""
        if not isinstance(raw, list) or len(raw) != len(KEYS) or raw[0] == raw[1]:
            return self.default
        if not all(isinstance(name, str) and name in self._installed for name in raw):
            return self.default
        return raw[0], raw[1]

    def columns_of(self, pair: Pair) -> list[Column]:
        """Both columns as they are now; what is not loaded begins to load in the background."""
        columns = [self._column(name) for name in pair]
        return [column.at(key) for column, key in zip(columns, KEYS, strict=True)]

    def offers(self) -> list[Offer]:
        """Everything that is installed, with the reason where it does not fit."""
        return [_offer(one) for one in self._installed.values()]

    def default_offers(self) -> list[Offer]:
        """The two that are shown first."""
        return [_offer(self._installed[name]) for name in self.default]

    def _column(self, name: str) -> Column:
        if self.columns and name in self.default:
            return self.columns[self.default.index(name)]
        return self._loaded.column(self, self._installed[name], self.on_let_go)


def _offer(one: Installed) -> Offer:
    column, problem, remedy = one.column(), "", ""
    try:
        one.check()
    except HLLMError as error:
        problem = tr_reason(error)
        # What is damaged or not installed says itself what to do.
        remedy = "" if isinstance(error, CheckpointError) else one.remedy
    title, does, numbers = tr(column.title), tr(column.does), tr_parts(one.numbers)
    return Offer(one.name, title, does, numbers, problem, remedy)
