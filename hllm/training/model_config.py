"""From the options of a run to the configuration of its HLLM."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, DataError
from hllm.schema.language_model import read_language_model
from hllm.schema.rules import one_line
from hllm.training.options import ModelOptions
from hllm.weights.packaged import MINILM, SMOLLM2, packaged_name


def make_config(options: ModelOptions) -> HLLMConfig:
    """The configuration of the HLLM that the options describe.

    Raises:
        CheckpointError: a folder does not hold a transformers model that is supported.
        DataError: a language model has fewer layers than shall be used.
    """
    lora = {
        "r": options.lora_rank,
        "lora_alpha": 2 * options.lora_rank,
        "target_modules": "all-linear",
        "lora_dropout": 0.0,
    }
    # What qlora trains is right only for its rounded base, so the base is saved, too. And random
    # weights are in no package.
    has_item_base = options.item_pretrained and not options.is_qlora
    user_lora = lora if options.user_training == "lora" else None
    return HLLMConfig(
        item_config=_without_dropout(_item_config(options)),
        user_config=_user_config(options),
        text_keys=options.text_keys,
        item_prompt=options.item_prompt,
        max_text_tokens=options.max_text_tokens,
        max_history=options.max_history,
        item_pooling=options.item_pooling,
        item_adapter=options.item_adapter,
        item_adapter_hidden_size=options.item_adapter_hidden_size,
        item_base=packaged_name(options.item_llm) if has_item_base else None,
        item_lora=lora if options.item_training in ("lora", "qlora") else None,
        user_base=packaged_name(options.user_llm) if user_lora else None,
        user_lora=user_lora,
        objective=options.objective,
    )


def _item_config(options: ModelOptions) -> PretrainedConfig:
    config = _language_model_config(options.item_folder)
    return _first_layers(config, options.item_llm_layers, "--item_llm_layers")


def _user_config(options: ModelOptions) -> PretrainedConfig:
    if options.user_folder is not None:
        config = _language_model_config(options.user_folder)
        return _first_layers(config, options.user_llm_layers, "--user_llm_layers")
    return AutoConfig.for_model(
        "llama",
        hidden_size=options.user_size,
        intermediate_size=2 * options.user_size,
        num_hidden_layers=options.user_layers,
        num_attention_heads=options.user_heads,
        num_key_value_heads=options.user_heads,
        max_position_embeddings=max(128, options.max_history),
        vocab_size=1,  # it reads embeddings, never words
        bos_token_id=None,  # Llama's default tokens would not be in that vocabulary
        eos_token_id=None,
    )


def _first_layers(config: PretrainedConfig, count: int, option: str) -> PretrainedConfig:
    """The same language model cut off behind so many layers; 0: whole."""
    # Weights are copied by name, so that the layers that are left get those of the whole model.
    whole = config.num_hidden_layers
    if count > whole:
        raise DataError(f"{option} {count}: this language model has {whole} layers.")
    if count:
        config.num_hidden_layers = count
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:count]
    return config


def _without_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """Switch off BERT's dropout."""
    # Its noise would drown whitened embeddings (measured).
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    return config


def _language_model_config(folder: Path) -> PretrainedConfig:
    values: dict[str, Any] = read_language_model(folder)
    try:
        return AutoConfig.for_model(**values)
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{folder} does not hold a language model that transformers knows ({one_line(error)}); "
            f"give {MINILM!r}, {SMOLLM2!r} or a folder with config.json, tokenizer and weights."
        ) from error
