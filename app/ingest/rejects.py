"""The file of records that could not be imported, with the reason of each."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from app.catalog.address import Address, Place
from app.errors import IngestError
from hllm.atomic import atomic_text


def rejects_path(catalog: Place) -> Path:
    """Where the rejects of a catalogue are kept: beside its file, or where the command runs."""
    if isinstance(catalog, Address):
        return Path(f"{catalog.name}.rejects.jsonl")
    return catalog.with_name(catalog.name + ".rejects.jsonl")


class Rejects:
    """Appends rejects; what an earlier run wrote about the lines of this run is dropped first."""

    def __init__(self, path: Path, resume_lines: Mapping[str, int]) -> None:
        """Prepare the file.

        Args:
            path: the rejects file.
            resume_lines: files of this run, with the line after which each is read.
        """
        self.path = path
        self.count = 0
        self._file: TextIO | None = None
        if path.exists():
            self._keep(resume_lines)

    def _keep(self, resume_lines: Mapping[str, int]) -> None:
        try:
            with atomic_text(self.path) as kept:
                for entry in read_rejects(self.path):
                    if entry["line"] <= resume_lines.get(entry["file"], entry["line"]):
                        kept.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def add(self, file: str, line: int, reason: str, raw: str) -> None:
        """Note one record."""
        entry = {"file": file, "line": line, "reason": reason, "raw": raw}
        try:
            if self._file is None:
                self._file = self.path.open("a", encoding="utf-8")
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.count += 1

    def flush(self) -> None:
        """Bring all to disk: must happen before the catalogue notes that their lines are done."""
        if self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise _unwritable(self.path, error) from error

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as close_error:
                if error is None:  # or it has been said: what could not be flushed fails again
                    raise _unwritable(self.path, close_error) from close_error
        if self.path.exists() and self.path.stat().st_size == 0:
            self.path.unlink()


def read_rejects(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a rejects file; a last line cut off by a kill is left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and "file" in entry and isinstance(entry.get("line"), int):
                yield entry


def _unwritable(path: Path, error: OSError) -> IngestError:
    return IngestError(f"{path} cannot be written ({error}): check permissions and free space.")
