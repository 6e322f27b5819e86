"""What an output folder of app.build is made of, and which steps are done: its build.json."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.errors import IngestError
from hllm.atomic import atomic_text

FILE = "build.json"
CATALOG = "catalog.db"
# What other commands leave in a folder: it is theirs.
_OTHERS = (CATALOG, "config.json", "train.json", "log.jsonl")
# Until this step is done, files of this role may be replaced by others; the rest is fixed as soon
# as there is a catalogue, so that a mistyped option can be corrected.
_FIXED_BY = {"preset": "options"}


class BuildRecord:
    """The record of one output folder; made by open."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self._path = path
        self._values = values

    @classmethod
    def open(
        cls, folder: Path, files: Mapping[str, Sequence[Path]], settings: Sequence[str]
    ) -> "BuildRecord":
        """Read the record of a folder, or begin one.

        Args:
            folder: made if missing.
            files: what the result depends on, by content: role -> files in order.
            settings: what else it depends on, as it was typed.

        Raises:
            IngestError: a file is missing, or the folder belongs to other files or settings.
        """
        path = folder / FILE
        known = _read(path)
        try:
            current = {role: [_facts(f, known) for f in paths] for role, paths in files.items()}
        except OSError as error:
            raise IngestError(
                f"{error.filename} cannot be read ({error.strerror}): check the name."
            ) from error
        values = {"files": current, "settings": list(settings), "done": known.get("done", [])}
        if not known:
            taken = [name for name in _OTHERS if (folder / name).exists()]
            if taken:
                raise IngestError(
                    f"{folder} holds {taken[0]} of something else: choose another --output."
                )
        elif (folder / CATALOG).exists() and (different := _differences(known, values)):
            raise IngestError(
                f"{folder} was made with {different}: choose another --output, or delete that "
                "folder to build it anew."
            )
        folder.mkdir(parents=True, exist_ok=True)
        record = cls(path, values)
        record._write()
        return record

    def is_done(self, step: str) -> bool:
        """Whether a step was finished, and none before it was begun again since."""
        return step in self._values["done"]

    def begin(self, step: str) -> None:
        """Note that a step is begun: those after it rest on what it makes and are no longer done.

        A step is begun again if its files were deleted.
        """
        done = self._values["done"]
        if step in done:
            self._values["done"] = done[: done.index(step)]
            self._write()

    def finish(self, step: str) -> None:
        """Note that a step is done."""
        self._values["done"].append(step)
        self._write()

    def _write(self) -> None:
        with atomic_text(self._path) as file:
            file.write(json.dumps(self._values, indent=1, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _ = values["settings"], [f["sha256"] for fs in values["files"].values() for f in fs]
        return dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IngestError(
            f"{path} is damaged: choose another --output, or delete that folder to build it anew."
        ) from error


def _facts(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Path, size, time and SHA-256 of a file; large files are not read again without need."""
    status = path.stat()
    facts = {
        "path": str(path.resolve()),
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }
    for before in (file for files in known.get("files", {}).values() for file in files):
        if facts.items() <= before.items():
            return dict(before)
    with path.open("rb") as file:
        return facts | {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _differences(known: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """What differs, in words; "" if nothing does. Names and times of files do not count."""
    found = []
    for role in dict.fromkeys([*known["files"], *values["files"]]):
        if role in _FIXED_BY and _FIXED_BY[role] not in known["done"]:
            continue
        before, now = (
            [file["sha256"] for file in side["files"].get(role, [])] for side in (known, values)
        )
        if before != now:
            names = ", ".join(Path(file["path"]).name for file in known["files"].get(role, []))
            found.append(f"other {role} ({names or 'none'})")
    if known["settings"] != values["settings"]:
        found.append(f"other options ({' '.join(known['settings'])})")
    return " and ".join(found)
