"""Save and load a trained HLLM: a folder with config.json and safetensors.

    python -m hllm.checkpoint convert --help    a checkpoint of the reference implementation

Where the Item LLM starts from a packaged pretrained model (config.item_base), only what training
made is saved: LoRA matrices, [ITEM] token, adapter, User LLM. Such a model has a few megabytes.
"""

import argparse
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
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, HLLMError, shortened
from hllm.model import HLLM
from hllm.store import atomic_path
from hllm.weights.checksums import checksum_metadata
from hllm.weights.files import WEIGHTS, iter_stored, iter_tensors, read_shapes
from hllm.weights.packaged import pretrained_folder

logger = logging.getLogger(__name__)
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
) -> HLLM:
    """Make an HLLM to train or to load a checkpoint into.

    Args:
        config: with item_lora, the Item LLM is frozen and gets LoRA matrices that start as the
            identity.
        item_llm: an Item LLM that exists already, instead of a new one.
        item_weights: folder of a transformers model that the Item LLM starts from; None: random.
        user_weights: the same for the User LLM.

    Raises:
        CheckpointError: weights are missing, damaged or of another shape.
    """
    model = HLLM(config, item_llm)
    if item_weights:
        _start_from(model.item_llm, item_weights)
    if user_weights:
        _start_from(model.user_llm, user_weights)
    if config.item_lora:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  takes seconds

        lora = LoraConfig(**config.item_lora)
        model.item_llm = inject_adapter_in_model(lora, model.item_llm)
    return model


def _start_from(language_model: nn.Module, folder: str | Path) -> None:
    """Copy a pretrained language model's weights; heads and poolers that are not used stay out."""
    try:
        weights = AutoModel.from_pretrained(folder, local_files_only=True).state_dict()
        own = language_model.state_dict()
        language_model.load_state_dict({key: weights[key] for key in own})
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} does not hold the weights of this language model ({error}): give a folder "
            "that transformers can load."
        ) from error


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
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS) as temporary:
        state = trained_state(model, weights)
        save_file(state, temporary, metadata={"format": "pt"} | checksum_metadata(state))
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(model.config.to_json_string(), encoding="utf-8")
    if tokenizer is not None and not model.config.item_base:
        tokenizer.save_pretrained(folder)


def load_config(folder: str | Path) -> HLLMConfig:
    """Read config.json of a model folder.

    Raises:
        CheckpointError: no such folder, no config.json, or not an HLLM's.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"No HLLM model at {folder}: give a folder that holds config.json and {WEIGHTS} "
            "(made by  python -m hllm.train)."
        )
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no JSON object")
        if values.get("model_type") != HLLMConfig.model_type:
            raise ValueError(f"model_type is {values.get('model_type')!r}, not 'hllm'")
        # How matrices are stored shows in the files; once they are read the note would be wrong.
        values.pop("quantization_config", None)
        return HLLMConfig.from_dict(values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not the configuration of an HLLM ({error}): restore it or train again."
        ) from error


def load_model(folder: str | Path) -> tuple[HLLM, PreTrainedTokenizerBase]:
    """Load a model folder for evaluation, embedding or further training (on the CPU, fp32).

    Raises:
        CheckpointError: something is missing, damaged or does not fit together.
    """
    config = load_config(folder)
    if config.item_base:
        model = build_model(config, item_weights=pretrained_folder(config.item_base))
    elif config.item_lora:
        model = build_model(config)
    else:  # every weight comes from the files
        model = _uninitialised(lambda: build_model(config), folder)
    _load_weights(model, folder)
    model.config.dtype = torch.float32  # it may be saved again
    return model.eval(), load_tokenizer(config, folder)


def _uninitialised(make: Callable[[], Any], folder: str | Path) -> Any:
    try:
        with no_init_weights():
            return make().float()
    except ValueError as error:
        raise CheckpointError(f"{folder}: config.json describes no HLLM: {error}") from error


def load_tokenizer(config: HLLMConfig, folder: str | Path) -> PreTrainedTokenizerBase:
    """The Item LLM's tokenizer, from the package or from the model folder."""
    source = pretrained_folder(config.item_base) if config.item_base else Path(folder)
    try:
        return AutoTokenizer.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source} holds no tokenizer ({error}): copy the Item LLM's tokenizer files there."
        ) from error


def load_user_llm(folder: str | Path) -> tuple[PreTrainedModel, HLLMConfig]:
    """Load only the User LLM: all that serving needs once item embeddings exist.

    Raises:
        CheckpointError: as load_model.
    """
    config = load_config(folder)
    user_llm = _uninitialised(lambda: AutoModel.from_config(config.user_config), folder)
    user_llm.set_input_embeddings(None)
    _load_weights(user_llm, folder, "user_llm.")
    return user_llm.eval(), config


@torch.no_grad()
def _load_weights(model: nn.Module, folder: str | Path, prefix: str = "") -> None:
    """Copy the stored tensors into a model, one at a time; names and shapes are checked first."""
    own = model.state_dict()
    stored = {k.removeprefix(prefix): v for k, v in read_shapes(folder, prefix).items()}
    from_package = getattr(model.config, "item_base", None) is not None
    missing = [n for n in own if n not in stored and not (from_package and _is_base_weight(n))]
    unknown = [name for name in stored if name not in own]
    other = [name for name in stored if name in own and stored[name] != tuple(own[name].shape)]
    if missing or unknown or other:
        raise CheckpointError(
            f"{folder}: weights do not fit config.json (missing {shortened(missing)}; unknown "
            f"{shortened(unknown)}; of another shape {shortened(other)}): restore both from "
            "one training."
        )
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
