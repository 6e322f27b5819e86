"""The closed schema of model folders: every key that config.json may hold, and what it may be.

A model folder may come from anybody. transformers passes unknown keys of a configuration on, and
some of them load code (auto_map, attn_implementation, quantization_config); numbers become sizes.
Hence keys without a rule are refused, and every number has bounds. All this is checked before
anything is built. This module imports neither torch nor transformers.
"""

from collections.abc import Mapping
from typing import Any

from hllm.choices import ID_MODELS
from hllm.errors import CheckpointError
from hllm.schema.rules import (
    Rule,
    boolean,
    check,
    choice,
    either,
    integer,
    items,
    number,
    require,
    shown,
    table,
    text,
)

CONFIG_BYTES = 2_000_000
ID_MODEL_TYPE = "hllm-id"  # of the models in hllm.baselines.id_models
MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "bert")
_REMEDY = "restore the file, or get the model from where it was made"

# Numbers in a table of word embeddings; Llama 3.1 405B has 2.1e9.
_MOST_WORD_NUMBERS = 4_000_000_000

_SIZE = integer(1, 65_536)
_COUNT = integer(0, 10_000_000)
_SHARE = number(0, 1, below=True)
# Some configurations say "no such token" with -1, others with null.
_TOKEN = integer(-1, 10_000_000).optional()
_POSITIVE = number(0, 1e9, above=True)
_FLAG = boolean()
_EPSILON = number(0, 0.1, above=True)
_NULL = choice(None)
_DTYPE = choice("float32", "bfloat16", "float16").optional()
# Other names are repositories of kernels, which transformers would fetch and run.
_ATTENTION = choice("eager", "sdpa").optional()
_ACTIVATION = choice(
    "gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "quick_gelu", "relu",
    "silu", "swish", "tanh",
)  # fmt: skip
# Configurations in memory are checked, too: their labels have numbers as keys, JSON has texts.
_LABEL = either(text(200), integer(0, 100_000))
_LABELS = table(_LABEL, _LABEL, 10_000)
_NAMES = items(text(200), 0, 100)

# What every configuration of transformers may hold.
_EVERY_CONFIG: dict[str, Rule] = {
    "model_type": text(50),
    "_name_or_path": text(4096),
    "transformers_version": text(50).optional(),
    "architectures": _NAMES.optional(),
    "dtype": _DTYPE,
    "torch_dtype": _DTYPE,
    "attn_implementation": _ATTENTION,
    "_attn_implementation": _ATTENTION,
    "_attn_implementation_autoset": _FLAG,
    "chunk_size_feed_forward": choice(0),
    "finetuning_task": text().optional(),
    "gradient_checkpointing": _FLAG,
    "id2label": _LABELS.optional(),
    "label2id": _LABELS.optional(),
    "is_encoder_decoder": choice(False),
    "num_labels": integer(0, 10_000),
    "output_attentions": choice(False),
    "output_hidden_states": choice(False),
    "problem_type": text().optional(),
    "return_dict": choice(True),
    "tie_word_embeddings": _FLAG,
    "tokenizer_class": text().optional(),
    "use_cache": _FLAG,
    "bos_token_id": _TOKEN,
    "cls_token_id": _TOKEN,
    "decoder_start_token_id": _TOKEN,
    "eos_token_id": either(_TOKEN, items(integer(0, 10_000_000), 1, 100)),
    "mask_token_id": _TOKEN,
    "pad_token_id": _TOKEN,
    "sep_token_id": _TOKEN,
    "unk_token_id": _TOKEN,
}
# transformers 4 wrote these into every configuration, with values that say nothing.
_LEGACY: dict[str, Rule] = {
    "bad_words_ids": _NULL,
    "begin_suppress_tokens": _NULL,
    "cross_attention_hidden_size": _NULL,
    "diversity_penalty": choice(0.0),
    "do_sample": _FLAG,
    "early_stopping": choice(False),
    "encoder_no_repeat_ngram_size": choice(0),
    "exponential_decay_length_penalty": _NULL,
    "forced_bos_token_id": _NULL,
    "forced_eos_token_id": _NULL,
    "length_penalty": choice(1.0),
    "max_length": _COUNT,
    "min_length": _COUNT,
    "no_repeat_ngram_size": choice(0),
    "num_beam_groups": choice(1),
    "num_beams": choice(1),
    "num_return_sequences": choice(1),
    "output_scores": choice(False),
    "prefix": _NULL,
    "pruned_heads": table(text(0), _NULL, 0),
    "remove_invalid_values": choice(False),
    "repetition_penalty": number(0, 100),
    "return_dict_in_generate": choice(False),
    "sep_token": _NULL,
    "suppress_tokens": _NULL,
    "task_specific_params": _NULL,
    "temperature": number(0, 100),
    "tf_legacy_loss": choice(False),
    "tie_encoder_decoder": choice(False),
    "top_k": _COUNT,
    "top_p": number(0, 1),
    "torchscript": choice(False),
    "typical_p": number(0, 1),
    "use_bfloat16": choice(False),
}
_LANGUAGE_MODEL = _EVERY_CONFIG | {
    "vocab_size": integer(1, 1_000_000),
    "hidden_size": _SIZE,
    "intermediate_size": integer(1, 524_288),
    "num_hidden_layers": integer(1, 1000),
    "num_attention_heads": integer(1, 1024),
    "max_position_embeddings": integer(1, 10_000_000),
    "hidden_act": _ACTIVATION,
    "initializer_range": number(0, 1),
}
_ROPE: dict[str, Rule] = {
    "rope_type": choice("default", "linear", "dynamic", "yarn", "longrope", "llama3"),
    "type": choice("default", "linear", "dynamic", "yarn", "longrope", "llama3"),
    "rope_theta": number(1, 1e12),
    "factor": number(1, 10_000),
    "original_max_position_embeddings": integer(1, 10_000_000),
    "low_freq_factor": _POSITIVE,
    "high_freq_factor": _POSITIVE,
    "attention_factor": _POSITIVE.optional(),
    "beta_fast": _POSITIVE.optional(),
    "beta_slow": _POSITIVE.optional(),
    "short_factor": items(_POSITIVE, 1, 1024),
    "long_factor": items(_POSITIVE, 1, 1024),
    "truncate": _FLAG,
}
_KINDS_OF_LAYERS = ("full_attention", "sliding_attention")
_ROPE_KEYS = ("rope_parameters", "rope_scaling")
_DECODER = _LANGUAGE_MODEL | {
    "num_key_value_heads": integer(1, 1024).optional(),
    "head_dim": integer(2, 4096).optional(),
    "rms_norm_eps": _EPSILON,
    "attention_dropout": _SHARE,
    "rope_theta": number(1, 1e12),
    # Only that it is an object: _check_rope looks at its keys.
    **dict.fromkeys(_ROPE_KEYS, Rule("an object, or null", lambda v: v is None or type(v) is dict)),
}
_BIAS = {"attention_bias": _FLAG}
_WINDOW = {"sliding_window": integer(1, 10_000_000).optional()}
_LAYERS = {"layer_types": items(choice(*_KINDS_OF_LAYERS), 1, 1000).optional()}
_QWEN = _WINDOW | _LAYERS | {
    "use_sliding_window": _FLAG,
    "max_window_layers": integer(0, 1000),
    "use_mrope": choice(False),
}  # fmt: skip
_GEMMA = _BIAS | {
    "hidden_activation": _ACTIVATION.optional(),
    "use_bidirectional_attention": choice(False, None),
}
_GEMMA_2 = _GEMMA | _WINDOW | _LAYERS | {
    "query_pre_attn_scalar": _POSITIVE,
    "attn_logit_softcapping": _POSITIVE.optional(),
    "final_logit_softcapping": _POSITIVE.optional(),
    "cache_implementation": choice("hybrid", None),
}  # fmt: skip
_RULES: dict[str, dict[str, Rule]] = {
    "llama": _DECODER | _BIAS | {"mlp_bias": _FLAG, "pretraining_tp": integer(1, 1024)},
    "mistral": _DECODER | _WINDOW,
    "qwen2": _DECODER | _QWEN,
    "qwen3": _DECODER | _BIAS | _QWEN,
    "gemma": _DECODER | _GEMMA,
    "gemma2": _DECODER | _GEMMA_2,
    "gemma3_text": _DECODER | _GEMMA_2 | {
        "_sliding_window_pattern": integer(1, 1000),
        "sliding_window_pattern": integer(1, 1000),
        "rope_local_base_freq": number(1, 1e12),
    },
    "bert": _LANGUAGE_MODEL | {
        "add_cross_attention": choice(False),
        "attention_probs_dropout_prob": _SHARE,
        "classifier_dropout": _SHARE.optional(),
        "hidden_dropout_prob": _SHARE,
        "is_decoder": choice(False),
        "layer_norm_eps": _EPSILON,
        "position_embedding_type": choice("absolute"),
        "type_vocab_size": integer(1, 10_000),
    },
}  # fmt: skip
_REQUIRED_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
_OBJECT = Rule("an object", lambda v: type(v) is dict)
_HLLM = _EVERY_CONFIG | {
    "item_config": _OBJECT,
    "user_config": _OBJECT,
    "text_keys": items(text(), 1, 100),
    "item_prompt": text(100_000),
    "max_text_tokens": integer(1, 1_000_000),
    "max_history": integer(1, 1_000_000),
    "item_pooling": choice("item_token", "mean"),
    "right_align_positions": _FLAG,
    "item_adapter": choice("none", "linear", "mlp"),
    "item_adapter_hidden_size": integer(1, 524_288),
    "item_base": text().optional(),
    "item_lora": _OBJECT.optional(),
    "user_base": text().optional(),
    "user_lora": _OBJECT.optional(),
    "objective": choice("generative", "early_fusion", "late_fusion"),
    "quantization_config": _OBJECT.optional(),
}
# What training writes. peft would take any other text in target_modules for a regular expression.
_LORA: dict[str, Rule] = {
    "r": integer(1, 4096),
    "lora_alpha": number(0, 1e6, above=True),
    "lora_dropout": _SHARE,
    "target_modules": either(choice("all-linear"), items(text(), 1, 1000)),
}
# bitsandbytes' NF4, as hllm.weights.nf4_format and transformers write it. Other quantization
# methods would load other code.
_NF4: dict[str, Rule] = {
    "quant_method": choice("bitsandbytes"),
    "load_in_4bit": choice(True),
    "_load_in_4bit": choice(True),
    "load_in_8bit": choice(False),
    "_load_in_8bit": choice(False),
    "bnb_4bit_quant_type": choice("nf4"),
    "bnb_4bit_use_double_quant": choice(True),
    "bnb_4bit_compute_dtype": choice("float32", "bfloat16", "float16"),
    "bnb_4bit_quant_storage": choice("uint8"),
    "bnb_4bit_target_parameters": _NAMES.optional(),
    "llm_int8_skip_modules": _NAMES.optional(),
    "llm_int8_threshold": number(0, 1000),
    "llm_int8_enable_fp32_cpu_offload": choice(False),
    "llm_int8_has_fp16_weight": choice(False),
}
_ID_MODEL: dict[str, Rule] = {
    "model_type": choice(ID_MODEL_TYPE),
    "kind": choice(*ID_MODELS),
    "num_items": integer(2, 1_000_000_000),
    "hidden_size": _SIZE,
    "num_layers": integer(1, 1000),
    "num_heads": integer(1, 1024),
    "num_key_value_heads": integer(1, 1024).optional(),
    "inner_size": integer(1, 524_288).optional(),
    "dropout": _SHARE,
    "max_history": integer(1, 1_000_000),
    "id_size": _SIZE.optional(),
    "learn_temperature": _FLAG,
    "cosine": _FLAG,
}


def check_hllm(values: Mapping[str, Any], source: str) -> None:
    """Check the parsed config.json of an HLLM, before anything is built from it.

    Args:
        values: of the file.
        source: where they come from, for the message.

    Raises:
        CheckpointError: an unknown key, an architecture that is not supported, or a value of
            another type or out of bounds.
    """
    check(values, _HLLM, source, _REMEDY)
    for part in ("item_config", "user_config"):
        if part in values:
            check_language_model(values[part], f"{source}, {part}")
    for part in ("item_lora", "user_lora"):
        if values.get(part) is not None:
            check(values[part], _LORA, f"{source}, {part}", _REMEDY)
    if values.get("quantization_config") is not None:
        place = f"{source}, quantization_config"
        check(values["quantization_config"], _NF4, place, _REMEDY)
        require(values["quantization_config"], ("quant_method", "load_in_4bit"), place, _REMEDY)
    _check_positions(values, source)


def _check_positions(values: Mapping[str, Any], source: str) -> None:
    """A table of positions must have room for the longest text and the [ITEM] token."""
    item = values.get("item_config", {})
    if item.get("model_type") != "bert":
        return
    # The defaults are HLLMConfig's and BertConfig's, for keys that are missing.
    by_token = values.get("item_pooling", "item_token") == "item_token"
    room = item.get("max_position_embeddings", 512) - int(by_token)
    if values.get("max_text_tokens", 256) > room:
        raise CheckpointError(
            f"{source}: max_text_tokens is {values.get('max_text_tokens', 256)}, but the Item LLM "
            f"has positions for {room} text tokens only; {_REMEDY}."
        )


def check_language_model(values: Mapping[str, Any], place: str) -> None:
    """Check the parsed configuration of one language model.

    Args:
        values: of a transformers model's config.json.
        place: file and object, for the message.

    Raises:
        CheckpointError: as check_hllm.
    """
    kind = values.get("model_type")
    if type(kind) is not str or kind not in _RULES:
        raise CheckpointError(
            f"{place}: model_type {shown(kind)} is not a supported architecture; choose from "
            f"{', '.join(MODEL_TYPES)}."
        )
    check(values, _LEGACY | _RULES[kind], place, _REMEDY)
    # A size that is missing would become transformers' default, a model of gigabytes.
    require(values, _REQUIRED_SIZES, place, _REMEDY)
    for key in _ROPE_KEYS:
        _check_rope(values.get(key) or {}, f"{place}, {key}")
    _check_combinations(values, place)


def _check_rope(values: Mapping[str, Any], place: str) -> None:
    # Gemma 3 has one object for each kind of layer, other models a single one.
    by_layer = {key for key in values if key in _KINDS_OF_LAYERS}
    for key in sorted(by_layer):
        inner = f"{place}, {key}"
        if type(values[key]) is not dict:
            raise CheckpointError(
                f"{inner} is {shown(values[key])}, but must be an object; {_REMEDY}."
            )
        check(values[key], _ROPE, inner, _REMEDY)
    check({k: v for k, v in values.items() if k not in by_layer}, _ROPE, place, _REMEDY)


def _check_combinations(values: Mapping[str, Any], place: str) -> None:
    """Numbers that are each in bounds, but do not go together."""
    width, heads = values["hidden_size"], values["num_attention_heads"]
    groups = values.get("num_key_value_heads") or heads
    layers, kinds = values["num_hidden_layers"], values.get("layer_types")
    pad, words = values.get("pad_token_id"), values["vocab_size"]
    head_width = values.get("head_dim") or width // heads
    troubles = {
        f"vocab_size {words} times hidden_size {width} is more than any model has": words * width
        > _MOST_WORD_NUMBERS,
        # Gemma and Qwen3 may have heads of any width, given as head_dim.
        f"hidden_size {width} is not divisible by num_attention_heads {heads}": width % heads
        and not (values.get("head_dim") and values["model_type"].startswith(("gemma", "qwen3"))),
        f"num_attention_heads {heads} is not divisible by num_key_value_heads {groups}": heads
        % groups,
        f"pad_token_id {pad} is not below vocab_size {words}": pad is not None and pad >= words,
        f"layer_types has {len(kinds or ())} entries for {layers} layers": kinds is not None
        and len(kinds) != layers,
        # RoPE turns pairs of numbers.
        f"the width of a head, {head_width}, is odd": values["model_type"] != "bert"
        and head_width % 2,
    }
    for trouble, is_so in troubles.items():
        if is_so:
            raise CheckpointError(f"{place}: {trouble}; {_REMEDY}.")


def check_id_model(values: Mapping[str, Any], source: str) -> None:
    """Check the parsed config.json of an ID model.

    Raises:
        CheckpointError: an unknown key, or a value of another type or out of bounds.
    """
    check(values, _ID_MODEL, source, _REMEDY)
    require(values, ("model_type", "kind", "num_items"), source, _REMEDY)
