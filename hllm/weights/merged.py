"""A language model's tensors as it computes: packaged base, what training changed, LoRA added.

Serving needs no LoRA matrices beside the weights: one product instead of three.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hllm.errors import CheckpointError
from hllm.weights.files import iter_packed, iter_tensors
from hllm.weights.nf4_format import PackedMatrix
from hllm.weights.shapes import base_name, base_shapes

Shapes = Mapping[str, tuple[int, ...]]
_A, _B = ".lora_A.default.weight", ".lora_B.default.weight"


@dataclass(frozen=True)
class Merge:
    """Of what a language model is put together.

    Attributes:
        tower: beginning of its tensors' names in the model folder.
        base: folder of the pretrained model whose weights fill what is missing; None: nothing is.
        needed: names and shapes of the language model; empty without a base.
        lora: the peft LoraConfig arguments; None: it has no such matrices.
    """

    tower: str
    base: Path | None
    needed: Shapes
    lora: Mapping[str, Any] | None

    def own_name(self, stored: str) -> str:
        """What a stored tensor is called in the language model without LoRA."""
        name = stored.removeprefix(self.tower)
        return name.replace(".base_layer.", ".") if self.lora else name

    def is_lora(self, stored: str) -> bool:
        """Whether a stored tensor is a LoRA matrix."""
        return self.lora is not None and stored.endswith((_A, _B))


def merged_shapes(stored: Shapes, merge: Merge) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a language model's tensors.

    Args:
        stored: of the model folder.
        merge: see Merge.

    Raises:
        CheckpointError: the base is damaged.
    """
    found = {
        merge.own_name(name): shape
        for name, shape in stored.items()
        if name.startswith(merge.tower) and not merge.is_lora(name)
    }
    if merge.base is not None:
        base = base_shapes(merge.base)
        found |= {n: base[n] for n in merge.needed if n not in found and n in base}
    return found


def merged_tensors(folder: Path, merge: Merge) -> Iterator[tuple[str, Tensor | PackedMatrix]]:
    """The tensors of a language model, one at a time.

    Args:
        folder: the model folder.
        merge: see Merge.

    Raises:
        CheckpointError: something is missing, damaged or does not fit together.
    """
    lora = {
        name.removeprefix(merge.tower): value
        for name, value in iter_tensors(folder, merge.tower, keep=merge.is_lora)
    }
    for name, value in _plain_tensors(folder, merge):
        stem = name.removesuffix(".weight")
        pair = lora.pop(f"{stem}{_A}", None), lora.pop(f"{stem}{_B}", None)
        yield name, value if pair == (None, None) else _added(folder, name, value, pair, merge)
    if lora:
        raise CheckpointError(
            f"{folder}: {min(lora)} changes no weight of the model: restore both from one training."
        )


def _plain_tensors(folder: Path, merge: Merge) -> Iterator[tuple[str, Tensor | PackedMatrix]]:
    found = set()
    for name, value in iter_packed(folder, merge.tower, keep=lambda n: not merge.is_lora(n)):
        found.add(merge.own_name(name))
        yield merge.own_name(name), value
    if merge.base is not None:
        missing = merge.needed.keys() - found
        for name, tensor in iter_tensors(merge.base, keep=lambda n: base_name(n) in missing):
            yield base_name(name), tensor


def _added(
    folder: Path,
    name: str,
    value: Tensor | PackedMatrix,
    pair: tuple[Tensor | None, Tensor | None],
    merge: Merge,
) -> Tensor:
    """A weight (out, in) with B (out, r) times A (r, in) added to it."""
    weight = value.dequantize() if isinstance(value, PackedMatrix) else value
    down, up = pair
    rank = (merge.lora or {}).get("r")
    fits = (
        down is not None
        and up is not None
        and tuple(down.shape) == (rank, *weight.shape[1:])
        and tuple(up.shape) == (*weight.shape[:1], rank)
    )
    if not fits or down is None or up is None:
        raise CheckpointError(
            f"{folder}: the LoRA matrices of {name} do not fit it: restore both from one training."
        )
    factor = (merge.lora or {})["lora_alpha"] / rank
    return torch.addmm(weight.float(), up.float(), down.float(), alpha=factor)
