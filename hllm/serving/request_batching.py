"""Requests of many visitors in one forward pass.

Nobody waits for company: whoever finds the model free takes along everyone who waits at that
moment, and what arrives while it computes is the next batch. A lone visitor pays nothing, and the
batches grow with the load by themselves.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from hllm.errors import HLLMError

# 1.1 billion parameters in int4 take 20 ms for one history, 6.6 ms each for 16 and no less each
# for 48: a larger batch only makes everybody wait.
MAX_BATCH = 16
MAX_WAIT_S = 60.0

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class BusyError(HLLMError):
    """A request waited too long and was withdrawn."""


class _Entry(Generic[Request, Answer]):
    """A request and, once it is done, its answer or error."""

    __slots__ = ("answer", "done", "error", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.done = False


class Batcher(Generic[Request, Answer]):
    """Runs a function on batches of what several threads ask for; first come, first served.

    It has no thread of its own: one of the waiting threads does the work.

    Args:
        run: B requests -> B answers, in the same order; never called twice at the same time.
        max_batch: most requests of a call.
        max_wait_s: seconds after which a request that no batch has taken is withdrawn.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Request]], Sequence[Answer]],
        max_batch: int = MAX_BATCH,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._changed = threading.Condition()  # guards the two below and every entry
        self._waiting: deque[_Entry[Request, Answer]] = deque()
        self._busy = False

    def submit(self, request: Request) -> Answer:
        """Wait for the answer to a request.

        Raises:
            BusyError: it waited longer than max_wait_s for its turn.
            Exception: whatever run raises for this request alone.
        """
        entry: _Entry[Request, Answer] = _Entry(request)
        with self._changed:
            self._waiting.append(entry)
        # A turn may serve older requests only; then this one waits for the next.
        while (batch := self._next_batch(entry)) is not None:
            try:
                self._run_batch(batch)
            finally:  # even if it failed, or everybody else would wait for ever
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        if entry.error is not None:
            raise entry.error
        return cast(Answer, entry.answer)

    def _next_batch(self, entry: _Entry[Request, Answer]) -> list[_Entry[Request, Answer]] | None:
        """Wait until an entry is answered (None) or it is our turn to run the oldest requests."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: entry.done or not self._busy, self._max_wait_s)
            if not in_time:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                    raise BusyError("Too many visitors at once: try again in a minute.")
                # Too late to withdraw: another thread is computing it.
                self._changed.wait_for(lambda: entry.done)
            if entry.done:
                return None
            self._busy = True
            count = min(self._max_batch, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def _run_batch(self, batch: list[_Entry[Request, Answer]]) -> None:
        try:
            answers = self._run([entry.request for entry in batch])
            for entry, answer in zip(batch, answers, strict=True):
                entry.answer, entry.done = answer, True
        except Exception as error:
            if len(batch) > 1:  # run each alone: one bad request must not fail the others
                for entry in batch:
                    self._run_batch([entry])
            else:
                batch[0].error, batch[0].done = error, True
        except BaseException as error:  # the thread is being stopped: nobody may wait for ever
            for entry in batch:
                entry.error, entry.done = RuntimeError(f"stopped: {error!r}"), True
            raise
