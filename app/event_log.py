"""Writes down what is shown and clicked, in a thread of its own, so that no click waits for a disk.

Events are a record for later analysis, not part of the answer: whatever hinders their writing is
said in the log and costs events, never an answer. While a database cannot be reached, as many wait
in memory as there is room for. Who has told of an event is told whether it is stored.
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from app.catalog.events import BlindPick, Event, EventFile, Pick, PickSums
from app.errors import AwayError, CatalogError
from app.event_limits import Limits
from app.settings import EVENTS_DAYS

MAX_WAITING = 1000
RETRY_S = 60.0
CLEANING_S = 3600.0
PATIENCE_S = 20.0
CLOSE_PATIENCE_S = 1.0
STORE_PATIENCE_S = 2.0  # that a page waits to hear that what it told is stored
AWAY_S = 1.0  # after which a database that could not be reached is tried again
_DAY_S = 86_400.0
Found = TypeVar("Found")

logger = logging.getLogger(__name__)


class Receipt:
    """Whether what somebody told is stored."""

    def __init__(self) -> None:
        self._settled = threading.Event()
        self._is_stored = False

    def settle(self, is_stored: bool) -> "Receipt":
        """It is, or it will not be."""
        self._is_stored = is_stored
        self._settled.set()
        return self

    def is_stored(self) -> bool:
        """Wait for it, a while: what is not known to be stored may be told again."""
        self._settled.wait(STORE_PATIENCE_S)
        return self._is_stored


class EventLog:
    """The events of a catalogue.

    Args:
        file: where they are written; used by the thread of this log alone.
        days: older ones are deleted; 0: none are written, and none deleted but by `forget`.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self, file: EventFile, days: int = EVENTS_DAYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.days = days
        self._file = file
        self._limits = Limits(clock)
        self._clock = clock
        self._left_out = 0  # since the last time that something was said of it
        self._said_at = -RETRY_S
        self._failing_until: float | None = None
        self._is_away = False
        self._closing = threading.Event()
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(MAX_WAITING)
        threading.Thread(target=self._work, name="event-log", daemon=True).start()

    @property
    def is_recording(self) -> bool:
        """Whether what comes is stored, as far as is known, or waits for a database to be there."""
        return self._failing_until is None

    def add(
        self,
        session: str,
        kind: str,
        model: str,
        item_ids: Sequence[str],
        rank: int | None = None,
        key: str = "",
    ) -> Receipt:
        """Note an event, unless there are too many; never blocks and never fails.

        For what it says see app.catalog.events.Event. Without a key it is given one, so that what
        is tried again after a connection was lost is there once.
        """
        event = Event(
            time=time.time(),
            session=session,
            kind=kind,
            model=model,
            item_ids=item_ids,
            rank=rank,
            key=key or secrets.token_hex(16),
        )
        return self._queue(session, partial(self._file.add, [event]), is_told_again=kind != "shown")

    def add_pick(
        self,
        session: str,
        item_id: str,
        hllm_rank: int | None,
        baseline_rank: int | None,
        key: str = "",
    ) -> Receipt:
        """Note a pick, as `add` does an event."""
        pick = Pick(
            time=time.time(),
            session=session,
            item_id=item_id,
            hllm_rank=hllm_rank,
            baseline_rank=baseline_rank,
            key=key or secrets.token_hex(16),
        )
        return self._queue(session, partial(self._file.add_pick, pick))

    def add_blind_pick(self, pick: BlindPick) -> Receipt:
        """Note a pick of a blind test, as `add` does an event."""
        return self._queue(pick.session, partial(self._file.add_blind_pick, pick))

    def withdraw(self, session: str, list_id: str, item_id: str) -> Receipt:
        """Delete a pick of a blind test that its visitor has taken back; as `add`."""
        return self._queue(session, partial(self._file.withdraw, session, list_id, item_id))

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

        self._closing.set()  # nobody waits any more for a database that is away
        with suppress(queue.Full):
            self._waiting.put(close, timeout=CLOSE_PATIENCE_S)
        if not closed.wait(CLOSE_PATIENCE_S):
            logger.warning("The last events could not be written in time.")

    def flush(self) -> None:
        """Wait until everything that was added is written."""
        self._waiting.join()

    def _ask(self, work: Callable[[], Found], done: str) -> Found:
        """What some work gives that waits its turn behind all that was added."""
        if self._is_away:
            raise AwayError(f"The events cannot be {done} now: try again later.")
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

    def _queue(
        self, session: str, write: Callable[[], None], *, is_told_again: bool = True
    ) -> Receipt:
        receipt = Receipt()
        if not self.days:
            return receipt.settle(True)  # there is nothing to be kept of it
        if self._is_away and is_told_again:
            return receipt.settle(False)  # the page keeps it meanwhile
        if not self._limits.allow(session):
            self._leave_out("too many came at once")
            return receipt.settle(False)
        try:
            self._waiting.put_nowait(partial(self._write, write, receipt))
        except queue.Full:
            self._leave_out("too many wait to be written")
            return receipt.settle(False)
        return receipt

    def _work(self) -> None:
        clean_at = self._clock()
        while True:
            if self.days and self._clock() >= (self._failing_until or clean_at):
                self._check()
            if self.days and self.is_recording and self._clock() >= clean_at:
                clean_at = self._clock() + CLEANING_S
                self._do(partial(self._file.forget_before, time.time() - self.days * _DAY_S))
            with suppress(queue.Empty):
                work = self._waiting.get(timeout=CLEANING_S if self.is_recording else RETRY_S)
                try:
                    self._do(work)
                finally:
                    self._waiting.task_done()

    def _check(self) -> None:
        """See whether events can be written, before the first one is lost."""
        try:
            self._file.check()
        except AwayError:
            return  # whoever writes waits for it
        except CatalogError as error:
            self._fail(error)
        else:
            self._succeed()

    def _fail(self, error: CatalogError) -> None:
        if self._failing_until is None:
            logger.warning("Events are not recorded: %s It is tried again every minute.", error)
        self._failing_until = self._clock() + RETRY_S

    def _succeed(self) -> None:
        if self._failing_until is not None:
            logger.warning("Events are recorded again; %d were left out.", self._left_out)
            self._left_out = 0
            self._failing_until = None  # last: who sees it may look for what was said

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except CatalogError as error:
            logger.warning("%s", error)
        except Exception:
            logger.exception("An event could not be written")

    def _write(self, write: Callable[[], None], receipt: Receipt) -> None:
        now = self._clock()
        if self._failing_until is not None and now < self._failing_until:
            self._left_out += 1
            receipt.settle(False)
            return
        try:
            self._write_when_there(write)
        except CatalogError as error:
            receipt.settle(False)
            self._left_out += 1
            self._fail(error)
            return
        except BaseException:
            receipt.settle(False)
            raise
        receipt.settle(True)
        self._succeed()

    def _write_when_there(self, write: Callable[[], None]) -> None:
        """Write, and as long as a database is away try again; what is added meanwhile waits.

        Raises:
            CatalogError: it cannot be written, or the log is closed before it can.
        """
        while True:
            try:
                write()
                break
            except AwayError as error:
                if not self._is_away:
                    self._is_away = True
                    logger.warning(
                        "%s What is shown waits in memory until it can, at most %d events.",
                        error,
                        MAX_WAITING,
                    )
                if self._closing.wait(AWAY_S):
                    raise
        if self._is_away:
            self._is_away = False
            said = f"; {self._left_out} were left out" if self._left_out else ""
            logger.warning("Events are written again%s.", said)
            self._left_out = 0

    def _leave_out(self, reason: str) -> None:
        """Count an event that is not written; says so once a minute, not every time."""
        self._left_out += 1
        now = self._clock()
        if now >= self._said_at + RETRY_S:
            self._said_at = now
            logger.warning("Events are left out (%d by now): %s.", self._left_out, reason)
