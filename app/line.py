"""Who waits for the models: a bounded number computes at once, the others wait in their order."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from app.languages import marked
from hllm.serving.request_batching import MAX_BATCH, BusyError

# One batch of visitors in the User LLM's forward pass, another that gathers
# (hllm.serving.request_batching).
PLACES = 2 * MAX_BATCH
# Of those who wait for an answer; who comes after them hears so at once.
MAX_WAITING = 64
TOO_MANY = marked("Too many visitors at once: try again in a few seconds.")

Result = TypeVar("Result")


async def stays() -> bool:
    """Of a call that is not asked whether it has left: Gradio's queue drops those that have."""
    return False


class Line:
    """Lets a bounded number of calls compute in threads, and drops those of visitors who left.

    Args:
        num_places: how many compute at once.

    Attributes:
        num_refused: how many heard that too many wait.
    """

    def __init__(self, num_places: int = PLACES) -> None:
        self._places = anyio.CapacityLimiter(num_places)
        self._threads = anyio.CapacityLimiter(num_places)
        self.num_refused = 0

    @property
    def num_waiting(self) -> int:
        """How many have no place yet."""
        return self._places.statistics().tasks_waiting

    async def run(
        self, work: Callable[[], Result], has_left: Callable[[], Awaitable[bool]]
    ) -> Result | None:
        """Wait for a place, and compute.

        Args:
            work: what a thread does.
            has_left: whether nobody waits for the result any more; asked when a place is free.

        Returns:
            What `work` returns; None: whoever asked has left.

        Raises:
            BusyError: too many wait already.
        """
        if self.num_waiting >= MAX_WAITING:
            self.num_refused += 1
            raise BusyError(TOO_MANY)
        async with self._places:
            if await has_left():
                return None
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
