"""What getting something by name takes, in disk and time, said before anything is done.

Times are rough: paces of the import that were measured (docs/importing.md), and for embeddings the
arithmetic of the language model.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.get.names import Library
from app.get.registry import DataSet, Model, Registry, Remote

DOWNLOAD_BYTES_PER_S = 5 * 10**6
_ITEMS_PER_S, _INTERACTIONS_PER_S = 2_000, 34_000
_ITEM_BYTES, _INTERACTION_BYTES = 2_500, 100  # in a catalogue with its index, and the csv pair
_TOKENS, _WIDTH = 150, 4_096  # of an item's text; of an embedding, at most
_CPU_FLOPS, _GPU_FLOPS = 25e9, 50e12  # of one core and of a card, in practice
_CONVERT_BYTES_PER_S = 100 * 10**6
_BYTES_OF = {"float32": 4.0, "bfloat16": 2.0, "nf4": 0.57}


@dataclass(frozen=True)
class File:
    """A file to fetch, and where to."""

    remote: Remote
    path: Path


@dataclass(frozen=True)
class Part:
    """What one data set, model or pair of both takes.

    Attributes:
        title: for people.
        files: to fetch, those that are there as well.
        made_bytes: of what is made of them.
        seconds: that it takes to make it.
        makes: what that is, in words.
    """

    title: str
    files: tuple[File, ...]
    made_bytes: float
    seconds: float
    makes: str

    @property
    def missing(self) -> list[File]:
        """Files that are not there yet."""
        return [file for file in self.files if not file.path.exists()]

    @property
    def download_bytes(self) -> int:
        """Bytes of the files that are not there yet."""
        return sum(file.remote.size for file in self.missing)


def data_files(data: DataSet, library: Library) -> tuple[File, ...]:
    """The items and the interactions of a data set; none if they are got by hand."""
    folder = library.downloads(data.name)
    pair = {"items": data.items, "interactions": data.interactions}
    # Both may have the same name where they are published.
    return tuple(
        File(remote, folder / kind / remote.file_name) for kind, remote in pair.items() if remote
    )


def split_files(data: DataSet, library: Library) -> tuple[File, ...]:
    """The published split of a data set: training, validation, test; or none."""
    folder = library.downloads(data.name) / "splits"
    return tuple(File(remote, folder / remote.file_name) for remote in data.splits)


def model_files(model: Model, library: Library, registry: Registry) -> tuple[File, ...]:
    """The files of a model; of an HLLM those of its base model that describe it, too."""
    if not model.preset:
        folder = library.home(model.name)
        return tuple(File(one, folder / one.file_name) for one in (*model.files, *model.weights))
    base = registry.models[model.base]
    found = [File(one, library.downloads(base.name) / one.file_name) for one in base.files]
    folder = library.downloads(model.name)
    return (*found, *(File(one, folder / one.file_name) for one in model.weights))


def data_part(data: DataSet, library: Library, *, splits: bool, done: bool) -> Part:
    """What a data set takes.

    Args:
        data: the data set.
        library: where it goes.
        splits: its published split is wanted, too.
        done: its catalogue was made before.
    """
    made = data.num_items * _ITEM_BYTES + data.num_interactions * _INTERACTION_BYTES
    seconds = data.num_items / _ITEMS_PER_S + data.num_interactions / _INTERACTIONS_PER_S
    files = data_files(data, library)
    return Part(
        data.title,
        (*(() if done else files), *(split_files(data, library) if splits else ())),
        0 if done else made,
        0 if done else seconds,
        f"a catalogue of {data.num_items:,} items at most",
    )


def model_part(model: Model, library: Library, registry: Registry) -> Part:
    """What a model takes."""
    files = model_files(model, library, registry)
    if not model.preset:
        return Part(model.title, files, 0, 0, "a language model to train with")
    done = library.home(model.name).exists()
    made = 2 * model.parameters * _BYTES_OF[model.dtype]
    return Part(
        model.title,
        () if done else files,
        0 if done else made,
        0 if done else sum(file.remote.size for file in files) / _CONVERT_BYTES_PER_S,
        f"a model folder in {model.dtype}",
    )


def pair_part(model: Model, num_items: int) -> Part:
    """What the embeddings of a catalogue take.

    Args:
        model: an HLLM.
        num_items: of the catalogue.
    """
    work = 2 * model.parameters * _TOKENS * num_items
    has_gpu = shutil.which("nvidia-smi") is not None
    pace = _GPU_FLOPS if has_gpu else _CPU_FLOPS * (os.cpu_count() or 1)
    where = "on this GPU" if has_gpu else f"on {os.cpu_count()} CPU cores"
    return Part(
        f"{model.name} for this catalogue",
        (),
        num_items * _WIDTH * 2 + num_items * 1_000,
        work / pace,
        f"embeddings of about {num_items:,} items {where}",
    )


def describe(parts: Iterable[Part], folder: Path) -> str:
    """The plan for people: every file, what is made of it, disk and time."""
    lines, total, needed, seconds = [], 0.0, 0.0, 0.0
    for part in parts:
        lines.append(f"  {part.title}")
        lines += [
            f"    fetch {_size(file.remote.size)}  {file.remote.url}" for file in part.missing
        ]
        if part.seconds or part.made_bytes:
            lines.append(
                f"    make  {_size(part.made_bytes)}  {part.makes}: about {_time(part.seconds)}"
            )
        total += part.download_bytes
        needed += part.download_bytes + part.made_bytes
        seconds += part.seconds + part.download_bytes / DOWNLOAD_BYTES_PER_S
    free = shutil.disk_usage(_existing(folder)).free
    lines.append(
        f"Together: {_size(total).strip()} to download, {_size(needed).strip()} of disk in "
        f"{folder} ({_size(free).strip()} free), about {_time(seconds)} (at "
        f"{DOWNLOAD_BYTES_PER_S / 1e6:.0f} MB/s)."
    )
    return "\n".join(lines)


def disk_bytes(parts: Iterable[Part]) -> float:
    """Disk that is still needed for all of it."""
    return sum(part.download_bytes + part.made_bytes for part in parts)


def free_bytes(folder: Path) -> int:
    """Free on the disk of a folder that may not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _size(count: float) -> str:
    if count < 1e9:
        return f"{max(count / 1e6, 0.1):6.1f} MB" if count < 1e7 else f"{count / 1e6:6,.0f} MB"
    return f"{count / 1e9:6.1f} GB"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
