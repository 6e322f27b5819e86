"""Files of a page without a server: JSON, compressed, and numbers in pieces that any host takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

PART_BYTES = 8_000_000  # of a piece; below what hosts of plain files take without extensions
MAX_FILE_BYTES = 10_000_000


def write_json(folder: Path, name: str, value: Any) -> str:
    """Write JSON, compressed; gives the name.

    Hosts of plain files compress little or nothing themselves, and the page unpacks it.

    Args:
        folder: of the page.
        name: in it, with slashes; ends in .json.gz.
        value: of which JSON is made.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Without a time, so that the same page gives the same files.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return name


def write_parts(folder: Path, name: str, contents: bytes) -> list[str]:
    """Write bytes in pieces; gives their names, in order.

    Args:
        folder: of the page.
        name: in it, with slashes; the pieces are called NAME-0.bin, NAME-1.bin ...
        contents: what the page puts together again.
    """
    names: list[str] = []
    for start in range(0, max(len(contents), 1), PART_BYTES):
        names.append(f"{name}-{len(names)}.bin")
        path = folder / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[start : start + PART_BYTES])
    return names


def write_numbers(folder: Path, name: str, numbers: np.ndarray) -> dict[str, Any]:
    """Write an array, row after row; gives what the page must know to read it.

    Args:
        folder: of the page.
        name: see write_parts.
        numbers: of float16, float32 or int32.
    """
    little = numbers.astype(numbers.dtype.newbyteorder("<"))
    return {"files": write_parts(folder, name, little.tobytes()), "type": numbers.dtype.name}
