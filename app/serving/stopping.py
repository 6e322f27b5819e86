"""How the app ends: at once, as soon as nothing more has to be written down.

Python's own end would run while a thread imports torch or loads a model. It takes apart what that
thread builds: a traceback at best, at worst an end that never comes.
"""

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from hllm.shell import INTERRUPTED

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_on_signals() -> None:
    """End on SIGTERM with exit code 0, on Ctrl-C with that of Ctrl-C, before the server is there.

    As the first process of a container, too: that one the kernel spares every signal that it does
    not handle. At once and not by an exception: raised within a callback of a library it would be
    swallowed. A catalogue that is being made leaves a file that the next start removes.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        os._exit(INTERRUPTED if number == signal.SIGINT else 0)

    # Under `gradio app.py` the file runs once more in the thread that watches it.
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, stop)


def ignore_signals() -> None:
    """Let what is closed now not be cut short by a second signal."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def end(code: int) -> NoReturn:
    """End the app; what it has said is written.

    Under `gradio app.py`, in the thread that watches the files, ends that thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        sys.exit(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by whoever read it
            stream.flush()
    os._exit(code)
