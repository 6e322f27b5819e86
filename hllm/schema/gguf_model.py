"""The configuration that a GGUF states for its language model: a Llama, from a closed list of keys.

Another model would be computed otherwise than it was trained, and nobody would see it.
"""

import math
import struct
from typing import Any

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import GgufHeader
from hllm.schema.rules import shown

_REMEDY = "give a folder with config.json and safetensors instead"
# Key of the metadata, behind "llama." -> key of config.json.
_SIZES = {
    "vocab_size": "vocab_size",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "context_length": "max_position_embeddings",
}
_NUMBERS = {"rope.freq_base": "rope_theta", "attention.layer_norm_rms_epsilon": "rms_norm_eps"}
_HEAD_WIDTH = "rope.dimension_count"
_TOKENS = {"bos": "bos", "eos": "eos", "padding": "pad"}


def config_values(header: GgufHeader) -> dict[str, Any]:
    """What config.json of the same model would say; not checked (hllm.schema.configs) yet.

    Raises:
        CheckpointError: another architecture, or a setting that is not known here.
    """
    values = header.metadata
    if values.get("general.architecture") != "llama":
        raise refused(header, "general.architecture", values.get("general.architecture"))
    config: dict[str, Any] = {
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in header.tensors,
    }
    own = {k.removeprefix("llama."): v for k, v in values.items() if k.startswith("llama.")}
    for key in {*_SIZES, *_NUMBERS}.difference(own):
        raise refused(header, f"llama.{key}", None)
    for key, value in own.items():
        if key in (*_SIZES, _HEAD_WIDTH) and type(value) is int:
            config[_SIZES.get(key, _HEAD_WIDTH)] = value
        elif key in _NUMBERS and type(value) is float and math.isfinite(value):
            config[_NUMBERS[key]] = _shortest(value)
        else:  # such as scaled RoPE: the model would be another one without it
            raise refused(header, f"llama.{key}", value)
    turned = config.pop(_HEAD_WIDTH, None)
    if turned is not None and turned * config["num_attention_heads"] != config["hidden_size"]:
        raise refused(header, f"llama.{_HEAD_WIDTH}", turned)
    for name, short in _TOKENS.items():
        token = values.get(f"tokenizer.ggml.{name}_token_id")
        if token is not None:
            config[f"{short}_token_id"] = token
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": config.pop("rope_theta")}
    return config


def _shortest(value: float) -> float:
    """The shortest decimal that is the same float32: 1e-05, not 9.999999747378752e-06."""
    packed = struct.pack("<f", value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((float(t) for t in texts if struct.pack("<f", float(t)) == packed), value)


def refused(header: GgufHeader, key: str, value: Any) -> CheckpointError:
    """The error that says which setting is not known here."""
    return CheckpointError(
        f"{header.path}: {key} is {shown(value)}, which is not read here: {_REMEDY}."
    )
