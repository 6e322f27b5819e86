"""The models that can stand in the two columns, and those of them that are loaded.

Which two a visitor sees travels with every question, as names from the closed list of what is
installed; nothing about a visitor is kept. The two models that the app was started with always
stay. Of the others MOST_OTHERS are held: the one that nobody has asked for the longest goes first,
and none that is loading or was asked for within RESTS_S.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.columns import Column
from app.errors import CatalogError
from app.languages import marked, tr, tr_parts, tr_reason
from hllm.errors import CheckpointError, HLLMError

KEYS = ("hllm", "baseline")  # of the left column and of the right one
MOST_OTHERS = 4
RESTS_S = 60
Pair = tuple[str, str]
WAITS = marked(
    "{model} waits: {count} other models are in use, and it is loaded as soon as one of them is "
    "not asked for any more."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installed:
    """A model that is there, whether it fits the catalogue or not.

    Attributes:
        name: in requests and links.
        column: makes a column of it, not loaded.
        numbers: recall@10 and ndcg@10, or that it was not evaluated.
        check: raises an HLLMError that says in one sentence why it cannot be shown here.
        remedy: the command that would make it fit, "" where the reason names it.
    """

    name: str
    column: Callable[[], Column]
    numbers: str
    check: Callable[[], None] = lambda: None
    remedy: str = ""


@dataclass(frozen=True)
class Offer:
    """An installed model as the page lists it; `problem` says why it cannot be chosen."""

    name: str
    title: str
    does: str
    numbers: str
    problem: str
    remedy: str


@dataclass
class _Held:
    column: Column
    asked: float = field(default_factory=time.monotonic)


class Models:
    """What is installed, and what of it is loaded.

    Args:
        installed: in the order in which they are listed.
        default: names of those that the app was started with: left, right.
        on_let_go: told when a model is let go, so that nobody else keeps it.

    Raises:
        CheckpointError: a name of `default` is not installed, or both are the same.
    """

    def __init__(
        self,
        installed: Sequence[Installed],
        default: Pair,
        on_let_go: Callable[[], None] = lambda: None,
    ) -> None:
        self._installed = {one.name: one for one in installed}
        for name in default:
            if name not in self._installed:
                raise CheckpointError(
                    f"There is no model {name!r} for a column: choose from "
                    f"{', '.join(self._installed)}, or name its folder with --models."
                )
        if default[0] == default[1]:
            raise CheckpointError(f"{default[0]!r} is in both columns: choose two models.")
        self.default = default
        self.columns = [self._installed[name].column() for name in default]
        for column, key in zip(self.columns, KEYS, strict=True):
            column.key = key
        self._others: OrderedDict[str, _Held] = OrderedDict()
        self._on_let_go = on_let_go
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: each takes all cores

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
        found = []
        for one in self._installed.values():
            column, problem, remedy = one.column(), "", ""
            try:
                one.check()
            except HLLMError as error:
                problem = tr_reason(error)
                # What is damaged or not installed says itself what to do.
                remedy = "" if isinstance(error, CheckpointError) else one.remedy
            title, does, numbers = tr(column.title), tr(column.does), tr_parts(one.numbers)
            found.append(Offer(one.name, title, does, numbers, problem, remedy))
        return found

    def _column(self, name: str) -> Column:
        if name in self.default:
            return self.columns[self.default.index(name)]
        with self._lock:
            held = self._others.get(name)
            if held is None:
                column = self._installed[name].column()
                if len(self._others) >= MOST_OTHERS and not self._let_one_go():
                    column.say_meanwhile(
                        tr(WAITS, model=tr(column.title), count=MOST_OTHERS),
                    )
                    return column
                held = self._others[name] = _Held(column)
                threading.Thread(
                    target=self._load, args=[name, column], name=f"load-{name}", daemon=True
                ).start()
            held.asked = time.monotonic()
            self._others.move_to_end(name)
            return held.column

    def _load(self, name: str, column: Column) -> None:
        with self._loading:
            try:
                self._installed[name].check()
            except (HLLMError, CatalogError) as error:
                column.fail(str(error))
            else:
                column.load()

    def _let_one_go(self) -> bool:
        """Make room; False where every model is waited for or in use."""
        for name, held in self._others.items():  # those not asked for the longest first
            if held.column.is_loaded and time.monotonic() - held.asked > RESTS_S:
                del self._others[name]
                self._on_let_go()
                logger.info("%s is let go: others are asked for.", held.column.title)
                return True
        return False
