"""A bounded number of places for visitors who ask at once: who finds none waits, then is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hllm.serving.request_batching import BusyError

MAX_WAIT_S = 10


@contextmanager
def place(places: threading.Semaphore) -> Iterator[None]:
    """One of a number of places, waited for.

    Raises:
        BusyError: none was free in time.
    """
    if not places.acquire(timeout=MAX_WAIT_S):
        raise BusyError("Too many visitors at once: try again in a minute.")
    try:
        yield
    finally:
        places.release()
