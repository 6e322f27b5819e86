"""QLoRA: the frozen base of an Item LLM with LoRA matrices, held in 4 bits (Paper: 2305.14314)."""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import Tensor
from transformers import AutoModel, BitsAndBytesConfig, PretrainedConfig, PreTrainedModel

from hllm.errors import CheckpointError
from hllm.model import HLLM, item_llm_options, make_item_llm
from hllm.weights.files import iter_packed
from hllm.weights.nf4_format import PackedMatrix
from hllm.weights.nf4_layers import set_four_bit
from hllm.weights.shapes import check_language_model, shapes_of

_NO_READING_AHEAD = "HF_DEACTIVATE_ASYNC_LOAD"


class Base4bit(bnb.nn.Linear4bit):
    """A frozen linear layer in NF4.

    Its state is the rounded weight as an ordinary matrix.

    Args:
        layer: a layer in 4 bits; its weight is taken over.
    """

    def __init__(self, layer: bnb.nn.Linear4bit) -> None:
        super().__init__(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=layer.compute_dtype,
            quant_type="nf4",
            device="meta",  # no second weight
        )
        weight: Any = layer.weight
        weight.module = self
        self.weight, self.bias = weight, layer.bias
        # On a CPU with AVX512-BF16 bitsandbytes repacks the weight in place at the first
        # evaluation: it fails on layers narrower than a block, and rounded() could not read it.
        self.support_avx512bf16_for_cpu = False
        self._is_hf_initialized = True  # or transformers would fill it with random numbers
        self.requires_grad_(False)

    def rounded(self) -> Tensor:
        """The weight (out, in) that the layer computes with."""
        weight: Any = self.weight  # Params4bit
        return dequantize_4bit(weight.data, weight.quant_state)

    def round(self, value: Tensor | PackedMatrix) -> None:
        """Take another weight (out, in)."""
        weight: Any = self.weight  # Params4bit
        set_four_bit(self, value, weight.device, weight.quant_state.dtype)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        # Not the packed numbers: a saved model then computes what was trained, on any machine.
        destination[f"{prefix}weight"] = self.rounded().to(self.compute_dtype)
        if self.bias is not None:
            destination[f"{prefix}bias"] = self.bias if keep_vars else self.bias.detach()

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        """Leave the layer alone."""
        # A run that goes on has made the same layer from the same weights when it started.


@contextmanager
def _one_tensor_at_a_time() -> Iterator[None]:
    """Keep transformers from reading ahead: where rounding is slow, whole layers would pile up."""
    before = os.environ.get(_NO_READING_AHEAD)
    os.environ[_NO_READING_AHEAD] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_READING_AHEAD]
        else:
            os.environ[_NO_READING_AHEAD] = before


@_one_tensor_at_a_time()
def load_base(
    folder: str | Path, config: PretrainedConfig, device: torch.device, compute_dtype: torch.dtype
) -> PreTrainedModel:
    """Load a pretrained Item LLM with its linear layers in 4 bits.

    Tensors are read and rounded one by one on their way to the device: the model is never held in
    16 or 32 bits.

    Args:
        folder: of a transformers model.
        config: of the Item LLM.
        device: where it will compute.
        compute_dtype: of the products: float32 or bfloat16.

    Returns:
        The model; everything but the matrices of linear layers is float32.

    Raises:
        CheckpointError: weights are missing, damaged or of another shape.
    """
    rounding = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=[],  # the default would skip the last module
    )
    check_language_model(shapes_of(lambda: make_item_llm(config), folder), folder)
    try:
        item_llm = AutoModel.from_pretrained(
            folder,
            config=copy.deepcopy(config),  # transformers notes the rounding in it
            quantization_config=rounding,
            device_map={"": device},
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            **item_llm_options(config),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model ({error}): give a folder "
            "that transformers can load."
        ) from error
    for name, layer in list(item_llm.named_modules()):
        if isinstance(layer, bnb.nn.Linear4bit):
            item_llm.set_submodule(name, Base4bit(layer))
    item_llm.is_loaded_in_4bit = False  # its layers are linear ones to peft, as when it is loaded
    return item_llm


@torch.no_grad()
def start_from(model: HLLM, folder: str | Path) -> None:
    """Copy the weights of a trained HLLM that this model has, too.

    Args:
        model: with LoRA matrices over layers of load_base.
        folder: a trained or converted HLLM, with or without LoRA matrices.

    Raises:
        CheckpointError: weights are missing, damaged or of another shape.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    # One tensor at a time: two whole models would not fit where qlora is needed.
    for name, value in iter_packed(folder):
        path, _, kind = name.rpartition(".")
        path = f"{path}.base_layer" if f"{path}.base_layer" in modules else path
        layer: Any = modules.get(path)
        own = parameters.get(f"{path}.{kind}" if path else kind)
        if own is None:
            continue  # such as a click head
        is_base = isinstance(layer, Base4bit) and kind == "weight"
        shape = (layer.out_features, layer.in_features) if is_base else tuple(own.shape)
        if tuple(value.shape) != shape:
            raise CheckpointError(
                f"{folder}: {name} is {tuple(value.shape)}, not {shape}: start from a model of the "
                "same sizes."
            )
        if is_base:
            layer.round(value)
        else:
            own.copy_(value.dequantize() if isinstance(value, PackedMatrix) else value)
