"""Options of a training run; each field's help text is the command line's.

Every class of fields is a group of the command line. ModelOptions and TrainOptions, which the code
works with, each inherit several groups, so that train.json stays a flat list.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hllm.atomic import atomic_text
from hllm.baselines.id_presets import ID_PRESETS
from hllm.choices import ADAPTERS, GENERATIVE, ID_MODELS, OBJECTIVES, POOLINGS
from hllm.errors import DataError, did_you_mean
from hllm.evaluation.run_records import OPTIONS
from hllm.split_options import SplitOptions, check_split, check_split_files
from hllm.tables import AUTO, HELP, CsvFormat
from hllm.text import DEFAULT_PROMPT
from hllm.training.option_rules import HLLM_KIND, MODEL_KINDS, check_options, check_together
from hllm.weights.packaged import MINILM, SMOLLM2, language_model_folder

if TYPE_CHECKING:  # model libraries take seconds, for which nobody should wait who reads --help
    from hllm.baselines.id_models import IDModelConfig

Options = TypeVar("Options")


def _option(default: Any, help_text: str) -> Any:
    # A dataclass refuses a mutable default, which all its objects would share.
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class HLLMOptions:
    """Which model it is, and what an HLLM is made of; ID models share the User LLM's sizes."""

    _argument_group_name = "model"

    model_kind: str = _option(
        HLLM_KIND,
        f"choose from {', '.join(MODEL_KINDS)}; all but the first know items only by their number "
        "and use only user_layers, user_size, user_heads and max_history of this group",
    )
    item_training: str = _option(
        "frozen",
        "frozen (states are computed once: fastest), top (tunes the last item_tuned_layers layers; "
        "states of the layers below are computed once), lora (adapter matrices), qlora (adapter "
        "matrices over a base in 4 bits; needs a GPU), or full",
    )
    item_llm: str = _option(
        MINILM,
        f"Item LLM: {MINILM!r} or {SMOLLM2!r} (packaged, offline; the latter also by the name "
        "smollm2-135m), or a folder with a transformers model",
    )
    text_keys: list[str] = _option(["title"], "item fields that make up the text, in order")
    max_history: int = _option(50, "the User LLM reads at most this many items, the newest")
    user_layers: int = _option(2, "layers of the User LLM (a Llama)")
    user_size: int = _option(256, "width of the User LLM and of the item embeddings")
    user_heads: int = _option(4, "attention heads of the User LLM")
    objective: str = _option(
        GENERATIVE,
        f"choose from {', '.join(OBJECTIVES)}; the last two also learn the probability of a click",
    )
    item_pretrained: bool = _option(True, "start the Item LLM from its pretrained weights")
    item_tuned_layers: int = _option(1, "top: how many of the Item LLM's last layers are tuned")
    lora_rank: int = _option(8, "lora, qlora: rank of the matrices, of both language models")
    item_pooling: str = _option(
        "mean",
        f"choose from {', '.join(POOLINGS)}: an item's embedding comes from the state at a learned "
        "[ITEM] token behind its text (the paper), or from the mean state of its text",
    )
    item_adapter: str = _option("mlp", f"from Item LLM states to embeddings: {', '.join(ADAPTERS)}")
    item_adapter_hidden_size: int = _option(1024, "hidden width of the mlp adapter")
    item_embedding_rms: float = _option(
        0.0,
        "mlp adapter: root mean square of the embeddings that a new one starts with; 0 = as it "
        "comes. A pre-trained User LLM learns faster from large ones, about 6",
    )
    item_prompt: str = _option(DEFAULT_PROMPT, "put in front of every item text")
    max_text_tokens: int = _option(64, "longer item texts are cut to this many tokens")
    user_llm: str = _option(
        "",
        f"{SMOLLM2!r} (packaged), or a folder with a transformers decoder, to use as User LLM; its "
        "sizes replace user_*",
    )
    user_pretrained: bool = _option(True, "start the User LLM from user_llm's weights")
    user_training: str = _option(
        "full", "full, or lora (adapter matrices over user_llm, whose weights stay as they are)"
    )
    item_llm_layers: int = _option(0, "use only the first so many layers of item_llm; 0 = all")
    user_llm_layers: int = _option(0, "use only the first so many layers of user_llm; 0 = all")


@dataclass(frozen=True, kw_only=True)
class IDModelOptions:
    """What only the ID models have."""

    _argument_group_name = f"ID models (--model_kind {', '.join(ID_MODELS)})"

    id_inner_size: int = _option(0, "feed-forward width; 0 = the model's own choice")
    id_table_size: int = _option(0, "id-llama: width of the item table; 0 = user_size")
    id_key_value_heads: int = _option(0, "id-llama: heads of keys and values; 0 = user_heads")
    id_learn_temperature: bool = _option(True, "learn the temperature of the softmax")
    id_cosine: bool = _option(True, "compare users and items by cosine")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(HLLMOptions, IDModelOptions):
    """What is trained."""

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        # Here and not by argparse: options may also come from a file or from Python.
        check_options(self)
        check_together(self)

    @property
    def item_folder(self) -> Path:
        """Folder of the transformers model that the Item LLM starts from."""
        return language_model_folder(self.item_llm)

    @property
    def user_folder(self) -> Path | None:
        """The same for the User LLM; None: it is a new Llama."""
        return language_model_folder(self.user_llm) if self.user_llm else None

    @property
    def is_qlora(self) -> bool:
        """Whether the Item LLM's base is held in 4 bits."""
        return self.item_training == "qlora"

    def to_id_model(self, num_items: int, dropout: float) -> IDModelConfig:
        """The configuration of an ID model.

        Args:
            num_items: padding included.
            dropout: inside the model.

        Raises:
            DataError: sizes that do not go together.
        """
        from hllm.baselines.id_models import IDModelConfig  # noqa: PLC0415  torch: not for --help

        try:
            return IDModelConfig(
                kind=self.model_kind,
                num_items=num_items,
                hidden_size=self.user_size,
                num_layers=self.user_layers,
                num_heads=self.user_heads,
                num_key_value_heads=self.id_key_value_heads or None,
                inner_size=self.id_inner_size or None,
                dropout=dropout,
                max_history=self.max_history,
                id_size=self.id_table_size or None,
                learn_temperature=self.id_learn_temperature,
                cosine=self.id_cosine,
            )
        except ValueError as error:
            raise DataError(f"impossible --model_kind {self.model_kind}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What a run reads and writes."""

    _argument_group_name = "data and output"

    # Without a default, so that the command line requires them.
    interactions: Path = field(
        metadata={"help": "interactions.csv[.gz]: item_id,user_id,timestamp"}
    )
    items: Path = field(metadata={"help": "items.csv[.gz]: item_id and text columns"})
    output: Path = field(metadata={"help": "folder for the model, its log and resumable state"})
    valid_interactions: str = _option("", "split files: the published split's validation file")
    test_interactions: str = _option("", "split files: the published split's test file")
    delimiter: str = _option(AUTO, HELP["delimiter"])
    quote: str = _option('"', HELP["quote"])
    encoding: str = _option("", HELP["encoding"])
    start_from: str = _option("", "folder of a trained model to start from (same widths)")
    restart: bool = _option(False, "train anew; what output holds stands until there is a model")
    tensorboard: bool = _option(False, "write TensorBoard events into the output folder")


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long a run trains, on what batches, with which optimiser."""

    _argument_group_name = "training"

    epochs: int = _option(10, "stop after this many passes over the training sequences")
    batch_size: int = _option(256, "sequences per step and process")
    learning_rate: float = _option(1e-3, "of User LLM, adapter and logit scale")
    user_learning_rate: float = _option(
        0.0, "of the User LLM alone, for one that is pre-trained; 0 = learning_rate"
    )
    item_learning_rate: float = _option(1e-4, "of the Item LLM and its [ITEM] token")
    num_negatives: int = _option(
        4096, "sampled items per step and process, shared by all positions"
    )
    dropout: float = _option(
        0.2,
        "on the item embeddings that the User LLM reads; of sasrec, esasrec and hstu, inside them",
    )
    patience: int = _option(3, "stop after this many validations without a better ndcg@10")
    eval_every: int = _option(0, "validate after every so many steps; 0 = after every epoch")
    eval_users: int = _option(10_000, "validate on at most this many users")
    max_steps: int = _option(0, "stop after this many steps; 0 = epochs decide")
    weight_decay: float = _option(0.01, "AdamW's, on all parameters")
    warmup: float = _option(0.05, "share of the steps in which the learning rate rises")
    lr_schedule: str = _option("cosine", "cosine, linear or constant")
    clip_norm: float = _option(1.0, "largest gradient norm; 0 = no clipping, as the reference")
    data_split: bool = _option(True, "cut long histories into chunks and train on all of them")
    negatives_per_position: bool = _option(
        False, "draw num_negatives for every position (the reference's ID models on Books)"
    )
    seed: int = _option(2020, "of weights, batches, negatives and dropout")
    reference_compatible: bool = _option(
        False,
        "train as the reference does: its csv rules, random batches, num_negatives split among the "
        "sequences (0 = max_history + 1 each), processes' losses averaged, no clipping; "
        "it has no --dropout",
    )


@dataclass(frozen=True, kw_only=True)
class ClickOptions:
    """What only the discriminative variants have."""

    _argument_group_name = "clicks (--objective early_fusion, late_fusion)"

    click_candidates: int = _option(8, "negatives of the click loss at every position")
    auxiliary_weight: float = _option(1.0, "weight of the generative loss beside the click loss")


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """How a run fits its devices, and how several processes share it."""

    _argument_group_name = "memory, speed and several processes"

    precision: str = _option("fp32", "fp32 or bf16 (mixed precision; validation stays in fp32)")
    gradient_checkpointing: bool = _option(False, "recompute activations: slower, less memory")
    shard: bool = _option(
        False,
        "under torchrun: every process holds only its part of weights, gradients and optimiser "
        "state (FSDP2; not with qlora); resumes only in the same number of processes",
    )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions, SplitOptions, LoopOptions, ClickOptions, DeviceOptions):
    """How it is trained, and on what."""

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        check_options(self)
        check_split(self)
        check_split_files(self, self.valid_interactions, self.test_interactions)
        if not self.num_negatives and not self.reference_compatible:
            raise DataError("--num_negatives 0: at least 1 is needed")
        if self.reference_compatible and self.negatives_per_position:
            raise DataError(
                "--reference_compatible shares negatives: leave out --negatives_per_position"
            )

    @property
    def csv_format(self) -> CsvFormat:
        """How the csv files are written.

        Raises:
            DataError: the options for it make no sense.
        """
        return CsvFormat.parse(self.delimiter, self.quote, self.encoding)


# In the order of --help: what everybody needs first, what few need last.
GROUPS = (
    DataOptions,
    HLLMOptions,
    LoopOptions,
    SplitOptions,
    DeviceOptions,
    ClickOptions,
    IDModelOptions,
)
# Help of the --no_ flags, which every option has that is on by default.
OPPOSITES = {
    "item_pretrained": "start the Item LLM from random weights of its shape",
    "user_pretrained": "start the User LLM from random weights of user_llm's shape",
    "id_learn_temperature": "fix the temperature of the softmax at 0.05",
    "id_cosine": "compare users and items by dot product, at temperature 1",
    "data_split": "train on the end of long histories only",
}


def options_of(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Make ModelOptions or TrainOptions from those values that belong to them.

    Raises:
        DataError: values that do not go together.
    """
    return kind(**{own.name: values[own.name] for own in dataclasses.fields(kind)})  # type: ignore[arg-type]


def save_options(folder: Path, model: ModelOptions, train: TrainOptions) -> None:
    """Write both groups of options to train.json, so that the run can be repeated from it."""
    values = dataclasses.asdict(model) | dataclasses.asdict(train)
    del values["restart"]  # a repetition shall continue
    text = json.dumps(values, indent=2, default=str, ensure_ascii=False)
    with atomic_text(folder / OPTIONS) as file:
        file.write(text + "\n")


def config_defaults(source: str, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Read options as defaults of the parser; flags that they set are no longer required.

    Args:
        source: a JSON file, or the name of one of hllm.baselines.id_presets.
        parser: of the command line.

    Raises:
        DataError: the file cannot be read, or names an unknown option.
    """
    values = ID_PRESETS[source].options() if source in ID_PRESETS else _read_options(Path(source))
    # argparse has no public list of its options.
    actions = {action.dest: action for action in parser._actions}
    unknown = sorted(set(values) - set(actions))
    if unknown:
        raise DataError(
            f"{source}: unknown option {unknown[0]!r}{did_you_mean(unknown[0], actions)}; see  "
            "python -m hllm.train --help"
        )
    for name, value in values.items():
        actions[name].required = False
        if actions[name].type is Path:
            if not isinstance(value, str) or not value:
                raise DataError(f"{source}: {name} is not a path but {str(value)[:60]!r}")
            values[name] = Path(value)
    return values


def _read_options(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it does not hold an object")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as JSON ({error}){did_you_mean(path.name, ID_PRESETS)}; give "
            f"a file of options, or one of {', '.join(ID_PRESETS)}."
        ) from error
    return values
