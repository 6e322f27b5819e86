"""Checksums of downloaded files: compared with the registry, or learned the first time and kept."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import DownloadError, WrongFileError
from app.get.registry import Remote
from hllm.atomic import atomic_text

FILE = "checksums.json"


class Checksums:
    """The checksums that were learned, in one file of the library: address -> what came first.

    Args:
        folder: of the library.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def compare(self, remote: Remote, sha256: str, size: int) -> str:
        """Compare a file with the registry's checksum, or with that of its first download.

        Args:
            remote: what it should be.
            sha256: of what came, 64 hex digits.
            size: of what came, in bytes.

        Returns:
            How far it can be trusted, in words.

        Raises:
            WrongFileError: it is another file.
        """
        if remote.sha256:
            if sha256 != remote.sha256:
                raise WrongFileError(
                    f"{remote.url} is not the file that the registry describes: its SHA-256 is "
                    f"{sha256}, not {remote.sha256}. It was deleted; if it was changed where it "
                    "is published, the registry (assets/registry.toml) has to be corrected."
                )
            return "its SHA-256 is the registry's"
        known = self._read()
        if remote.url not in known:
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            new = {"sha256": sha256, "bytes": size, "first_seen": today}
            self._write(known | {remote.url: new})
            return (
                "nobody has told its SHA-256: this first one was believed and is kept, "
                "later downloads must have the same"
            )
        first = known[remote.url]
        if sha256 != first["sha256"]:
            raise WrongFileError(
                f"{remote.url} is not the file that came on {first['first_seen']}: its SHA-256 is "
                f"{sha256}, not {first['sha256']}. It was deleted; if you know that it was changed "
                f"where it is published, remove its entry from {self.path}."
            )
        return f"its SHA-256 is that of {first['first_seen']}"

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():
            return {}
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            _ = [(entry["sha256"], entry["first_seen"]) for entry in values.values()]
            return dict(values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DownloadError(
                f"{self.path} is damaged: restore it, or delete it to believe every next download."
            ) from error

    def _write(self, values: dict[str, dict[str, Any]]) -> None:
        with atomic_text(self.path) as file:
            file.write(json.dumps(values, indent=1, sort_keys=True) + "\n")
