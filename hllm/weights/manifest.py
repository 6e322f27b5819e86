"""manifest.json of a model folder: SHA-256 of the files that hold no tensors.

Weights and embeddings have checksums of their own, in their own files.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from hllm.schema.rules import one_line, read_object, table, text

MANIFEST = "manifest.json"
_MAX_BYTES = 100_000
_ENTRIES = table(text(100), text(64), 100)
# Tensors, and what people write for people.
_LEFT_OUT = (".safetensors", ".md")
# Compared at every start: a tokenizer has 10 MB, and a stranger's manifest may name anything.
_MAX_COMPARED_BYTES = 50_000_000

logger = logging.getLogger(__name__)


def write_manifest(folder: Path) -> None:
    """Write it for the files that a folder holds; for one that nobody has opened yet.

    Args:
        folder: being written, under its temporary name.
    """
    digests = {
        path.name: _digest(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix not in _LEFT_OUT and path.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps({"sha256": digests}, indent=2) + "\n", "utf-8")


def compare_manifest(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that the manifest names, each with what is wrong with it, "" if nothing is.

    A folder without a manifest, as earlier versions and other programs write it, gives none.
    """
    path = folder / MANIFEST
    if not path.exists():
        return
    try:
        digests = read_object(path, _MAX_BYTES).get("sha256")
        if not _ENTRIES.accepts(digests):
            raise ValueError("it is no table of checksums")
    except (OSError, ValueError) as error:
        yield path, f"{path} is damaged ({one_line(error)}): restore it or delete it"
        return
    assert isinstance(digests, dict)
    for name, digest in digests.items():
        file = folder / Path(name).name
        try:
            if file.stat().st_size > _MAX_COMPARED_BYTES:
                changed = f"has more than {_MAX_COMPARED_BYTES // 1_000_000} MB"
            else:
                changed = "" if _digest(file) == digest else "is not as it was written"
        except OSError as error:
            changed = f"cannot be read ({error.strerror})"
        yield (
            file,
            changed
            and (
                f"{file} {changed}: restore it, or, if you changed it yourself, delete {MANIFEST}"
            ),
        )


def warn_of_changes(folder: Path) -> None:
    """Say in the log which files of a folder are not those that its manifest names.

    A warning, because editing config.json by hand is allowed.
    """
    for _, problem in compare_manifest(folder):
        if problem:
            logger.warning("%s.", problem)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
