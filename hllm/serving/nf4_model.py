"""Language models with their matrices in NF4, computed in bfloat16 (Paper: 2305.14314).

Matrices come to the device one by one and are rounded on the way, unless the file holds them in
NF4 already. So neither a float32 copy nor the whole model in 16 bits is ever held.
"""

from collections.abc import Callable

import bitsandbytes as bnb
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import HLLM, make_item_llm, make_user_llm
from hllm.model_folder import ITEM_LLM, USER_LLM, ModelFolder
from hllm.weights.nf4_format import PackedMatrix
from hllm.weights.nf4_layers import four_bit_layer, set_four_bit
from hllm.weights.shapes import build


def load_nf4(folder: ModelFolder, device: torch.device) -> PreTrainedModel:
    """Load a User LLM with all its matrices in 4 bits.

    Args:
        folder: a trained or converted HLLM.
        device: where it will compute.

    Returns:
        The model in evaluation mode; it reads and returns bfloat16.

    Raises:
        CheckpointError: weights are missing, damaged or do not fit config.json.
    """
    config = folder.config.user_config
    return _load_tower(folder, USER_LLM, lambda: make_user_llm(config), config, device)


def load_nf4_item_llm(folder: ModelFolder, device: torch.device) -> PreTrainedModel:
    """The same for the Item LLM, however its matrices are stored; for decoders with RoPE."""
    config = folder.config.item_config
    return _load_tower(folder, ITEM_LLM, lambda: make_item_llm(config), config, device)


def _load_tower(
    folder: ModelFolder,
    tower: str,
    make: Callable[[], PreTrainedModel],
    config: PretrainedConfig,
    device: torch.device,
) -> PreTrainedModel:
    with torch.device("meta"):  # no memory for weights that are about to be replaced
        model = build(make, folder.path)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if own != folder.tower_shapes(tower):
        raise CheckpointError(
            f"{folder}: weights do not fit config.json: restore both from one training."
        )
    for name, value in folder.tower_tensors(tower):
        _set_tensor(model, name, value, device)
    # Not stored but computed from the configuration, and still on "meta"; it stays in float32.
    model.rotary_emb = type(model.rotary_emb)(config).to(device)
    return model.eval()


def load_nf4_items(folder: ModelFolder, device: torch.device) -> HLLM:
    """Load what encodes items from a folder whose matrices are stored in NF4.

    Args:
        folder: made by ``python -m hllm.checkpoint convert --dtype nf4``.
        device: where it will compute.

    Returns:
        The model in evaluation mode, bfloat16. Its User LLM has no layers: items do not need them.

    Raises:
        CheckpointError: weights are missing, damaged or do not fit config.json.
    """
    _ = folder.shapes  # read for its error messages, which are clearer than transformers'
    try:
        # Read again, because transformers needs the note on NF4 that ModelFolder.config leaves out.
        config = HLLMConfig.from_pretrained(folder.path, trust_remote_code=False)
        config.user_config.num_hidden_layers = 0
        return HLLM.from_pretrained(
            folder.path,
            config=config,
            device_map={"": device},
            local_files_only=True,
            trust_remote_code=False,
        ).eval()
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).split("\n", 1)[0]
        raise CheckpointError(
            f"{folder} cannot be loaded in 4 bits ({reason}): restore it or convert it again."
        ) from error


def _set_tensor(
    model: nn.Module, name: str, value: Tensor | PackedMatrix, device: torch.device
) -> None:
    """Put one stored tensor where it belongs; the matrix of a linear layer becomes 4 bits."""
    path, _, kind = name.rpartition(".")  # kind: "weight" or "bias"
    module = model.get_submodule(path)
    if isinstance(module, nn.Linear) and kind == "weight":
        if not isinstance(module, bnb.nn.Linear4bit):
            module = four_bit_layer(module)
            model.set_submodule(path, module)
        set_four_bit(module, value, device, torch.bfloat16)
        return
    plain = value.dequantize() if isinstance(value, PackedMatrix) else value
    parameter = nn.Parameter(plain.to(torch.bfloat16).to(device), requires_grad=False)
    setattr(module, kind, parameter)
