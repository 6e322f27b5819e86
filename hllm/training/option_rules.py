"""What the options of a training run may be, whoever gives them: a command line, or a file."""

from typing import Any

from hllm.choices import ADAPTERS, GENERATIVE, ID_MODELS, OBJECTIVES, POOLINGS
from hllm.errors import DataError
from hllm.schema.rules import Rule, boolean, choice, integer, items, number, text
from hllm.split_options import SPLITS, TARGETS
from hllm.weights.packaged import SMOLLM2, packaged_name

HLLM_KIND = "hllm"
MODEL_KINDS = (HLLM_KIND, *ID_MODELS)
ITEM_TRAINING = ("frozen", "top", "lora", "qlora", "full")
USER_TRAINING = ("full", "lora")
PRECISIONS = ("fp32", "bf16")

_PATH = text(4096)
_FLAG = boolean()
_SIZE = integer(1, 524_288)
_SIZE_OR_0 = integer(0, 524_288)
_COUNT = integer(1, 2**31 - 1)
_COUNT_OR_0 = integer(0, 2**31 - 1)
_RATE = number(0, 100)
_SHARE = number(0, 1, below=True)

RULES: dict[str, Rule] = {
    "model_kind": choice(*MODEL_KINDS),
    "item_training": choice(*ITEM_TRAINING),
    "item_llm": _PATH,
    "text_keys": items(text(), 1, 100),
    "max_history": integer(1, 1_000_000),
    "user_layers": integer(1, 1000),
    "user_size": _SIZE,
    "user_heads": integer(1, 1024),
    "objective": choice(*OBJECTIVES),
    "item_pretrained": _FLAG,
    "item_tuned_layers": integer(1, 1000),
    "lora_rank": integer(1, 4096),
    "item_pooling": choice(*POOLINGS),
    "item_adapter": choice(*ADAPTERS),
    "item_adapter_hidden_size": _SIZE,
    "item_embedding_rms": number(0, 1000),
    "item_prompt": text(100_000),
    "max_text_tokens": integer(1, 1_000_000),
    "user_llm": _PATH,
    "user_pretrained": _FLAG,
    "user_training": choice(*USER_TRAINING),
    "item_llm_layers": integer(0, 1000),
    "user_llm_layers": integer(0, 1000),
    "id_inner_size": _SIZE_OR_0,
    "id_table_size": _SIZE_OR_0,
    "id_key_value_heads": integer(0, 1024),
    "id_learn_temperature": _FLAG,
    "id_cosine": _FLAG,
    "start_from": _PATH,
    "valid_interactions": _PATH,
    "test_interactions": _PATH,
    "delimiter": text(),
    "quote": text(),
    "encoding": text(),
    "restart": _FLAG,
    "tensorboard": _FLAG,
    "split": choice(*SPLITS),
    "split_quantile": number(0, 1, below=True),
    "split_target": choice(*TARGETS),
    "held_out_items": _SHARE,
    "split_seed": _COUNT_OR_0,
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _RATE,
    "user_learning_rate": _RATE,
    "item_learning_rate": _RATE,
    "num_negatives": _COUNT_OR_0,
    "dropout": _SHARE,
    "patience": _COUNT,
    "eval_every": _COUNT_OR_0,
    "eval_users": _COUNT,
    "max_steps": _COUNT_OR_0,
    "weight_decay": number(0, 1000),
    "warmup": number(0, 1),
    "lr_schedule": choice("cosine", "linear", "constant"),
    "clip_norm": number(0, 1e9),
    "data_split": _FLAG,
    "negatives_per_position": _FLAG,
    "seed": _COUNT_OR_0,
    "reference_compatible": _FLAG,
    "click_candidates": _COUNT,
    "auxiliary_weight": number(0, 1e6),
    "precision": choice(*PRECISIONS),
    "gradient_checkpointing": _FLAG,
    "shard": _FLAG,
}


def check_options(options: Any) -> None:
    """Check every option by itself, before anything is read or made.

    Args:
        options: a dataclass of hllm.training.options.

    Raises:
        DataError: a value that its rule does not accept; names the option.
    """
    for name, value in vars(options).items():
        rule = RULES.get(name)
        if rule and not rule.accepts(value):
            raise DataError(f"--{name} {str(value)[:60]}: must be {rule.allowed}.")


def check_heads(options: Any) -> None:
    """Check that the User LLM's width can be cut into its heads.

    Raises:
        DataError: it cannot; names sizes that go together.
    """
    if options.user_llm and options.model_kind == HLLM_KIND:
        return  # its sizes are those of that folder
    size, heads = options.user_size, options.user_heads
    # Half of a head's width is turned by one angle each (RoPE), in an HLLM and in id-llama.
    turned = options.model_kind in (HLLM_KIND, "id-llama")
    if size % heads or (turned and size // heads % 2):
        even = " into an even width each" if turned and not size % heads else ""
        fitting = [n for n in range(1, 1025) if not size % n and not (turned and size // n % 2)]
        advice = f"; with this width, heads can be {', '.join(map(str, fitting[:12]))}"
        raise DataError(
            f"--user_heads {heads}: --user_size {size} cannot be divided among so many heads{even}"
            f"{advice if fitting else '; give an even --user_size'}."
        )
    kv_heads = options.id_key_value_heads
    if options.model_kind == "id-llama" and kv_heads and heads % kv_heads:
        raise DataError(
            f"--id_key_value_heads {kv_heads}: --user_heads {heads} cannot be divided among them."
        )


def check_together(options: Any) -> None:
    """Check options of a model that rule each other out.

    Raises:
        DataError: two of them do.
    """
    if options.objective != GENERATIVE and options.model_kind != HLLM_KIND:
        raise DataError(f"--objective {options.objective} needs --model_kind {HLLM_KIND}")
    if options.item_training == "qlora" and not options.item_pretrained:
        raise DataError("--item_training qlora rounds pretrained weights: use --item_pretrained")
    if options.user_training == "lora" and not (options.user_llm and options.user_pretrained):
        raise DataError("--user_training lora keeps pretrained weights: give them with --user_llm")
    if options.user_llm_layers and not options.user_llm:
        raise DataError("--user_llm_layers counts those of --user_llm: use --user_layers")
    if options.item_training == "qlora" and packaged_name(options.item_llm) == SMOLLM2:
        raise DataError(f"--item_training qlora does not read {SMOLLM2}, a GGUF: use lora")
    if options.item_embedding_rms and options.item_adapter != "mlp":
        raise DataError("--item_embedding_rms scales a new adapter: use --item_adapter mlp")
    check_heads(options)
