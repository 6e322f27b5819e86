"""How a tensor is stored in a weight file: as it is, or as a matrix in 4 bits.

A matrix in NF4 with double quantization (Paper: 2305.14314) is six tensors, named and filled as
bitsandbytes does, so that transformers opens them. The codes have the matrix's own name. The others
hold the scales of blocks of 64 numbers, in 8 bits, and what those 8 bits mean.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hllm.errors import CheckpointError

NF4_BLOCK = 64
_NESTED_BLOCK = 256  # scales that share a scale of their own
QUANT_STATE = "quant_state.bitsandbytes__nf4"
_STATE_BYTES = 256  # JSON, filled up with blanks: its size must be known before its contents are
# Tensor -> length of the table from codes to values: 4 bits, and 8 bits for the scales.
_TABLES = {"quant_map": 16, "nested_quant_map": 256}
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)
# config.json's note for transformers. Without a list of modules to skip, it would skip whichever
# comes last. It matches beginnings and ends of names, hence full ones.
QUANTIZATION_CONFIG = {
    "quant_method": "bitsandbytes",
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
    "bnb_4bit_quant_storage": "uint8",
    "llm_int8_skip_modules": ["item_adapter", "click_head"],
}


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor that will be written as it is."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Size on disk."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def parts(self, name: str) -> dict[str, "TensorSpec"]:
        """The stored tensors, by their names."""
        return {name: self}

    def encode(self, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The stored tensors' values; the writer converts them to their dtypes."""
        yield name, tensor


@dataclass(frozen=True)
class Nf4Spec:
    """Shape of a matrix (out, in) that will be written in NF4."""

    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Size on disk."""
        return sum(spec.num_bytes for spec in self.parts("").values())

    def parts(self, name: str) -> dict[str, TensorSpec]:
        """The stored tensors, by their names."""
        sizes = {
            part: TensorSpec((n,), dtype)
            for part, (n, dtype) in _statistics_sizes(self.shape).items()
        }
        # Two codes per byte.
        codes = TensorSpec((-(-torch.Size(self.shape).numel() // 2), 1), torch.uint8)
        sizes[QUANT_STATE] = TensorSpec((_STATE_BYTES,), torch.uint8)
        return {name: codes} | {f"{name}.{part}": spec for part, spec in sizes.items()}

    def encode(self, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The stored tensors' values; numbers become bfloat16 before NF4, as in transformers."""
        from bitsandbytes.functional import quantize_4bit  # noqa: PLC0415  takes seconds

        codes, state = quantize_4bit(
            tensor.to(torch.bfloat16),
            blocksize=NF4_BLOCK,
            compress_statistics=True,
            quant_type="nf4",
        )
        yield name, codes
        for part, value in state.as_dict(packed=True).items():
            if part == QUANT_STATE:
                blanks = torch.full((_STATE_BYTES - len(value),), ord(" "), dtype=torch.uint8)
                value = torch.cat([value, blanks])
            yield f"{name}.{part}", value


def _statistics_sizes(
    shape: Iterable[int], block: int = NF4_BLOCK, nested_block: int = _NESTED_BLOCK
) -> dict[str, tuple[int, torch.dtype]]:
    """Length and dtype of the tensors beside a matrix's codes, without the JSON."""
    blocks = -(-torch.Size(shape).numel() // block)
    lengths = {"absmax": (blocks, torch.uint8)}  # a scale per block, itself quantized
    lengths["nested_absmax"] = (-(-blocks // nested_block), torch.float32)
    return lengths | {name: (length, torch.float32) for name, length in _TABLES.items()}


@dataclass(frozen=True)
class PackedMatrix:
    """A matrix (out, in) in NF4, as it is stored.

    Attributes:
        codes: (out * in / 2, 1) uint8, two numbers per byte.
        statistics: the other five tensors, by the part of their names behind the matrix's name.

    Raises:
        ValueError: the six do not belong together.
    """

    codes: Tensor
    statistics: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        """Check everything that bitsandbytes trusts."""
        # Its kernels take sizes from the state: wrong ones would make them read other memory.
        missing = {QUANT_STATE, *_statistics_sizes(())} - set(self.statistics)
        if missing:
            raise ValueError(f"it lacks {min(missing)}")
        state = _parse_state(self.statistics[QUANT_STATE])
        expected = _statistics_sizes(state["shape"], state["blocksize"], state["nested_blocksize"])
        for part, (length, dtype) in expected.items():
            found = self.statistics[part]
            if found.numel() != length or found.dtype != dtype:
                raise ValueError(f"{part} holds {found.numel()} numbers, not {length}")
        length = -(-torch.Size(state["shape"]).numel() // 2)
        if self.codes.numel() != length or self.codes.dtype != torch.uint8:
            raise ValueError(f"it holds {self.codes.numel()} bytes, not {length}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix: (out, in)."""
        return packed_shape(self.statistics[QUANT_STATE])

    def dequantize(self) -> Tensor:
        """The values (out, in) that the codes stand for, in the dtype that was rounded."""
        from bitsandbytes.functional import (  # noqa: PLC0415  takes seconds
            QuantState,
            dequantize_4bit,
        )

        device = self.codes.device
        return dequantize_4bit(self.codes, QuantState.from_dict(dict(self.statistics), device))


def _parse_state(state: Tensor) -> dict[str, Any]:
    try:
        values = json.loads(bytes(state.cpu().numpy()))
        numbers = [*values["shape"], values["blocksize"], values["nested_blocksize"]]
        if not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError("a size is not a positive number")
        dtype, nested = values["dtype"], (values["quant_type"], values["nested_dtype"])
        if dtype not in [str(d).removeprefix("torch.") for d in _FLOATS]:
            raise ValueError(f"dtype {dtype}")
        if nested != ("nf4", "float32") or len(values["shape"]) != 2:
            raise ValueError("it is not an NF4 matrix with double quantization")
        float(values["nested_offset"])  # raises if it is not a number
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its {QUANT_STATE} cannot be read ({error})") from error
    return values


def packed_shape(state: Tensor) -> tuple[int, ...]:
    """Shape (out, in) of the matrix that this stored state belongs to.

    Raises:
        ValueError: it is damaged, or of another kind of quantization.
    """
    return tuple(_parse_state(state)["shape"])


def packed_names(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Which stored tensors are matrices in NF4.

    Args:
        names: of all stored tensors.

    Returns:
        Matrix -> part -> stored name, for those parts that exist.
    """
    stored = set(names)
    matrices = [
        name.removesuffix(f".{QUANT_STATE}") for name in stored if name.endswith(f".{QUANT_STATE}")
    ]
    parts = (*_statistics_sizes(()), QUANT_STATE)
    return {
        matrix: {part: f"{matrix}.{part}" for part in parts if f"{matrix}.{part}" in stored}
        for matrix in matrices
    }


def check_four_bit(layers: Mapping[str, nn.Module], source: str) -> None:
    """Make sure that a model's linear layers are in 4 bits after transformers has loaded it.

    Args:
        layers: by name.
        source: where the model comes from, for the message.

    Raises:
        CheckpointError: a layer is not in 4 bits, or its parts do not belong together.
    """
    for name, layer in layers.items():
        state = getattr(layer.weight, "quant_state", None)
        try:
            if state is None:
                raise ValueError("it is not in 4 bits")
            weight = PackedMatrix(layer.weight.data, state.as_dict(packed=True))  # type: ignore[arg-type]
            if weight.shape != (layer.out_features, layer.in_features):
                raise ValueError(f"it is of shape {weight.shape}")
        except ValueError as error:
            raise CheckpointError(
                f"{source}: {name} does not fit config.json: {error}; convert the model again."
            ) from error
