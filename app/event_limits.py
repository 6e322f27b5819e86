"""How many events may come of a tab, and of all tabs together."""

import threading
from collections import OrderedDict
from collections.abc import Callable

# A click gives three events. A visitor does not click faster, a program may.
TAB_BURST, TAB_PER_SECOND = 120, 2.0
ALL_BURST, ALL_PER_SECOND = 5_000, 50.0  # tabs cost nothing to those who make them up
MAX_TABS = 10_000


class Limits:
    """Allowances that fill up again, of each tab and of all together.

    Tabs are random ids; nothing is kept of addresses.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = (float(ALL_BURST), clock())
        self._tabs: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, session: str) -> bool:
        """Whether one more may come of a tab; if so, it is counted."""
        now = self._clock()
        with self._lock:
            tab = _refilled(
                self._tabs.pop(session, (float(TAB_BURST), now)), now, TAB_BURST, TAB_PER_SECOND
            )
            everybody = _refilled(self._all, now, ALL_BURST, ALL_PER_SECOND)
            allowed = tab >= 1 and everybody >= 1
            self._tabs[session] = (tab - allowed, now)
            self._all = (everybody - allowed, now)
            if len(self._tabs) > MAX_TABS:
                self._tabs.popitem(last=False)
        return allowed


def _refilled(state: tuple[float, float], now: float, most: int, per_second: float) -> float:
    left, at = state
    return min(float(most), left + (now - at) * per_second)
