"""Files that appear under their name only when they are complete, and on the disk.

The one way in which this project replaces a file; until then, the old one stays. What is being
written has a hidden name that ends in ``.partial``. What a killed process leaves under such a name
is removed by the next one that writes the same file. Processes on one machine may write the same
file at once: the last one wins, unless they hold its folder (`locked`).
"""

import errno
import fcntl
import glob
import gzip
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hllm.errors import StorageError

SUFFIX = ".partial"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# safetensors, tokenizers and torch.save raise no OSError when the disk is full, tokenizers not even
# an error of a class of its own, so their words have to do. Those of torch.save for an incomplete
# write do not name the reason.
_DISK_FULL_WORDS = re.compile(r"No space left|quota exceeded|inline_container\.cc|StreamWriter")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` when the block succeeds.

    Raises:
        StorageError: the disk is full; the old file stands.
    """
    path = Path(path)
    with storage_errors(path), _locked_temporary(path.parent, path.name) as temporary:
        yield temporary
        take_name(temporary, path)


def take_name(temporary: Path, path: Path) -> None:
    """Give a complete file its name, in the place of an older one.

    Args:
        temporary: in the same folder.
        path: the name.
    """
    os.chmod(temporary, 0o644)  # mkstemp lets only the owner read
    # Before it gets its name, which must not stand for half a file after a power cut.
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that replaces the one of this name when the block succeeds.

    Args:
        path: UTF-8 with line ends as they are written; compressed if it ends in ``.gz``.

    Raises:
        StorageError: the disk is full; the old file stands.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            # No time stamp and no name inside: equal contents give equal files.
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
            ):
                yield file
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file


@contextmanager
def atomic_files(folder: str | Path, *, opened_by: str) -> Iterator[Path]:
    """Give a temporary folder whose files replace those of `folder` when the block succeeds.

    A kill leaves the old files, the new ones, or a folder that does not open: never a mixture of
    both that does.

    Args:
        folder: made if missing; other files in it stay.
        opened_by: name of the file without which nobody opens the folder; the block writes it.

    Raises:
        StorageError: the disk is full; the old files stand.
    """
    folder = Path(folder)
    with storage_errors(folder), _locked_temporary(folder, "files", is_folder=True) as temporary:
        yield temporary
        # Equal files are left alone: if only one differs, one rename is enough.
        names = sorted(path.name for path in temporary.iterdir())
        changed = [name for name in names if not _same_contents(temporary / name, folder / name)]
        for name in changed:
            sync(temporary / name)
        # Several files cannot be replaced all at once. So the one that opens the folder is removed
        # first and comes back last.
        if len(changed) > 1:
            (folder / opened_by).unlink(missing_ok=True)
            sync(folder)
            changed = [*(name for name in changed if name != opened_by), opened_by]
        for name in changed:
            os.replace(temporary / name, folder / name)
            if name != changed[-1]:
                sync(folder)  # or the last one could reach the disk before the others
        sync(folder)


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder`, a new one, when the block succeeds.

    Raises:
        StorageError: the disk is full; there is no folder.
        OSError: there is one of this name by now, with files in it.
    """
    folder = Path(folder)
    with (
        storage_errors(folder),
        _locked_temporary(folder.parent, folder.name, is_folder=True) as temporary,
    ):
        yield temporary
        os.chmod(temporary, 0o755)  # mkdtemp lets only the owner in
        for path in (*temporary.rglob("*"), temporary):
            sync(path)
        os.rename(temporary, folder)
        sync(folder.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder while a file in it is looked for and made if it is missing; others wait.

    Args:
        folder: made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # and with it the lock; a kill releases it, too


@contextmanager
def storage_errors(path: Path, remedy: str = "then do the same again") -> Iterator[None]:
    """Turn the errors of a full disk into one sentence; let all others pass.

    Args:
        path: what is written in the block, for the message.
        remedy: what to do once there is space, for the message.

    Raises:
        StorageError: the disk is full.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        is_full = getattr(error, "errno", None) in _DISK_FULL or _DISK_FULL_WORDS.search(str(error))
        if not is_full:
            raise
        raise StorageError(
            f"{path} cannot be written, the disk is full (what was there before is kept): "
            f"free some space, {remedy}."
        ) from error


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # this file system cannot do it for folders
            raise
    finally:
        os.close(handle)


@contextmanager
def _locked_temporary(folder: Path, name: str, *, is_folder: bool = False) -> Iterator[Path]:
    """A new hidden file or folder, locked; it is removed after the block, unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f".{name}."
    _remove_leftovers(folder, prefix)
    while True:
        if is_folder:
            temporary = Path(tempfile.mkdtemp(SUFFIX, prefix, folder))
            lock = os.open(temporary, os.O_RDONLY)
        else:
            lock, created = tempfile.mkstemp(SUFFIX, prefix, folder)
            temporary = Path(created)
        # The lock tells other processes that it is being written; a kill releases it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if temporary.exists():  # otherwise another process removed it before it was locked
            break
        os.close(lock)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(lock)


def _remove_leftovers(folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        if path.name.startswith(prefix) and path.name.endswith(SUFFIX):
            try:
                lock = os.open(path, os.O_RDONLY)
            except OSError:  # already removed, or another user's
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            except BlockingIOError:  # it is being written
                pass
            finally:
                os.close(lock)


def _remove(path: Path) -> None:
    # What SQLite keeps beside a database. First: nobody looks for it once the file is gone.
    for beside in path.parent.glob(f"{glob.escape(path.name)}-*"):
        beside.unlink(missing_ok=True)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _same_contents(one: Path, other: Path) -> bool:
    """Whether two files have the same contents; large ones count as different, unread."""
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    return one.stat().st_size < 2**26 and one.read_bytes() == other.read_bytes()
