"""Threads share few of glibc's arenas."""

import ctypes
import os
import re
import subprocess
import sys

import pytest

from app.serving.arenas import ARENAS

# Sixteen threads at once that hold blocks too large for a thread's own small cache.
COUNT = """
import ctypes, sys, threading
from app.serving.arenas import use_few_arenas
use_few_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(16)
def hold():
    together.wait()
    libc.malloc(20_000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def arenas(**environ):
    found = subprocess.run(
        [sys.executable, "-c", COUNT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    return len(re.findall("<heap nr=", found.stdout))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_threads_share_few_arenas_unless_the_environment_says_how_many():
    assert arenas() <= ARENAS
    assert arenas(MALLOC_ARENA_MAX="7") == 7
