"""Save and load a trained HLLM: a folder with config.json and safetensors.

    python -m hllm.checkpoint convert --help    a checkpoint of the reference implementation

Where the Item LLM starts from a packaged pretrained model (config.item_base), only what training
made is saved: LoRA matrices, [ITEM] token, adapter, User LLM. Such a model has a few megabytes.
"""

import argparse
import copy
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from hllm.atomic import atomic_files
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, HLLMError
from hllm.model import HLLM, make_user_llm, without_vocabulary
from hllm.schema.configs import CONFIG_BYTES, check_hllm
from hllm.schema.rules import one_line, read_object
from hllm.schema.tokenizers import read_tokenizer
from hllm.weights.files import WEIGHTS, iter_stored, iter_tensors, read_shapes
from hllm.weights.packaged import pretrained_folder
from hllm.weights.shapes import (
    base_name,
    base_shapes,
    build,
    check_fit,
    check_language_model,
    shapes_of,
)

logger = logging.getLogger(__name__)
CONFIG = "config.json"
_OPTIONS = "the configuration of the two language models"
_FINGERPRINTED = (
    "item_config",
    "text_keys",
    "item_prompt",
    "max_text_tokens",
    "item_pooling",
    "right_align_positions",
    "item_adapter",
    "item_base",
    "item_lora",
)


def build_model(
    config: HLLMConfig,
    *,
    item_llm: PreTrainedModel | None = None,
    item_weights: str | Path | None = None,
    user_weights: str | Path | None = None,
    lean: bool = False,
) -> HLLM:
    """Make an HLLM to train or to load a checkpoint into.

    Args:
        config: with item_lora, the Item LLM is frozen and gets LoRA matrices that start as the
            identity.
        item_llm: an Item LLM that exists already, instead of a new one.
        item_weights: folder of a transformers model that the Item LLM starts from; None: random.
        user_weights: the same for the User LLM.
        lean: the User LLM's weights will be replaced: take no memory for its vocabulary.

    Raises:
        CheckpointError: weights are missing, damaged or of another shape, or the configuration
            describes no model.
    """
    starts = {"item_llm.": item_weights, "user_llm.": user_weights}
    for prefix, folder in starts.items():
        if folder:  # looked at before memory is taken for the model
            own = shapes_of(lambda: HLLM(config), _OPTIONS)
            part = {n.removeprefix(prefix): s for n, s in own.items() if n.startswith(prefix)}
            check_language_model(part, folder)
    model = build(lambda: _make(config, item_llm, lean=lean or bool(user_weights)), _OPTIONS)
    if item_weights:
        _start_from(model.item_llm, item_weights)
    if user_weights:
        _start_from(model.user_llm, user_weights)
    if config.item_lora:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  takes seconds

        lora = LoraConfig(**config.item_lora)
        model.item_llm = inject_adapter_in_model(lora, model.item_llm)
    return model


def _make(config: HLLMConfig, item_llm: PreTrainedModel | None, *, lean: bool) -> HLLM:
    """A new HLLM; lean: without room for the User LLM's words, which are dropped anyway."""
    if not lean:
        return HLLM(config, item_llm)
    small = copy.deepcopy(config)
    small.user_config = without_vocabulary(config.user_config)
    model = HLLM(small, item_llm)
    model.config.user_config = config.user_config
    return model


@torch.no_grad()
def _start_from(language_model: nn.Module, folder: str | Path) -> None:
    """Copy a pretrained language model's weights; heads and poolers that are not used stay out."""
    own = language_model.state_dict()
    for stored, tensor in iter_tensors(folder):
        if (name := base_name(stored)) in own:
            own[name].copy_(tensor)


def _is_base_weight(name: str) -> bool:
    return name.startswith("item_llm.") and "lora_" not in name


def trained_state(model: HLLM, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that a checkpoint must hold, on the CPU.

    Base weights of a packaged Item LLM are left out while they are frozen.

    Args:
        model: whose parameters say what is frozen.
        weights: its state, where model.state_dict() holds only parts (hllm.training.fsdp).
    """
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    from_package = model.config.item_base is not None
    return {
        name: value.detach().cpu().contiguous()
        for name, value in (model.state_dict() if weights is None else weights).items()
        if not (from_package and _is_base_weight(name) and _frozen(name, frozen))
    }


def _frozen(name: str, frozen: set[str]) -> bool:
    return name in frozen or name.endswith("position_ids")


def save_model(
    model: HLLM,
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write config.json, model.safetensors and, unless it comes from a package, the tokenizer.

    Args:
        model: to save.
        folder: made if missing.
        tokenizer: the Item LLM's.
        weights: see trained_state.

    Raises:
        StorageError: the disk is full; the old model stands.
    """
    with atomic_files(folder, opened_by=CONFIG) as temporary:
        save_file(trained_state(model, weights), temporary / WEIGHTS, metadata={"format": "pt"})
        (temporary / CONFIG).write_text(model.config.to_json_string(), encoding="utf-8")
        if tokenizer is not None and not model.config.item_base:
            tokenizer.save_pretrained(temporary)


def load_config(folder: str | Path) -> HLLMConfig:
    """Read config.json of a model folder.

    Raises:
        CheckpointError: no such folder, no config.json, or not an HLLM's.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"No HLLM model at {folder}: give a folder that holds config.json and {WEIGHTS} "
            "(made by  python -m hllm.train)."
        )
    try:
        values = read_object(path, CONFIG_BYTES)
        if values.get("model_type") != HLLMConfig.model_type:
            raise ValueError(f"model_type is {values.get('model_type')!r}, not 'hllm'")
        check_hllm(values, str(path))
        # How matrices are stored shows in the files; once they are read the note would be wrong.
        values.pop("quantization_config", None)
        return HLLMConfig.from_dict(values)
    except CheckpointError:
        raise
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{path} is not the configuration of an HLLM ({one_line(error)}): restore it or train "
            "again."
        ) from error


def load_model(folder: str | Path) -> tuple[HLLM, PreTrainedTokenizerBase]:
    """Load a model folder for evaluation, embedding or further training (on the CPU, fp32).

    Raises:
        CheckpointError: something is missing, damaged or does not fit together.
    """
    config = load_config(folder)
    _check_shapes(config, folder)
    if config.item_base:
        model = build_model(config, item_weights=pretrained_folder(config.item_base), lean=True)
    elif config.item_lora:
        model = build_model(config, lean=True)
    else:  # every weight comes from the files
        model = _uninitialised(lambda: build_model(config, lean=True), folder)
    _load_weights(model, folder)
    model.config.dtype = torch.float32  # it may be saved again
    return model.eval(), load_tokenizer(config, folder)


def _check_shapes(config: HLLMConfig, folder: str | Path) -> None:
    """Compare config.json with the weight files' headers, before memory is taken for a model.

    Raises:
        CheckpointError: they do not fit together.
    """
    own = shapes_of(lambda: build_model(config), folder)
    stored = dict(read_shapes(folder))
    if config.item_base:
        base = base_shapes(pretrained_folder(config.item_base))
        for name in own:
            if _is_base_weight(name) and name not in stored:
                key = name.removeprefix("item_llm.").replace(".base_layer.", ".")
                if key in base:
                    stored[name] = base[key]
    check_fit(own, stored, folder)


def _uninitialised(make: Callable[[], Any], folder: str | Path) -> Any:
    with no_init_weights():
        return build(make, folder).float()


def load_tokenizer(config: HLLMConfig, folder: str | Path) -> PreTrainedTokenizerBase:
    """The Item LLM's tokenizer, from the package or from the model folder."""
    source = pretrained_folder(config.item_base) if config.item_base else Path(folder)
    return read_tokenizer(source, config.item_config.vocab_size)


def load_user_llm(folder: str | Path) -> tuple[PreTrainedModel, HLLMConfig]:
    """Load only the User LLM: all that serving needs once item embeddings exist.

    Raises:
        CheckpointError: as load_model.
    """
    config = load_config(folder)
    small = without_vocabulary(config.user_config)
    own = shapes_of(lambda: make_user_llm(small), folder)
    prefix = "user_llm."
    stored = {k.removeprefix(prefix): v for k, v in read_shapes(folder, prefix).items()}
    check_fit(own, stored, folder)
    user_llm = _uninitialised(lambda: make_user_llm(small), folder)
    _load_weights(user_llm, folder, prefix)
    return user_llm.eval(), config


@torch.no_grad()
def _load_weights(model: nn.Module, folder: str | Path, prefix: str = "") -> None:
    """Copy the stored tensors into a model, one at a time; names and shapes have been checked."""
    own = model.state_dict()
    for name, tensor in iter_tensors(folder, prefix):
        own[name.removeprefix(prefix)].copy_(tensor)


def model_fingerprint(folder: str | Path) -> str:
    """16 hex digits that name the model which makes item embeddings.

    Hashes every stored tensor of the checkpoint but those that read item embeddings, and every
    setting that shapes an item's text or state. The dtype of the weights counts, too; a matrix in
    NF4 counts as it is stored, which is the same on every machine.

    Raises:
        CheckpointError: as load_model.
    """
    config = load_config(folder).to_dict()
    settings = json.dumps({key: config.get(key) for key in _FINGERPRINTED}, sort_keys=True)
    digest = hashlib.sha256(settings.encode())
    for name, tensor in iter_stored(folder):
        if name.startswith(("user_llm.", "click_head.")) or name == "logit_scale":
            continue
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    from hllm.published import convert  # noqa: PLC0415  serving reads checkpoints, too, without it

    parser = argparse.ArgumentParser(prog="python -m hllm.checkpoint")
    commands = parser.add_subparsers(dest="command", required=True)
    about = "Turn a checkpoint of the reference implementation into a model folder, streaming."
    convert.add_arguments(commands.add_parser("convert", help=about, description=about))
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        convert.run(options)
    except HLLMError as error:
        logger.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
