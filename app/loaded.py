"""What is loaded of the models that the app was not started with: a bounded number of them.

The bound is one for all catalogues. A model begins to load when somebody asks for it. MOST_OTHERS
are held: the one that nobody has asked for the longest goes first, and none that is loading or was
asked for within RESTS_S.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from app.columns import Column
from app.errors import CatalogError
from app.languages import marked, tr
from hllm.errors import HLLMError

MOST_OTHERS = 4
RESTS_S = 60
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


@dataclass
class _Held:
    column: Column
    on_let_go: Callable[[Column], None]
    asked: float = field(default_factory=time.monotonic)

    @property
    def is_in_use(self) -> bool:
        """One that could not be loaded is in nobody's use."""
        if not self.column.is_loaded:
            return True
        return self.column.has_answers and time.monotonic() - self.asked <= RESTS_S


class Loaded:
    """The models that are loaded beside those of the start; safe to share by threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[Hashable, str], _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: each takes all cores

    def column(
        self, owner: Hashable, one: Installed, on_let_go: Callable[[Column], None]
    ) -> Column:
        """The column of a model as it is now; what is not loaded begins to load.

        Args:
            owner: whose models they are: of two catalogues, equal names are two models.
            one: that is asked for.
            on_let_go: is given the column that is let go, so that nobody else keeps its model.
        """
        key = (owner, one.name)
        with self._lock:
            held = self._held.get(key)
            if held is None:
                column = one.column()
                if len(self._held) >= MOST_OTHERS and not self._let_one_go():
                    column.say_meanwhile(
                        tr(WAITS, model=tr(column.title), count=MOST_OTHERS),
                    )
                    return column
                held = self._held[key] = _Held(column, on_let_go)
                threading.Thread(
                    target=self._load, args=[one, column], name=f"load-{one.name}", daemon=True
                ).start()
            held.asked = time.monotonic()
            self._held.move_to_end(key)
            return held.column

    def _load(self, one: Installed, column: Column) -> None:
        with self._loading:
            try:
                one.check()
            except (HLLMError, CatalogError) as error:
                column.fail(str(error))
            else:
                column.load()

    def _let_one_go(self) -> bool:
        """Make room; False where every model is waited for or in use."""
        for key, held in self._held.items():  # those not asked for the longest first
            if not held.is_in_use:
                del self._held[key]
                held.on_let_go(held.column)
                logger.info("%s is let go: others are asked for.", held.column.title)
                return True
        return False
