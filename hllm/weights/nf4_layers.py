"""Linear layers that compute with a matrix in NF4 (bitsandbytes)."""

from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.nn import Params4bit
from torch import Tensor, nn

from hllm.weights.nf4_format import NF4_BLOCK, PackedMatrix


def four_bit_layer(linear: nn.Linear) -> bnb.nn.Linear4bit:
    """A layer of the same sizes that waits for its weight (set_four_bit); bfloat16 products."""
    layer = bnb.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=torch.bfloat16,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    if linear.bias is not None and not linear.bias.is_meta:  # it came first
        layer.bias = linear.bias
    return layer


def set_four_bit(
    layer: bnb.nn.Linear4bit,
    value: Tensor | PackedMatrix,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Give a layer its weight; what is in NF4 already is not rounded a second time.

    Args:
        layer: will hold it.
        value: (out, in).
        device: where to.
        dtype: what numbers that are not in NF4 are converted to before they are rounded.
    """
    if isinstance(value, PackedMatrix):
        layer.weight = Params4bit.from_prequantized(
            value.codes, dict(value.statistics), device=device, module=layer
        )
        return
    weight: Any = Params4bit(
        value.to(dtype), requires_grad=False, blocksize=NF4_BLOCK, quant_type="nf4", module=layer
    )
    layer.weight = weight.to(device)  # rounded on its way
