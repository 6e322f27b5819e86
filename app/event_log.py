"""Writes down what is shown and clicked, in a thread of its own, so that no click waits for a disk.

Events are a record for later analysis, not part of the answer: whatever hinders their writing is
said in the log and costs events, never an answer.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.catalog.events import BlindPick, Event, EventFile, Pick, PickSums
from app.errors import CatalogError
from app.settings import EVENTS_DAYS

MAX_WAITING = 1000
# A click gives three events. A visitor does not click faster, a program may.
TAB_BURST, TAB_PER_SECOND = 120, 2.0
ALL_BURST, ALL_PER_SECOND = 5_000, 50.0  # tabs cost nothing to those who make them up
MAX_TABS = 10_000
RETRY_S = 60.0
CLEANING_S = 3600.0
PATIENCE_S = 20.0
CLOSE_PATIENCE_S = 1.0
_DAY_S = 86_400.0
Found = TypeVar("Found")

logger = logging.getLogger(__name__)


class EventLog:
    """The events of a catalogue.

    Args:
        path: the file of events.
        days: older ones are deleted; 0: none are written, and none deleted but by `forget`.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self, path: Path, days: int = EVENTS_DAYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.days = days
        self._file = EventFile(path)
        self._limits = _Limits(clock)
        self._clock = clock
        self._left_out = 0  # since the last time that something was said of it
        self._said_at = -RETRY_S
        self._failing_until: float | None = None
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(MAX_WAITING)
        threading.Thread(target=self._work, name="event-log", daemon=True).start()

    def add(
        self, session: str, kind: str, model: str, item_ids: Sequence[str], rank: int | None = None
    ) -> None:
        """Note an event, unless there are too many; never blocks and never fails."""
        if not self.days:
            return
        event = Event(
            time=time.time(), session=session, kind=kind, model=model, item_ids=item_ids, rank=rank
        )
        self._queue(session, partial(self._file.add, [event]))

    def add_pick(
        self, session: str, item_id: str, hllm_rank: int | None, baseline_rank: int | None
    ) -> None:
        """Note a pick, as `add` does an event."""
        if not self.days:
            return
        pick = Pick(
            time=time.time(),
            session=session,
            item_id=item_id,
            hllm_rank=hllm_rank,
            baseline_rank=baseline_rank,
        )
        self._queue(session, partial(self._file.add_pick, pick))

    def add_blind_pick(self, pick: BlindPick) -> None:
        """Note a pick of a blind test, as `add` does an event."""
        if self.days:
            self._queue(pick.session, partial(self._file.add_blind_pick, pick))

    def withdraw(self, session: str, list_id: str, item_id: str) -> None:
        """Delete a pick of a blind test that its visitor has taken back; as `add`."""
        if self.days:
            self._queue(session, partial(self._file.withdraw, session, list_id, item_id))

    def pick_sums(self, hit_rank: int) -> list[PickSums]:
        """Sums of the picks of every session, those that still wait to be written included.

        Raises:
            CatalogError: they cannot be read.
        """
        return self._ask(partial(self._file.pick_sums, hit_rank), "read")

    def forget(self, sessions: Sequence[str]) -> int:
        """Delete all events of some tabs, those that still wait to be written included.

        Returns:
            How many there were.

        Raises:
            CatalogError: they cannot be deleted.
        """
        return self._ask(partial(self._file.forget, sessions), "deleted")

    def close(self) -> None:
        """Write what waits and close the file; said in the log if that takes too long."""
        closed = threading.Event()

        def close() -> None:
            self._file.close()
            closed.set()

        with suppress(queue.Full):
            self._waiting.put(close, timeout=CLOSE_PATIENCE_S)
        if not closed.wait(CLOSE_PATIENCE_S):
            logger.warning("The last events could not be written in time.")

    def flush(self) -> None:
        """Wait until everything that was added is written."""
        self._waiting.join()

    def _ask(self, work: Callable[[], Found], done: str) -> Found:
        """What some work gives that waits its turn behind all that was added."""
        answer: queue.Queue[Found | CatalogError] = queue.Queue(1)

        def do() -> None:
            try:
                answer.put(work())
            except CatalogError as error:
                answer.put(error)

        try:
            self._waiting.put(do, timeout=PATIENCE_S)
            found = answer.get(timeout=PATIENCE_S)
        except (queue.Full, queue.Empty) as error:
            raise CatalogError(f"The events cannot be {done} now: try again later.") from error
        if isinstance(found, CatalogError):
            raise found
        return found

    def _queue(self, session: str, write: Callable[[], None]) -> None:
        if not self._limits.allow(session):
            self._leave_out("too many came at once")
            return
        try:
            self._waiting.put_nowait(partial(self._write, write))
        except queue.Full:
            self._leave_out("too many wait to be written")

    def _work(self) -> None:
        clean_at = self._clock()
        while True:
            if self.days and self._clock() >= clean_at:
                clean_at = self._clock() + CLEANING_S
                self._do(partial(self._file.forget_before, time.time() - self.days * _DAY_S))
            with suppress(queue.Empty):
                work = self._waiting.get(timeout=CLEANING_S)
                try:
                    self._do(work)
                finally:
                    self._waiting.task_done()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except CatalogError as error:
            logger.warning("%s", error)
        except Exception:
            logger.exception("An event could not be written")

    def _write(self, write: Callable[[], None]) -> None:
        now = self._clock()
        if self._failing_until is not None and now < self._failing_until:
            self._left_out += 1
            return
        try:
            write()
        except CatalogError as error:
            self._left_out += 1
            if self._failing_until is None:
                logger.warning("Events are not recorded: %s It is tried again every minute.", error)
            self._failing_until = now + RETRY_S
            return
        if self._failing_until is not None:
            self._failing_until = None
            logger.warning("Events are recorded again; %d were left out.", self._left_out)
            self._left_out = 0

    def _leave_out(self, reason: str) -> None:
        """Count an event that is not written; says so once a minute, not every time."""
        self._left_out += 1
        now = self._clock()
        if now >= self._said_at + RETRY_S:
            self._said_at = now
            logger.warning("Events are left out (%d by now): %s.", self._left_out, reason)


class _Limits:
    """How many events may come of a tab, and of all tabs together: allowances that fill up again.

    Tabs are random ids; nothing is kept of addresses.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = (float(ALL_BURST), clock())
        self._tabs: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, session: str) -> bool:
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
