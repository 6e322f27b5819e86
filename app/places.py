"""A bounded number of places for visitors who ask at once: who finds none waits, then is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.languages import marked
from hllm.serving.request_batching import BusyError

MAX_WAIT_S = 10
TOO_MANY = marked("Too many visitors at once: try again in a minute.")


@contextmanager
def place(places: threading.Semaphore) -> Iterator[None]:
    """One of a number of places, waited for.

    Raises:
        BusyError: none was free in time.
    """
    if not places.acquire(timeout=MAX_WAIT_S):
        raise BusyError(TOO_MANY)
    try:
        yield
    finally:
        places.release()
