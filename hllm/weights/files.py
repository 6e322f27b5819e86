"""Weights of a model folder: one safetensors file, or shards with an index as transformers writes.

Reading and writing hold one tensor in memory at a time, so that a model larger than memory can be
converted, checked and fingerprinted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import gguf_in
from hllm.weights.checksums import (
    UNKNOWN,
    ChecksumError,
    TensorDigest,
    VerifiedFile,
    digests_to_metadata,
)
from hllm.weights.nf4_format import (
    QUANT_STATE,
    Nf4Spec,
    PackedMatrix,
    TensorSpec,
    packed_names,
    packed_shape,
)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 2_000_000_000
_ELEMENTS_AT_ONCE = 1 << 24  # converted at a time: no second copy of a large tensor is made
# Names of dtypes in the header of a safetensors file.
_DTYPE_NAMES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float64: "F64",
    torch.uint8: "U8",
}
Spec = TensorSpec | Nf4Spec


def weight_files(folder: str | Path) -> list[Path]:
    """The weight files of a folder: one GGUF, or safetensors; a single file rather than shards.

    Raises:
        CheckpointError: the index is damaged or points out of the folder.
    """
    folder = Path(folder)
    if gguf := gguf_in(folder):
        return [gguf]
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return [folder / WEIGHTS]
    try:
        names = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        # A stranger's index must not make us read other files of this machine.
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
        prefix: only tensors whose names begin with this.

    Raises:
        CheckpointError: a file is missing or damaged, even if only reading a tensor shows it.
    """
    path = Path(folder)
    with ExitStack() as stack:
        try:
            holders: dict[str, Any] = {}
            for path in weight_files(folder):  # the message below names the last one
                file: Any
                holder: Any
                if path.suffix == ".gguf":
                    from hllm.weights.gguf_tensors import GgufTensors  # noqa: PLC0415  few models are GGUF

                    file = holder = GgufTensors(path)
                else:
                    file = stack.enter_context(safe_open(path, framework="pt"))
                    holder = VerifiedFile(file)
                holders |= {name: holder for name in file.keys() if name.startswith(prefix)}
            yield dict(sorted(holders.items()))
        except (SafetensorError, ChecksumError, OSError) as error:
            raise CheckpointError(
                f"{path} is missing or damaged ({error}): restore the file or train again."
            ) from error


def holds_nf4(folder: str | Path) -> bool:
    """Whether matrices of a model folder are stored in NF4."""
    with open_weights(folder) as holders:
        return bool(packed_names(holders))


def read_shapes(folder: str | Path, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors, however they are stored; reads next to nothing."""
    with open_weights(folder, prefix) as holders:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, statistics in _tensors_with_statistics(holders).items():
            shapes[name] = tuple(holders[name].get_slice(name).get_shape())
            if statistics:  # packed codes have lost the matrix's shape
                key = statistics[QUANT_STATE]
                with _nf4_damage(folder, name):
                    shapes[name] = packed_shape(holders[key].get_tensor(key))
        return shapes


def iter_stored(folder: str | Path) -> Iterator[tuple[str, Tensor]]:
    """Everything as it is stored, in order of names, one tensor at a time."""
    with open_weights(folder) as holders:
        for name, file in holders.items():
            yield name, file.get_tensor(name)


def iter_packed(
    folder: str | Path, prefix: str = "", *, keep: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, Tensor | PackedMatrix]]:
    """Every tensor in order of names, one at a time; a matrix that is stored in NF4 stays so.

    Args:
        folder: the model folder.
        prefix: only tensors whose names begin with this.
        keep: which of them by name; the others are not read.

    Raises:
        CheckpointError: a file is missing or damaged, or numbers are not finite.
    """
    with open_weights(folder, prefix) as holders:
        for name, statistics in _tensors_with_statistics(holders).items():
            if not keep(name):
                continue
            tensor = holders[name].get_tensor(name)
            parts = {part: holders[key].get_tensor(key) for part, key in statistics.items()}
            for value in (tensor, *parts.values()):
                _check_finite(folder, name, value)
            if not statistics:
                yield name, tensor
                continue
            with _nf4_damage(folder, name):
                packed = PackedMatrix(tensor, parts)
            yield name, packed


def iter_tensors(
    folder: str | Path, prefix: str = "", *, keep: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, Tensor]]:
    """As iter_packed; a matrix in NF4 is given as its values."""
    for name, value in iter_packed(folder, prefix, keep=keep):
        yield name, value.dequantize() if isinstance(value, PackedMatrix) else value


def _check_finite(folder: str | Path, name: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity: every answer would be NaN, or quietly wrong."""
    # A sum takes no memory and nearly always says enough. But it can overflow: then look closely.
    if not tensor.is_floating_point() or tensor.sum(dtype=torch.float32).isfinite():
        return
    if not tensor.isfinite().all():
        raise CheckpointError(
            f"{folder}: {name} holds numbers that are not finite: restore the weights or train "
            "again."
        )


@contextmanager
def _nf4_damage(folder: str | Path, name: str) -> Iterator[None]:
    """Turn what hllm.weights.nf4_format refuses into an error that names folder and matrix."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(
            f"{folder}: {name} in NF4 is damaged: {error}; restore the file or convert again."
        ) from error


def _tensors_with_statistics(holders: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Names of tensors -> part -> stored name of an NF4 matrix's statistics; empty for others."""
    packed = packed_names(holders)
    # The statistics belong to a matrix and are not tensors of the model.
    inner = {name for parts in packed.values() for name in parts.values()}
    return {name: packed.get(name, {}) for name in holders if name not in inner}


def write_shards(
    folder: Path,
    specs: Mapping[str, Spec],
    read: Callable[[Sequence[str]], Iterable[Tensor]],
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write tensors as one safetensors file, or as shards with an index if they are too large.

    Args:
        folder: where the files go.
        specs: what to write, in this order.
        read: gives the tensors of one shard for its names, in order. They are converted on the way.
        shard_bytes: most bytes of a shard; a larger tensor gets a shard of its own.

    Returns:
        The files.
    """
    # Planned first: every shard's name holds their number.
    shards = list(_split_into_shards(specs, shard_bytes))
    if len(shards) == 1:
        _write_file(folder / WEIGHTS, {name: specs[name] for name in shards[0]}, read)
        return [folder / WEIGHTS]
    paths: list[Path] = []
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        path = folder / f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_file(path, {name: specs[name] for name in names}, read)
        paths.append(path)
        weight_map |= {part: path.name for name in names for part in specs[name].parts(name)}
    index = {
        "metadata": {"total_size": sum(spec.num_bytes for spec in specs.values())},
        "weight_map": weight_map,
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")
    return paths


def _split_into_shards(specs: Mapping[str, Spec], shard_bytes: int) -> Iterator[list[str]]:
    """Cut the names into shards."""
    shard: list[str] = []
    size = 0
    for name, spec in specs.items():
        if shard and size + spec.num_bytes > shard_bytes:
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += spec.num_bytes
    yield shard


def _write_file(
    path: Path, specs: Mapping[str, Spec], read: Callable[[Sequence[str]], Iterable[Tensor]]
) -> None:
    # Written by hand: safetensors' own writer wants all tensors of a file in memory.
    parts = {part: spec for name in specs for part, spec in specs[name].parts(name).items()}
    digests = dict.fromkeys(parts, UNKNOWN)
    text, starts = _header(parts, digests)
    with path.open("wb") as file:
        file.write(text)
        for name, tensor in zip(specs, read(list(specs)), strict=True):
            assert tuple(tensor.shape) == specs[name].shape
            for part, value in specs[name].encode(name, tensor):
                # Not one after the other: the header orders them by the size of their numbers.
                file.seek(len(text) + starts[part])
                digests[part] = _write_tensor(file, value, parts[part])
        # Now with the digests. Each is as long as its placeholder, so that nothing moves.
        file.seek(0)
        file.write(_header(parts, digests)[0])


def _header(
    parts: Mapping[str, TensorSpec], digests: Mapping[str, str]
) -> tuple[bytes, dict[str, int]]:
    """The header of a safetensors file, and where each tensor begins behind it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"} | digests_to_metadata(digests)}
    starts: dict[str, int] = {}
    end = 0
    # Wide numbers come first: readers want them aligned.
    for part, spec in sorted(parts.items(), key=lambda item: -item[1].dtype.itemsize):
        starts[part], end = end, end + spec.num_bytes
        header[part] = {
            "dtype": _DTYPE_NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [starts[part], end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers behind it are aligned
    return len(text).to_bytes(8, "little") + text, starts


def _write_tensor(file: BinaryIO, tensor: Tensor, spec: TensorSpec) -> str:
    """Write one tensor and return its digest."""
    assert tuple(tensor.shape) == spec.shape
    digest = TensorDigest(spec.dtype, tuple(spec.shape))
    for part in tensor.detach().reshape(-1).split(_ELEMENTS_AT_ONCE):
        stored = part.to(spec.dtype)
        digest.update(stored)
        file.write(stored.view(torch.uint8).numpy().data)
    return digest.hexdigest()
