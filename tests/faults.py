"""Dies, or has a full disk, at any call by which a process changes files, SQLite's included."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

ROOT = Path(__file__).resolve().parents[1]
DIED = 77

# Stands before the C library's functions (LD_PRELOAD), as SQLite does not write through Python.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long count = 0, due = -1;
static int full = 0;

void fault_at(long number, int disk_is_full) { count = 0; due = number; full = disk_is_full; }
long fault_calls(void) { return count; }

enum { GO_ON, DIE, SHORT, FULL };

static int fate(int fd, int takes_space) {
    struct stat about;
    if (due < 0) return GO_ON;
    if (fd >= 0 && (fd <= 2 || fstat(fd, &about))) return GO_ON;
    if (fd >= 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)) return GO_ON;
    long number = count++;
    if (number < due || (full && !takes_space)) return GO_ON;
    return full ? (number == due ? SHORT : FULL) : DIE;
}

#define WRITES(call_half, call_whole)                                   \
    switch (fate(fd, 1)) {                                              \
        case DIE: call_half; _exit(77);                                 \
        case SHORT: if (size > 1) return call_half; /* fall through */  \
        case FULL: errno = ENOSPC; return -1;                           \
        default: return call_whole;                                     \
    }
#define CHANGES(fd, takes_space, call)                                  \
    switch (fate(fd, takes_space)) {                                    \
        case DIE: _exit(77);                                            \
        case SHORT: case FULL: errno = ENOSPC; return -1;               \
        default: return call;                                           \
    }

ssize_t write(int fd, const void *data, size_t size) {
    WRITES(syscall(SYS_write, fd, data, size / 2), syscall(SYS_write, fd, data, size))
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t place) {
    WRITES(syscall(SYS_pwrite64, fd, data, size / 2, place),
           syscall(SYS_pwrite64, fd, data, size, place))
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    return pwrite64(fd, data, size, place);
}
/* So does torch.save, whose parts are long: half of them is the half of the first. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct iovec half = {parts->iov_base, parts->iov_len / 2};
    switch (fate(fd, 1)) {
        case DIE: syscall(SYS_writev, fd, &half, 1); _exit(77);
        case SHORT: if (half.iov_len) return syscall(SYS_writev, fd, &half, 1); /* fall through */
        case FULL: errno = ENOSPC; return -1;
        default: return syscall(SYS_writev, fd, parts, count);
    }
}
/* shutil copies so. */
ssize_t sendfile64(int fd, int source, off_t *place, size_t size) {
    WRITES(syscall(SYS_sendfile, fd, source, place, size / 2),
           syscall(SYS_sendfile, fd, source, place, size))
}
ssize_t sendfile(int fd, int source, off_t *place, size_t size) {
    return sendfile64(fd, source, place, size);
}
/* FAISS and NumPy write so, and the C library's own buffers do not come through here. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) real = dlsym(RTLD_NEXT, "fwrite");
    switch (fate(fileno(file), 1)) {
        case DIE: real(data, size, count / 2, file); fflush(file); _exit(77);
        case SHORT: case FULL: errno = ENOSPC; return count / 2;
        default: return real(data, size, count, file);
    }
}
int ftruncate64(int fd, off_t size) { CHANGES(fd, 0, syscall(SYS_ftruncate, fd, size)) }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int fsync(int fd) { CHANGES(fd, 1, syscall(SYS_fsync, fd)) }
int fdatasync(int fd) { CHANGES(fd, 1, syscall(SYS_fdatasync, fd)) }
int rename(const char *old, const char *new) {
    CHANGES(-1, 0, syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0))
}
int mkdir(const char *path, mode_t mode) {
    CHANGES(-1, 1, syscall(SYS_mkdirat, AT_FDCWD, path, mode))
}
int link(const char *old, const char *new) {
    CHANGES(-1, 1, syscall(SYS_linkat, AT_FDCWD, old, AT_FDCWD, new, 0))
}
int linkat(int from, const char *old, int to, const char *new, int flags) {
    CHANGES(-1, 1, syscall(SYS_linkat, from, old, to, new, flags))
}
int rmdir(const char *path) { CHANGES(-1, 0, syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)) }
int unlink(const char *path) { CHANGES(-1, 0, syscall(SYS_unlinkat, AT_FDCWD, path, 0)) }
"""

DRIVER = """
import ctypes, itertools, json, logging, os, sys, traceback
from pathlib import Path
from hllm.errors import HLLMError
from hllm.shell import exit_code
shim = ctypes.CDLL(None)
top, full, stride, setup = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
exec(setup)
outcomes = []
for number in itertools.count(0, stride):
    folder = top / str(number)
    folder.mkdir()
    before(folder)
    child = os.fork()
    if not child:
        code = 1
        try:
            shim.fault_at(number, full)
            code = work(folder) or 0
        except Exception as error:
            code = exit_code(error)
            if code is None:
                traceback.print_exc()
                code = 1
        if not code and shim.fault_calls() > number:
            code = 3  # the command did without what could not be written
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 2, 3, 77):
        sys.exit(f"fault {number}: exit code {code}")
    try:
        after(folder, code)
    except BaseException:
        left = sorted(map(str, folder.rglob("*")))
        print(f"fault {number}, exit code {code}, {left}", file=sys.stderr)
        raise
    if not code:
        break
    outcomes.append(code)
print(json.dumps(outcomes))
"""


@cache
def shim():
    """The compiled shim; skips the test where nothing compiles C."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: faults cannot be put under SQLite")
    folder = Path(mkdtemp(prefix="hllm-faults-"))
    (folder / "shim.c").write_text(SHIM)
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "shim.so", folder / "shim.c", "-ldl"],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"the shim does not compile here: {done.stderr[-200:]}")
    return folder / "shim.so"


def outcomes_of(setup, folder, *, full=False, stride=1):
    """Fork a child for the 0th, `stride`-th ... call that changes files, until none is met.

    Args:
        setup: source code that defines before(folder), work(folder), where the fault happens, and
            after(folder, code), which checks what is there.
        folder: of its own for this test.
        full: from that call on nothing more can be written (ENOSPC), instead of death.
        stride: of the faults.

    Returns:
        Exit codes of the children that met their fault: 77 died, 2 one sentence, 3 did without.
        A traceback fails the test.
    """
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, folder, str(int(full)), str(stride), setup],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "LD_PRELOAD": str(shim()), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


KILLER = """
import os, random, signal, sys, threading, time
from pathlib import Path
from tqdm import tqdm
# Its own is shared with the children: one that is killed would hold it for ever.
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0
top, count, setup = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
rng = random.Random(sys.argv[3])
exec(setup)
num_killed, usual = 0, None
for number in range(count + 1):
    folder = top / str(number)
    folder.mkdir()
    before(folder)
    started = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(work(folder) or 0)
    if usual is not None:
        time.sleep(rng.random() * usual)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    usual = usual or time.monotonic() - started
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"run {number}: exit code {code}")
    num_killed += code != 0
    after(folder, 77 if code else 0)
print(num_killed)
"""


def num_killed_of(setup, folder, *, count, seed):
    """Kill a child at seeded moments of its usual time, after one that was left alone.

    Args:
        setup: see outcomes_of; its after does the same work again and compares the result.
        folder: of its own for this test.
        count: of the children to kill.
        seed: of the moments.

    Returns:
        How many were still at work.
    """
    done = subprocess.run(
        [sys.executable, "-c", KILLER, folder, str(count), str(seed), setup],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.splitlines()[-1])
