"""The configuration of one language model: config.json of a folder, or what its GGUF says."""

from pathlib import Path
from typing import Any

from hllm.errors import CheckpointError
from hllm.schema.configs import CONFIG_BYTES, check_language_model
from hllm.schema.gguf_header import gguf_in, read_gguf
from hllm.schema.rules import read_config


def read_language_model(folder: str | Path) -> dict[str, Any]:
    """Read and check the configuration of a folder that holds one language model.

    Raises:
        CheckpointError: missing or unreadable, or as hllm.schema.configs.check_language_model.
    """
    if gguf := gguf_in(folder):
        from hllm.schema.gguf_model import config_values  # noqa: PLC0415  few models are GGUF

        values = config_values(read_gguf(gguf))
        check_language_model(values, str(gguf))
        return values
    wanted = "a transformers model's config.json, tokenizer and safetensors weights"
    path, values = read_config(folder, CONFIG_BYTES, wanted)
    check_language_model(values, str(path))
    adapter = Path(folder) / "adapter_config.json"
    if adapter.exists():  # transformers would load whatever base model it names instead
        raise CheckpointError(
            f"{adapter} makes this folder an adapter of another model: merge it into its base "
            "model and save that, or remove the file."
        )
    return values
