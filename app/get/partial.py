"""A file that is being downloaded: what came of it so far, and what its server called it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from app.errors import DownloadError
from hllm.atomic import take_name

SUFFIX = ".download"


@dataclass(frozen=True)
class Version:
    """What a server said of a file: with it, a later answer is known to be of the same one.

    Attributes:
        validator: its strong ETag, or when it was last modified; "": it said neither.
        total: its bytes; 0: it did not say.
    """

    validator: str = ""
    total: int = 0


def part_of(target: Path) -> Path:
    """Where the part of a file lies."""
    return target.with_name(f".{target.name}{SUFFIX}")


def note_of(target: Path) -> Path:
    """Where it is noted which version of a file the part is of."""
    return target.with_name(f".{target.name}{SUFFIX}.json")


class Partial:
    """What came of a file so far, under a hidden name beside its own; made by `held`.

    Attributes:
        path: of the part.
        version: of what is in it.
    """

    def __init__(self, target: Path, file: BinaryIO) -> None:
        self.path = Path(file.name)
        self._target = target
        self._file = file
        self._note = note_of(target)
        self.version = self._read()

    @classmethod
    @contextmanager
    def held(cls, target: Path) -> Iterator["Partial"]:
        """Open the part of a file; other processes cannot meanwhile.

        Raises:
            DownloadError: another process has it.
        """
        path = part_of(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DownloadError(
                    f"{target} is being downloaded by another process: wait for it."
                ) from error
            yield cls(target, file)

    @staticmethod
    def sweep(target: Path) -> None:
        """Remove the note that a kill has left of a file that is complete."""
        note_of(target).unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes that came so far."""
        return os.fstat(self._file.fileno()).st_size

    def begin(self, version: Version) -> None:
        """Forget what came, for another version of the file."""
        self._file.truncate(0)
        self.note(version)

    def note(self, version: Version) -> None:
        """Note which version it is a part of."""
        self.version = version
        # Not atomic: half a note is no note, and the file is then fetched from its beginning.
        self._note.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Append what came."""
        view = memoryview(chunk)
        while view:  # one call may take less than all of it
            view = view[self._file.write(view) :]

    def finish(self) -> None:
        """Give the complete file its name."""
        take_name(self.path, self._target)
        self._note.unlink(missing_ok=True)

    def drop(self) -> None:
        """Delete it: it is not what it should be."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read(self) -> Version:
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Version()
