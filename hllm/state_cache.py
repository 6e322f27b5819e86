"""Item LLM states on disk, kept by content and shared by all runs, commands and sweeps.

A folder of part files ``KEY-PART.safetensors``: states (N, H) float32, text_hashes (N, 8) uint8,
and a SHA-256 of both (hllm.weights.checksums). The key names all that shapes a state but the text
(hllm.item_states.state_key). Parts are added and removed, never changed, so that any number of
processes may read and write at once without a lock. Whatever goes wrong here costs time alone: what
cannot be read is encoded again, what cannot be written is not kept, and the log says so.

The folder is that of the environment variable HLLM_CACHE, else ``hllm-live`` in the user's cache
folder; HLLM_CACHE set to nothing keeps nothing.
"""

import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hllm.atomic import atomic_path
from hllm.choices import CACHE_VARIABLE
from hllm.embedder import SECONDS_PER_PART, Encoder
from hllm.errors import StorageError
from hllm.store import first_not_finite
from hllm.text import text_hash
from hllm.weights.checksums import ChecksumError, VerifiedFile, checksum_metadata

logger = logging.getLogger(__name__)
MAX_BYTES = 8 << 30  # of all parts; those that nobody has used for longest go first
MIN_FREE_BYTES = 1 << 30  # on the disk: a cache must not take what the run itself will need


def cache_folder() -> Path | None:
    """Where states are kept; None: nowhere."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen is not None:
        return Path(chosen) / "item-states" if chosen else None
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        caches = Path(xdg)
    else:
        caches = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return caches / "hllm-live" / "item-states"


class StateCache:
    """The states of one Item LLM.

    Args:
        key: see hllm.item_states.state_key.
        width: H.
        folder: made if missing; None: nothing is found or kept.
    """

    def __init__(self, key: str, width: int, folder: Path | None) -> None:
        self._key, self._width, self._folder = key, width, folder
        self._is_writable = folder is not None

    def find(self, text_hashes: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """States that are kept: places in the hashes, which are all different, and (n, H)."""
        wanted = {value: place for place, value in enumerate(text_hashes)}
        parts = self._folder.glob(f"{self._key}-*.safetensors") if self._folder else ()
        for path in sorted(parts):
            if not wanted:
                return
            found = self._read(path, wanted)
            if found is not None:
                yield found
                for place in found[0]:
                    del wanted[text_hashes[place]]

    def _read(self, path: Path, wanted: dict[str, int]) -> tuple[list[int], Tensor] | None:
        try:
            with safe_open(path, framework="pt") as opened:
                file = VerifiedFile(opened)
                hashes = [row.tobytes().hex() for row in file.get_tensor("text_hashes").numpy()]
                rows = {row: wanted[h] for row, h in enumerate(hashes) if h in wanted}
                if not rows:
                    return None
                states = file.get_tensor("states")
            is_whole = states.shape == (len(hashes), self._width) and states.dtype == torch.float32
            if not is_whole or first_not_finite(states) is not None:
                raise ChecksumError("it does not hold a state for each text")
        except FileNotFoundError:  # another process has made room
            return None
        except (SafetensorError, ChecksumError, OSError) as error:
            logger.warning("%s is damaged (%s): its items are encoded again", path, error)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # somebody else's cache that we may only read
            os.utime(path)  # says when it was used last
        return list(rows.values()), states[list(rows)]

    def add(self, text_hashes: Sequence[str], states: Tensor) -> None:
        """Keep a part.

        Args:
            text_hashes: n hashes.
            states: (n, H) float32 on the CPU.
        """
        if self._folder is None or not self._is_writable or first_not_finite(states) is not None:
            return
        hashes = torch.tensor([list(bytes.fromhex(h)) for h in text_hashes], dtype=torch.uint8)
        tensors = {"states": states.contiguous(), "text_hashes": hashes}
        name = hashlib.sha256("".join(text_hashes).encode()).hexdigest()[:16]
        path = self._folder / f"{self._key}-{name}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._folder).free < MIN_FREE_BYTES + states.nbytes:
                raise StorageError(f"less than {MIN_FREE_BYTES >> 30} GB are free")
            with atomic_path(path) as temporary:
                save_file(tensors, temporary, metadata=checksum_metadata(tensors))
            _remove_oldest(self._folder, MAX_BYTES)
        except (OSError, StorageError, SafetensorError) as error:
            self._is_writable = False
            logger.warning("item states are not kept in %s: %s", self._folder, error)


def _remove_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the parts that were used longest ago until the others are small enough."""
    parts = []
    for path in folder.glob("*-*.safetensors"):
        with suppress(FileNotFoundError):  # another process has made room
            status = path.stat()
            parts.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in parts)
    for _, size, path in sorted(parts):
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size


def cached(encode: Encoder, cache: StateCache) -> Encoder:
    """An encoder that looks up what is kept and keeps what it has to encode.

    It keeps a part every half minute, and one when it is stopped: a killed run continues there.

    Args:
        encode: gives states (B, H) float32 on the CPU.
        cache: of the same Item LLM.
    """

    def encode_cached(texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        hashes = [text_hash(text) for text in texts]
        missing = dict.fromkeys(range(len(texts)))
        for places, states in cache.find(hashes):
            for place in places:
                del missing[place]
            yield places, states
        if len(missing) < len(texts):
            logger.info("%s of %s item states were in the cache",
                        f"{len(texts) - len(missing):,}", f"{len(texts):,}")  # fmt: skip
        if missing:
            yield from _encode_and_keep(encode, cache, texts, hashes, list(missing))

    return encode_cached


def _encode_and_keep(
    encode: Encoder,
    cache: StateCache,
    texts: Sequence[str],
    hashes: Sequence[str],
    missing: Sequence[int],
) -> Iterator[tuple[list[int], Tensor]]:
    fresh: list[tuple[list[int], Tensor]] = []

    def keep() -> None:
        if fresh:
            rows = [place for places, _ in fresh for place in places]
            cache.add([hashes[place] for place in rows], torch.cat([states for _, states in fresh]))
            fresh.clear()

    started = time.monotonic()
    try:
        for rows, states in encode([texts[place] for place in missing]):
            places = [missing[row] for row in rows]
            fresh.append((places, states))
            if time.monotonic() - started >= SECONDS_PER_PART:
                keep()
                started = time.monotonic()
            yield places, states
    finally:
        keep()
