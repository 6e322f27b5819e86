"""The User LLM in NF4 with double quantization, computed in bfloat16 (arXiv 2305.14314).

Weights are rounded one by one on their way from the file to the device: neither a float32 copy nor
the whole model in 16 bits is ever held.
"""

from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from hllm.checkpoint import load_config
from hllm.errors import CheckpointError
from hllm.shards import iter_tensors, read_shapes

PREFIX = "user_llm."


def load_nf4(folder: str | Path, device: torch.device) -> PreTrainedModel:
    """Load a User LLM with all its matrices in 4 bits.

    Args:
        folder: a trained or converted HLLM.
        device: where it will compute.

    Returns:
        The model in evaluation mode; it reads and returns bfloat16.

    Raises:
        CheckpointError: weights are missing, damaged or do not fit config.json.
    """
    config = load_config(folder).user_config
    with torch.device("meta"):
        user_llm = AutoModel.from_config(config)
    user_llm.set_input_embeddings(None)
    own = {name: tuple(value.shape) for name, value in user_llm.state_dict().items()}
    stored = {k.removeprefix(PREFIX): v for k, v in read_shapes(folder, PREFIX).items()}
    if own != stored:
        raise CheckpointError(
            f"{folder}: weights do not fit config.json: restore both from one training."
        )
    for name, tensor in iter_tensors(folder, PREFIX):
        _place(user_llm, name.removeprefix(PREFIX), tensor, device)
    # Computed from the configuration, not stored; it stays in float32.
    user_llm.rotary_emb = type(user_llm.rotary_emb)(config).to(device)
    return user_llm.eval()


def _place(model: nn.Module, name: str, tensor: Tensor, device: torch.device) -> None:
    """Put one stored tensor where it belongs; the matrix of a linear layer becomes 4 bits."""
    path, _, kind = name.rpartition(".")
    module = model.get_submodule(path)
    value = tensor.to(torch.bfloat16)
    if not isinstance(module, nn.Linear) or kind != "weight":
        setattr(module, kind, nn.Parameter(value.to(device), requires_grad=False))
        return
    if not isinstance(module, bnb.nn.Linear4bit):
        module = _four_bit_layer(module)
        model.set_submodule(path, module)
    weight: Any = bnb.nn.Params4bit(
        value, requires_grad=False, quant_type="nf4", compress_statistics=True, module=module
    )
    module.weight = weight.to(device)  # rounded on its way


def _four_bit_layer(linear: nn.Linear) -> bnb.nn.Linear4bit:
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
