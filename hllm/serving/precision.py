"""In which precision a language model answers: the names, and what "auto" may mean.

Serving reads all weights of the User LLM once per click, so that a large model is as fast as its
weights are small: 4 bits on a CPU through ONNX Runtime (hllm.serving.onnx_incremental), NF4 on a
GPU (hllm.serving.nf4_model). Rounding costs a model the more the smaller it is: one of middle size
gets 8 bits at the fewest on a CPU and stays exact on a GPU. A small one is limited by other things,
stays exact.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imports torch, and reading options should not have to wait for that
    from transformers import PretrainedConfig

PRECISIONS = ("auto", "fp32", "bf16", "int8", "int4", "nf4")
# Milliseconds per click: 314 in fp32 and 20 in int4 at 1.1 billion parameters, 11.6 in fp32 and 5.6
# in int8 at 14 million. Smaller ones are limited by other things than their weights.
LOW_BITS_FROM_PARAMETERS = 10_000_000
# States of SmolLM2 (135 million), less their mean, have cosine 0.82 to float32 in int4 and 0.995 in
# int8, which takes about as long. Nothing between it and 1.1 billion was measured.
FOUR_BITS_FROM_PARAMETERS = 500_000_000


def on_zerogpu(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether GPUs are lent here for the length of a function: on a ZeroGPU Space.

    There torch says of every process that it has one.
    """
    return environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def fits_few_bits(config: PretrainedConfig) -> bool:
    """Whether a language model is a Llama without biases, its heads whole multiples of 16 wide."""
    # What hllm.serving.onnx_graph builds: other models would need other nodes.
    return (
        config.model_type == "llama"
        and not config.attention_bias
        and not config.mlp_bias
        and config.hidden_act == "silu"
        and config.head_dim % 16 == 0  # or GroupQueryAttention fails at the first answer
    )


def precision_choices(
    config: PretrainedConfig, num_parameters: int, *, has_cuda: bool
) -> tuple[str, ...]:
    """What "auto" may mean for a model: precisions that keep its answers.

    Args:
        config: of the language model.
        num_parameters: of it.
        has_cuda: whether there is a CUDA device.

    Returns:
        Of fp32, nf4, int8 and int4, the most exact first. The last one has the fewest bits and is
        likely, but not certain, to be the fastest (hllm.serving.measured_precision).
    """
    if num_parameters < LOW_BITS_FROM_PARAMETERS:
        return ("fp32",)
    is_large = num_parameters >= FOUR_BITS_FROM_PARAMETERS
    if has_cuda:  # bitsandbytes packs every linear layer, so any architecture will do
        return ("nf4",) if is_large else ("fp32",)
    if not fits_few_bits(config):
        return ("fp32",)
    return ("int8", "int4") if is_large else ("fp32", "int8")
