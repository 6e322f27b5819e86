"""Where glibc keeps freed memory: in few places, which all threads share."""

import ctypes
import os

_M_ARENA_MAX = -8  # malloc.h
ARENAS = 2


def use_few_arenas() -> None:
    """Let all threads share few of glibc's arenas; to be called before threads are started.

    By default a thread takes an arena of its own, up to eight for each core. What one visitor's
    thread frees then does not serve the next one's: under 200 visitors without a pause the app
    grew from 450 to 935 MiB in ten minutes, though its cache holds 128 (docs/results.md). Nothing
    is done where MALLOC_ARENA_MAX is set, or where the C library is another one.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl and macOS have none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
