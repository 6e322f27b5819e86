"""QLoRA: the frozen base of an Item LLM with LoRA matrices, held in 4 bits.

The only module that imports bitsandbytes.
"""

from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import Tensor, nn


class Base4bit(bnb.nn.Linear4bit):
    """A frozen linear layer in NF4 (arXiv 2305.14314).

    Its state is the rounded weight as an ordinary matrix, so that a saved model computes what was
    trained, on any machine. Loading a run's state leaves the layer alone: the start of the run has
    made the same one from the same weights.

    Args:
        linear: the layer to round; its weight is taken over.
        compute_dtype: of the products.
    """

    def __init__(self, linear: nn.Linear, compute_dtype: torch.dtype) -> None:
        super().__init__(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=compute_dtype,
            quant_type="nf4",
            device="meta",  # no second copy of the weight
        )
        self.weight = bnb.nn.Params4bit(
            linear.weight.data, requires_grad=False, quant_type="nf4", module=self
        )
        self.bias = linear.bias
        # On a CPU with AVX512-BF16 bitsandbytes repacks the weight in place at the first
        # evaluation: it fails on layers narrower than a block, and rounded() could not read it.
        self.support_avx512bf16_for_cpu = False
        self.requires_grad_(False)

    def rounded(self) -> Tensor:
        """The weight (out, in) that the layer computes with."""
        weight: Any = self.weight  # Params4bit
        return dequantize_4bit(weight.data, weight.quant_state)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.rounded().to(self.compute_dtype)
        if self.bias is not None:
            destination[f"{prefix}bias"] = self.bias if keep_vars else self.bias.detach()

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        """Nothing: see the class."""


def quantize_base(item_llm: nn.Module, device: torch.device, compute_dtype: torch.dtype) -> None:
    """Round the frozen layers under LoRA matrices to 4 bits and move all to the device, in place.

    Args:
        item_llm: with peft's LoRA layers.
        device: where it will compute; layers are rounded one by one on their way there.
        compute_dtype: float32 or bfloat16.
    """
    for module in item_llm.modules():
        base = getattr(module, "base_layer", None)
        if isinstance(base, nn.Linear) and not isinstance(base, Base4bit):
            module.base_layer = Base4bit(base, compute_dtype)
    item_llm.to(device)
