"""A bound on the memory of a program, page cache included (Linux, cgroup v1, root).

The kernel counts every page of a file for the group whose process read it first, so that a group
with a bound is a machine with that memory. Only what the real machine holds already, such as the
code of libraries that other processes have loaded, costs the group nothing.
"""

import os
import subprocess
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path("/sys/fs/cgroup/memory")
EVERY_S = 0.1  # how often memory is looked at
MIB = 2**20


class MemoryGroup:
    """A memory cgroup, made on entry and removed on exit, when its processes must have ended.

    Args:
        limit_bytes: of all its processes and of the files that they read; nothing is swapped.

    Attributes:
        peak: MiB at most, by the kernel's words: "rss" anonymous memory, "cache" pages of files.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._folder = ROOT / f"hllm-live-{os.getpid()}"
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self.peak = {"rss": 0.0, "cache": 0.0}

    def __enter__(self) -> "MemoryGroup":
        try:
            self._folder.mkdir()
            self._set("memory.limit_in_bytes", self._limit)
            self._set("memory.swappiness", 0)
        except OSError as error:
            raise SystemExit(
                f"A group with a bound on its memory cannot be made here ({error}): this needs "
                "root on a Linux with the memory controller of cgroup v1."
            ) from error
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()
        self._folder.rmdir()

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program in the group: the shell moves itself there and becomes the program."""
        script = 'echo $$ > "$0" && exec "$@"'
        procs = str(self._folder / "cgroup.procs")
        return subprocess.Popen(["sh", "-c", script, procs, *command], **options)

    @property
    def was_killed(self) -> bool:
        """Whether the kernel has ended a process of the group for want of memory."""
        return "oom_kill 0" not in (self._folder / "memory.oom_control").read_text()

    @property
    def times_full(self) -> int:
        """How often the bound was met, and pages of files had to make room."""
        return int((self._folder / "memory.failcnt").read_text())

    def now(self) -> dict[str, float]:
        """MiB as in `peak`."""
        lines = (self._folder / "memory.stat").read_text().splitlines()
        stat = dict(line.split() for line in lines)
        return {name: int(stat[name]) / MIB for name in self.peak}

    def _watch(self) -> None:
        while not self._done.wait(EVERY_S):
            self.peak = {name: max(self.peak[name], mib) for name, mib in self.now().items()}

    def _set(self, name: str, value: int) -> None:
        (self._folder / name).write_text(str(value))


def forget_pages(paths: Iterable[Path]) -> None:
    """Have the kernel drop its pages of these files, so that whoever reads them next pays for it.

    Pages that a process has mapped stay.
    """
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())  # what is not written yet would stay
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
