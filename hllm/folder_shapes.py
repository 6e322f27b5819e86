"""Whether weights fit a configuration, found out before memory is taken for either.

A model without numbers ("meta" device) has names and shapes; so has the header of a weight file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from hllm.convert import some
from hllm.errors import CheckpointError
from hllm.folder_rules import one_line
from hllm.folder_schema import read_language_model
from hllm.model import item_llm_options
from hllm.shards import read_shapes, weight_files

Shapes = Mapping[str, tuple[int, ...]]
# Names of the first BERT checkpoints, which transformers still reads.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def build(make: Callable[[], Any], folder: str | Path) -> Any:
    """Build a model from a configuration; one that its classes refuse is one sentence.

    Raises:
        CheckpointError: the configuration describes no model.
    """
    try:
        return make()
    except CheckpointError:
        raise
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{folder}: config.json describes no model ({one_line(error)}): restore the file."
        ) from error


def shapes_of(make: Callable[[], nn.Module], folder: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a model would hold; takes no memory for it.

    Raises:
        CheckpointError: as build.
    """
    with torch.device("meta"):
        model = build(make, folder)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def check_fit(own: Shapes, stored: Shapes, folder: str | Path) -> None:
    """Compare what a model needs with what there is.

    Args:
        own: of the model.
        stored: of the files.
        folder: for the message.

    Raises:
        CheckpointError: something is missing, unknown or of another shape.
    """
    missing = [name for name in own if name not in stored]
    unknown = [name for name in stored if name not in own]
    other = [name for name in stored if name in own and stored[name] != own[name]]
    if missing or unknown or other:
        raise CheckpointError(
            f"{folder}: weights do not fit config.json (missing {some(missing)}; unknown "
            f"{some(unknown)}; of another shape {some(other)}): restore both from one training."
        )


def base_shapes(folder: str | Path, prefix: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a language model's weights, whatever head it was saved with.

    Args:
        folder: of a transformers model.
        prefix: what its class calls the part without a head ("model", "bert").
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in read_shapes(folder).items():
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
        shapes[name.removeprefix(f"{prefix}.")] = shape
    return shapes


def load_language_model(folder: str | Path, config: PretrainedConfig) -> PreTrainedModel:
    """Load one language model of a stranger: safetensors only, no code, after a look at its shapes.

    Args:
        folder: of a transformers model.
        config: of the model that will take its weights.

    Raises:
        CheckpointError: config.json is refused (hllm.folder_schema), there are no safetensors, or
            the weights do not fit.
    """
    check_language_model_folder(folder, config)
    try:
        return AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except Exception as error:  # of many kinds, see build
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model ({one_line(error)}): give "
            "a folder that transformers can load."
        ) from error


def check_language_model_folder(folder: str | Path, config: PretrainedConfig) -> None:
    """Check a language model's config.json, and its weights' names and shapes; loads nothing.

    Args:
        folder: of a transformers model.
        config: of the model that will take its weights.

    Raises:
        CheckpointError: see load_language_model.
    """
    read_language_model(folder)
    if not all(path.is_file() for path in weight_files(folder)):
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model as safetensors (a "
            "pytorch_model.bin could run code and is not opened): save the model with "
            "transformers' save_pretrained."
        )
    with torch.device("meta"):
        model = build(lambda: AutoModel.from_config(
            config, trust_remote_code=False, **item_llm_options(config)
        ), folder)  # fmt: skip
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    stored = base_shapes(folder, model.base_model_prefix)
    wrong = [name for name, shape in own.items() if stored.get(name) != shape]
    if wrong:
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model (missing or of another "
            f"shape: {some(wrong)}): give a folder that transformers can load."
        )
