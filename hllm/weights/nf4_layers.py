"""Linear layers that compute with a matrix in NF4 (bitsandbytes)."""

from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.nn import Params4bit
from torch import Tensor, nn

from hllm.weights.nf4_format import NF4_BLOCK, PackedMatrix


def four_bit_layer(linear: nn.Linear) -> bnb.nn.Linear4bit:
    """A layer of the same sizes that waits for its weight (set_four_bit); computes in bfloat16."""
    layer = bnb.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=torch.bfloat16,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",  # no memory until the weight comes
    )
    if linear.bias is not None and not linear.bias.is_meta:  # loaded before the weight
        layer.bias = linear.bias
    return layer


def set_four_bit(
    layer: bnb.nn.Linear4bit,
    value: Tensor | PackedMatrix,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Give a layer its weight; a matrix that is in NF4 already is not rounded again.

    Args:
        layer: to be changed.
        value: (out, in).
        device: where it will compute.
        dtype: numbers that are not in NF4 are converted to this before they are rounded.
    """
    if isinstance(value, PackedMatrix):
        layer.weight = Params4bit.from_prequantized(
            value.codes, dict(value.statistics), device=device, module=layer
        )
        return
    weight: Any = Params4bit(
        value.to(dtype), requires_grad=False, blocksize=NF4_BLOCK, quant_type="nf4", module=layer
    )
    layer.weight = weight.to(device)  # bitsandbytes rounds when a weight moves to a device
