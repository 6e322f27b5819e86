"""Pictures of items on the disk: which file belongs to an item, and small copies of such files.

A picture comes from anywhere: it is decoded here, within bounds, and what a browser gets is a copy
made anew, without whatever else the file holds (places where photographs were taken, for one).
"""

import hashlib
import io
import logging
import os
import threading
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from app.catalog import CatalogItem
from hllm.atomic import atomic_path

# No SVG: it can hold scripts.
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif")
WIDTH, HEIGHT = 400, 600  # twice what the page shows, for dense screens
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 32_000_000  # 128 MB while it is decoded
MAX_CACHE_BYTES = 512 * 1024 * 1024
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_ENCODING = "webp-1"  # changes when copies are made in another way

logger = logging.getLogger(__name__)


def picture_path(item: CatalogItem, folder: Path | None) -> Path | None:
    """The picture of an item: a file in the folder, named by the item's id or image, or None."""
    if folder is None:
        return None
    names = [item.item_id + ending for ending in PICTURE_ENDINGS]
    if item.image and "://" not in item.image:
        names.insert(0, item.image)
    folder = folder.resolve()
    return next((path for name in names if (path := _inside(folder, name)) is not None), None)


def _inside(folder: Path, name: str) -> Path | None:
    try:
        path = (folder / name).resolve()
        # An item_id or image such as "../secret.png" must not leave the folder.
        if path.is_relative_to(folder) and path.suffix.lower() in PICTURE_ENDINGS:
            return path if path.is_file() else None
    except (OSError, ValueError):  # an id may be longer than a file's name can be
        pass
    return None


def folder_note(folder: Path) -> str:
    """What a catalogue keeps of the folder of its pictures: where it is, and its inode number.

    The path alone could be written by anybody: a catalogue of strangers would then have pictures
    from this machine shown to whoever visits the page. The number is known on this machine only.
    """
    return f"{folder.stat().st_ino} {folder.resolve()}"


def noted_folder(note: str) -> Path | None:
    """The folder of a note, or None if it is gone, another one, or another machine's."""
    number, _, path = note.partition(" ")
    try:
        return (
            Path(path) if Path(path).is_dir() and str(Path(path).stat().st_ino) == number else None
        )
    except (OSError, ValueError):
        return None


def picture_version(path: Path) -> str:
    """16 hex digits that change with the file; 16 zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return "0" * 16
    what = f"{_ENCODING}\0{path}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def small_copy(path: Path) -> bytes:
    """Decode a picture and encode it as WebP in the shape of a cover, 400 x 600 at most.

    Raises:
        Exception: it is too large, damaged or no picture; decoders raise anything.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES // 2**20} MiB")
    with Image.open(path, formats=_FORMATS) as file:
        if file.width * file.height > MAX_PIXELS:  # only its header is read so far
            raise ValueError(f"{file.width} x {file.height} pixels")
        file.draft("RGB", (2 * WIDTH, 2 * HEIGHT))  # a JPEG is decoded smaller
        picture = ImageOps.exif_transpose(file)
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    # The page cuts pictures to this shape: what it would not show is not sent. Never larger.
    width = max(1, min(WIDTH, picture.width, picture.height * WIDTH // HEIGHT))
    picture = ImageOps.fit(picture, (width, max(1, width * HEIGHT // WIDTH)))
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP", quality=82)
    return encoded.getvalue()


class SmallPictures:
    """Small copies of pictures, kept in a folder of bounded size; safe to share by threads.

    Args:
        folder: where copies are kept; made when there is one. Nothing else may be in it.
        max_bytes: of all copies; beyond, the oldest go.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._num_bytes: int | None = None  # not counted yet
        self._broken: set[str] = set()
        self._lock = threading.Lock()

    def get(self, path: Path) -> bytes | None:
        """The small copy of a picture; None, and once a line in the log, if it cannot be shown."""
        version = picture_version(path)
        if version in self._broken:
            return None
        copy = self._folder / f"{version}.webp"
        try:
            return copy.read_bytes()
        except OSError:
            pass
        try:
            encoded = small_copy(path)
        except Exception as error:
            reason = "no picture" if isinstance(error, UnidentifiedImageError) else error
            logger.warning("%s: a cover is drawn instead of this picture (%s)", path, reason)
            self._broken.add(version)
            return None
        self._keep(copy, encoded)
        return encoded

    def _keep(self, copy: Path, encoded: bytes) -> None:
        with self._lock:
            try:
                with atomic_path(copy) as partial:
                    partial.write_bytes(encoded)
                if self._num_bytes is None:
                    self._num_bytes = sum(entry.stat().st_size for entry in self._entries())
                else:
                    self._num_bytes += len(encoded)
                if self._num_bytes > self._max_bytes:
                    self._make_room()
            except OSError as error:  # a full disk, for one: the copy is made again next time
                logger.warning("The small copy of a picture could not be kept: %s", error)

    def _make_room(self) -> None:
        """Remove the oldest copies until a quarter is free."""
        entries = sorted(self._entries(), key=lambda entry: entry.stat().st_mtime_ns)
        left = sum(entry.stat().st_size for entry in entries)
        for entry in entries:
            if left <= self._max_bytes * 3 // 4:
                break
            left -= entry.stat().st_size
            Path(entry.path).unlink(missing_ok=True)
        self._num_bytes = left

    def _entries(self) -> list[os.DirEntry[str]]:
        with os.scandir(self._folder) as entries:
            return [entry for entry in entries if entry.name.endswith(".webp")]
