"""SIGTERM before the server is there to handle it."""

import signal
import sys
import threading
from types import FrameType


def exit_on_sigterm() -> None:
    """End with exit code 0, and as the first process of a container, too.

    That one the kernel spares every signal that it does not handle.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    # Under `gradio app.py` the file runs once more in the thread that watches it.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
