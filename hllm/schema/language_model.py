"""The configuration of one language model: config.json of a folder, or what its GGUF says."""

from pathlib import Path
from typing import Any

from hllm.errors import CheckpointError
from hllm.schema.configs import CONFIG_BYTES, check_language_model
from hllm.schema.gguf_header import gguf_in, read_gguf
from hllm.schema.gguf_model import config_values
from hllm.schema.rules import one_line, read_object


def read_language_model(folder: str | Path) -> dict[str, Any]:
    """Read and check the configuration of a folder that holds one language model.

    Raises:
        CheckpointError: missing or unreadable, or as hllm.schema.configs.check_language_model.
    """
    if gguf := gguf_in(folder):
        values = config_values(read_gguf(gguf))
        check_language_model(values, str(gguf))
        return values
    wanted = "a transformers model's config.json, tokenizer and safetensors weights"
    path, values = read_config(folder, wanted)
    check_language_model(values, str(path))
    adapter = Path(folder) / "adapter_config.json"
    if adapter.exists():  # transformers would load whatever base model it names instead
        raise CheckpointError(
            f"{adapter} makes this folder an adapter of another model: merge it into its base "
            "model and save that, or remove the file."
        )
    return values


def read_config(folder: str | Path, wanted: str) -> tuple[Path, dict[str, Any]]:
    """Read config.json of a folder, unchecked.

    Args:
        folder: that should hold it.
        wanted: what the folder should hold, for the message.

    Returns:
        Its path, and what it says.

    Raises:
        CheckpointError: missing or unreadable.
    """
    path = Path(folder) / "config.json"
    try:
        return path, read_object(path, CONFIG_BYTES)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({one_line(error)}): give the folder that holds {wanted}."
        ) from error
