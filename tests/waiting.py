"""Waiting for other threads and processes, never without end."""

import signal
import time
from contextlib import contextmanager

PATIENCE_S = 60  # a guard against hanging: what is waited for takes far less


def wait_until(condition, seconds=PATIENCE_S):
    """Return as soon as a condition holds.

    Raises:
        AssertionError: it does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"what was waited for did not happen in {seconds} s"
        time.sleep(0.002)


@contextmanager
def time_limit(seconds):
    """Stop what would never end, also within a regular expression. Main thread only."""

    def stop(*_):
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
