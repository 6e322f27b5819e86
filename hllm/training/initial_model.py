"""The HLLM that a run starts from: random, pretrained, in 4 bits, or a trained one's weights."""

import warnings
from pathlib import Path
from typing import Any

import torch

from hllm.checkpoint import build_model, load_model
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, DataError, shortened
from hllm.model import HLLM
from hllm.model_folder import ITEM_LLM, USER_LLM, ModelFolder
from hllm.training.options import ModelOptions, TrainOptions


def make_initial_model(
    config: HLLMConfig, model_options: ModelOptions, options: TrainOptions, device: torch.device
) -> HLLM:
    """Make the HLLM that the options ask for.

    Args:
        config: its shape.
        model_options: where its language models come from.
        options: start_from, precision, gradient_checkpointing.
        device: where it will compute.

    Raises:
        DataError: it needs a device that is not there.
        CheckpointError: weights to start from are missing or do not fit.
    """
    user_weights = model_options.user_folder if model_options.user_pretrained else None
    if model_options.is_qlora:
        model = _make_qlora(model_options, options, config, user_weights, device)
    else:
        item_weights = model_options.item_folder if model_options.item_pretrained else None
        model = build_model(config, item_weights=item_weights, user_weights=user_weights)
        if options.start_from:
            copy_trained_weights(model, options.start_from)
    if options.gradient_checkpointing:
        checkpoint_gradients(model)
    return model


def _make_qlora(
    model_options: ModelOptions,
    options: TrainOptions,
    config: HLLMConfig,
    user_weights: Path | None,
    device: torch.device,
) -> HLLM:
    """The same with the Item LLM's base in 4 bits, which never exists in more."""
    _require_cuda()
    from hllm.training import qlora  # noqa: PLC0415  bitsandbytes, only if it is used

    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    item_llm = qlora.load_base(model_options.item_folder, config.item_config, device, dtype)
    model = build_model(config, item_llm=item_llm, user_weights=user_weights)
    if options.start_from:
        qlora.start_from(model, options.start_from)
    return model


def _require_cuda() -> None:
    if not torch.cuda.is_available():
        raise DataError("--item_training qlora needs a CUDA device, and there is none: use lora")


def copy_trained_weights(model: HLLM, folder: str) -> None:
    """Copy the weights of a trained HLLM; new LoRA matrices and a new click head stay as they are.

    Raises:
        CheckpointError: the models do not fit together.
    """
    source, _ = load_model(folder)
    _merge_lora(source, model)
    _keep_changed_bases(model, ModelFolder(folder))
    # A layer under LoRA matrices has its weights one name deeper.
    weights = {k.replace(".base_layer.", "."): v for k, v in source.state_dict().items()}
    wanted = {name: name.replace(".base_layer.", ".") for name in model.state_dict()}
    missing = [name for name, key in wanted.items() if key not in weights]
    if strange := [n for n in missing if "lora_" not in n and not n.startswith("click_head.")]:
        raise CheckpointError(
            f"--start_from {folder} lacks {shortened(strange)}: it is another model."
        )
    known = {name: weights[key] for name, key in wanted.items() if key in weights}
    try:
        model.load_state_dict(known, strict=False)
    except RuntimeError as error:
        # The first lines of PyTorch's message name the class; the last one, what does not fit.
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"--start_from {folder} does not fit these options ({reason})."
        ) from error


def _merge_lora(source: HLLM, model: HLLM) -> None:
    """What the source's LoRA matrices have learned becomes part of a base that will have none."""
    for tower, before, now in (
        (source.item_llm, source.config.item_lora, model.config.item_lora),
        (source.user_llm, source.config.user_lora, model.config.user_lora),
    ):
        for layer in tower.modules() if before and not now else ():
            if hasattr(layer, "base_layer"):
                layer.merge()  # type: ignore[operator]


def _keep_changed_bases(model: HLLM, source: ModelFolder) -> None:
    """Have a base saved that is no longer the packaged one, also if this run leaves it frozen."""
    config = model.config
    for tower, name in ((ITEM_LLM, "item"), (USER_LLM, "user")):
        own = [n for n in source.shapes if n.startswith(tower) and "lora_" not in n]
        merged = getattr(source.config, f"{name}_lora") and not getattr(config, f"{name}_lora")
        other = getattr(source.config, f"{name}_base") != getattr(config, f"{name}_base")
        if own or merged or other:
            setattr(config, f"{name}_base", None)


def checkpoint_gradients(model: Any) -> None:
    """Recompute the activations of a transformers model's layers in the backward pass."""
    with warnings.catch_warnings():  # its new name is not in the oldest transformers we support
        warnings.simplefilter("ignore", FutureWarning)
        # The reentrant kind gives no gradients below a frozen input: LoRA would learn nothing.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
