"""Text files that appear under their name only when they are complete."""

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file for writing that replaces the one of this name when the block succeeds.

    Args:
        path: UTF-8 with line ends as they are written; packed if it ends in ``.gz``.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as raw:
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
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
