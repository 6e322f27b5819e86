"""Whether weights fit a configuration, found out before memory is taken for either.

A model without numbers ("meta" device) has names and shapes; so has the header of a weight file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hllm.errors import CheckpointError, shortened
from hllm.schema.language_model import read_language_model
from hllm.schema.rules import one_line
from hllm.weights.files import read_shapes, weight_files

Shapes = Mapping[str, tuple[int, ...]]
_PREFIXES = ("model.", "bert.")  # a model with a head has the model without one under these names
# Names of the first BERT checkpoints.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def build(make: Callable[[], Any], source: str | Path) -> Any:
    """Build a model from a configuration; a refusal by its classes becomes one sentence.

    Args:
        make: builds it.
        source: where the configuration comes from, for the message.

    Raises:
        CheckpointError: the configuration describes no model.
    """
    try:
        return make()
    except CheckpointError:  # one sentence already
        raise
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{source} describes no model that can be built ({one_line(error)}): change the sizes "
            "or restore the files."
        ) from error


def shapes_of(make: Callable[[], nn.Module], source: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a model would hold; takes no memory for it.

    Raises:
        CheckpointError: as build.
    """
    with torch.device("meta"):  # tensors without numbers
        model = build(make, source)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def check_fit(own: Shapes, stored: Shapes, folder: str | Path) -> None:
    """Compare what a model needs with what the files hold.

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
            f"{folder}: weights do not fit config.json (missing {shortened(missing)}; unknown "
            f"{shortened(unknown)}; of another shape {shortened(other)}): restore both from "
            "one training."
        )


def base_name(name: str) -> str:
    """What a stored weight of a language model is called in the model without a head."""
    for old, new in _OLD_NAMES.items():
        name = name.replace(old, new)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def base_shapes(folder: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a language model's weights, whatever head it was saved with."""
    return {base_name(name): shape for name, shape in read_shapes(folder).items()}


def check_language_model(own: Shapes, folder: str | Path) -> None:
    """Check a language model's folder: config.json, and its weights' names and shapes.

    Args:
        own: of the model that will take its weights. Other weights in the folder (a head, a pooler,
            a User LLM's word embeddings) are not read.
        folder: of a transformers model.

    Raises:
        CheckpointError: config.json is refused (hllm.schema.configs), there are no safetensors, or
            the weights do not fit.
    """
    read_language_model(folder)
    if not all(path.is_file() for path in weight_files(folder)):
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model as safetensors (a "
            "pytorch_model.bin could run code and is not opened): save the model with "
            "transformers' save_pretrained."
        )
    stored = base_shapes(folder)
    wrong = [name for name, shape in own.items() if stored.get(name) != shape]
    if wrong:
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model (missing or of another "
            f"shape: {shortened(wrong)}): give a folder whose config.json and weights belong "
            "together."
        )
