"""The layout of the reference implementation's checkpoints, translated to ours.

A reference ``pytorch_model.bin`` is a flat state dict: item_emb_tokens, logit_scale, item_llm.* and
user_llm.*. What takes no part in HLLM is dropped. Baichuan2 is a Llama with its three attention
inputs fused into W_pack.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig

from hllm.errors import CheckpointError
from hllm.schema.configs import CONFIG_BYTES, check_language_model
from hllm.schema.rules import one_line, read_config

# Language-model heads, BERT's pooler, and buffers that are computed from the configuration.
_DROPPED = ("lm_head.", "pooler.", "rotary_emb.inv_freq", "embeddings.position_ids")
_LLAMA_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "rms_norm_eps",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)


def language_model_config(folder: str | Path) -> PretrainedConfig:
    """Configuration of one of the two language models, from its config.json.

    Baichuan, which no class of transformers knows, becomes the Llama configuration that computes
    the same.

    Raises:
        CheckpointError: there is no config.json, it is not JSON, or hllm.schema.configs refuses it.
    """
    path, values = read_config(
        folder, CONFIG_BYTES, "the language model's config.json and tokenizer"
    )
    if values.get("model_type") == "baichuan":
        length = values.get("max_position_embeddings") or values.get("model_max_length") or 4096
        values = {
            "model_type": "llama",
            **{key: values[key] for key in _LLAMA_KEYS if key in values},
            # What Baichuan's own code does without saying so in config.json.
            "num_key_value_heads": values.get("num_attention_heads"),
            "max_position_embeddings": length,
            "rope_theta": 10000.0,
        }
    values.pop("auto_map", None)  # names code, which is never run and not needed
    check_language_model(values, str(path))
    try:
        return AutoConfig.for_model(**values)
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{path} does not describe a language model ({one_line(error)}): copy the original "
            "file there."
        ) from error


def translate(key: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Translate one entry of the reference's state dict to entries of ours (none if it is unused).

    Args:
        key: name in the reference's checkpoint.
        tensor: its value; the results are views of it.

    Yields:
        (name in HLLM's state dict, tensor).
    """
    if key in ("item_emb_tokens", "logit_scale"):
        yield key, tensor
        return
    tower, _, name = key.partition(".")
    name = name.removeprefix("model.")  # what a model with a language-model head calls the rest
    if any(part in name for part in _DROPPED):
        return
    # The User LLM reads item embeddings, never words.
    if tower == "user_llm" and name == "embed_tokens.weight":
        return
    if "W_pack" in name:  # rows are [query; key; value]
        for part, rows in zip("qkv", torch.chunk(tensor, 3), strict=True):
            yield f"{tower}.{name.replace('W_pack', f'{part}_proj')}", rows
        return
    yield f"{tower}.{name}", tensor
