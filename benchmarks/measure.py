"""What benchmarks share: the line that names the machine, times of calls, memory of the process."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

Result = TypeVar("Result")
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}


def machine_line(*details: str) -> str:
    """Names what the numbers below it were measured on."""
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return "machine: " + ", ".join(
        [
            *gpu,
            platform.processor() or platform.machine(),
            f"{torch.get_num_threads()} threads",
            f"load {os.getloadavg()[0]:.1f}",
            f"Python {platform.python_version()}",
            f"torch {torch.__version__}",
            *details,
        ]
    )


def timed(call: Callable[[], Result], clock: str = "wall") -> tuple[float, Result]:
    """Seconds of one call, and what it returned."""
    now = CLOCKS[clock]
    started = now()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - started, result


def times_ms(call: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each of several calls, in their order."""
    return [timed(call)[0] * 1e3 for _ in range(repeats)]


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call in milliseconds, the first one left out."""
    call()
    return statistics.median(times_ms(call, repeats))


def status_mib(name: str, pid: int | str = "self") -> float:
    """A line of Linux's /proc/PID/status in MiB: RssAnon (not a mapped file), VmHWM (peak)."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(x for x in text.splitlines() if x.startswith(name)).split()[1]) / 1024
