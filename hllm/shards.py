"""Weights of a model folder: one safetensors file, or shards with an index as transformers writes.

Reading and writing hold one tensor in memory, so that a model larger than memory can be converted,
checked and fingerprinted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hllm.errors import CheckpointError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 2_000_000_000
_ELEMENTS_AT_ONCE = 1 << 24
_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64"}


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor that will be written."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Size on disk."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def weight_files(folder: str | Path) -> list[Path]:
    """The safetensors files of a model folder, the single file first choice as in transformers.

    Raises:
        CheckpointError: the index is damaged or points out of the folder.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return [folder / WEIGHTS]
    try:
        names = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        if not all(Path(name).name == name for name in names):
            raise ValueError("it names files outside of its folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / INDEX} is damaged ({error}): restore the file or convert again."
        ) from error
    return [folder / name for name in sorted(names)]


@contextmanager
def open_weights(folder: str | Path, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Open a model folder's weights: tensor name -> the file that holds it, in order of names.

    Args:
        folder: the model folder.
        prefix: only tensors whose name begins so.

    Raises:
        CheckpointError: a file is missing or damaged, also when that shows while reading.
    """
    path = Path(folder)
    with ExitStack() as stack:
        try:
            holders: dict[str, Any] = {}
            for path in weight_files(folder):
                file = stack.enter_context(safe_open(path, framework="pt"))
                holders |= {name: file for name in file.keys() if name.startswith(prefix)}
            yield dict(sorted(holders.items()))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is missing or damaged ({error}): restore the file or train again."
            ) from error


def read_shapes(folder: str | Path, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names and shapes of the stored tensors; reads only the files' headers."""
    with open_weights(folder, prefix) as holders:
        return {name: tuple(f.get_slice(name).get_shape()) for name, f in holders.items()}


def iter_tensors(folder: str | Path, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every stored tensor in order of names, one at a time."""
    with open_weights(folder, prefix) as holders:
        for name, file in holders.items():
            yield name, file.get_tensor(name)


def write_shards(
    folder: Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[Sequence[str]], Iterable[Tensor]],
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write tensors as one safetensors file, or as shards with an index where one does not do.

    Args:
        folder: where to.
        specs: what to write, in this order.
        read: gives the tensors of the names of one shard, in order; converted on the way.
        shard_bytes: most bytes of a shard; a larger tensor gets a shard of its own.

    Returns:
        The files.
    """
    shards = list(_plan(specs, shard_bytes))
    if len(shards) == 1:
        _write_file(folder / WEIGHTS, {name: specs[name] for name in shards[0]}, read)
        return [folder / WEIGHTS]
    paths: list[Path] = []
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        path = folder / f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_file(path, {name: specs[name] for name in names}, read)
        paths.append(path)
        weight_map |= dict.fromkeys(names, path.name)
    index = {
        "metadata": {"total_size": sum(spec.num_bytes for spec in specs.values())},
        "weight_map": weight_map,
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")
    return paths


def _plan(specs: Mapping[str, TensorSpec], shard_bytes: int) -> Iterator[list[str]]:
    """Cut the names into shards; within one, wide numbers come first: readers want them aligned."""
    shard: list[str] = []
    size = 0
    for name, spec in specs.items():
        if shard and size + spec.num_bytes > shard_bytes:
            yield sorted(shard, key=lambda name: -specs[name].dtype.itemsize)
            shard, size = [], 0
        shard.append(name)
        size += spec.num_bytes
    yield sorted(shard, key=lambda name: -specs[name].dtype.itemsize)


def _write_file(
    path: Path, specs: Mapping[str, TensorSpec], read: Callable[[Sequence[str]], Iterable[Tensor]]
) -> None:
    # safetensors' own writer wants all tensors of a file in memory.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, spec in specs.items():
        start, end = end, end + spec.num_bytes
        header[name] = {
            "dtype": _NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for spec, tensor in zip(specs.values(), read(list(specs)), strict=True):
            _write_tensor(file, tensor, spec)


def _write_tensor(file: BinaryIO, tensor: Tensor, spec: TensorSpec) -> None:
    assert tuple(tensor.shape) == spec.shape
    for part in tensor.detach().reshape(-1).split(_ELEMENTS_AT_ONCE):
        file.write(part.to(spec.dtype).view(torch.uint8).numpy().data)
