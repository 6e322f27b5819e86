"""Save and load a trained HLLM: a folder with config.json and safetensors.

    python -m hllm.checkpoint convert --help    a checkpoint of the reference implementation
    python -m hllm.checkpoint split --help      a model folder whose files are small

Of a language model over packaged weights (config.item_base, config.user_base) only what training
made is saved: LoRA matrices or tuned layers, [ITEM] token, adapter. That takes a few megabytes.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("checkpoint")

import copy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from hllm.atomic import atomic_files, atomic_folder
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import HLLM, make_item_llm, make_user_llm, without_vocabulary
from hllm.model_folder import CONFIG, ITEM_LLM, USER_LLM, ModelFolder, packaged_bases
from hllm.weights.checksums import checksum_metadata
from hllm.weights.files import (
    INDEX,
    WEIGHTS,
    iter_tensors,
    open_weights,
    weight_files,
    write_shards,
)
from hllm.weights.manifest import write_manifest
from hllm.weights.nf4_format import PackedMatrix, TensorSpec
from hllm.weights.packaged import pretrained_folder
from hllm.weights.shapes import (
    base_name,
    base_shapes,
    build,
    check_fit,
    check_language_model,
    shapes_of,
)

_CONFIGURATION = "the configuration of the two language models"  # in messages: not a file yet


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
            identity; with user_lora, the User LLM.
        item_llm: an Item LLM that exists already, instead of a new one.
        item_weights: folder of a transformers model that the Item LLM starts from; None: random.
        user_weights: the same for the User LLM.
        lean: take no memory for the User LLM's vocabulary; for weights that will be replaced.

    Raises:
        CheckpointError: weights are missing, damaged or of another shape, or the configuration
            describes no model.
    """
    starts = {ITEM_LLM: item_weights, USER_LLM: user_weights}
    for prefix, folder in starts.items():
        if folder:  # checked before memory is taken for the model
            own = shapes_of(lambda: HLLM(config), _CONFIGURATION)
            part = {n.removeprefix(prefix): s for n, s in own.items() if n.startswith(prefix)}
            check_language_model(part, folder)
    model = build(
        lambda: _new_hllm(config, item_llm, lean=lean or bool(user_weights)), _CONFIGURATION
    )
    if item_weights:
        _copy_pretrained(model.item_llm, item_weights)
    if user_weights:
        _copy_pretrained(model.user_llm, user_weights)
    if config.item_lora:
        model.item_llm = _with_lora(model.item_llm, config.item_lora)
    if config.user_lora:
        model.user_llm = _with_lora(model.user_llm, config.user_lora)
    return model


def _with_lora(language_model: Any, settings: dict[str, Any]) -> Any:
    """The same language model, frozen, with LoRA matrices that start as the identity."""
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  takes seconds

    # Injected, not wrapped: the language model keeps its own class.
    return inject_adapter_in_model(LoraConfig(**settings), language_model)


def _new_hllm(config: HLLMConfig, item_llm: PreTrainedModel | None, *, lean: bool) -> HLLM:
    """A new HLLM; lean: without memory for the User LLM's vocabulary, which is dropped anyway."""
    if not lean:
        # Not always lean: a seed gives these weights only if the vocabulary, too, is drawn from it.
        return HLLM(config, item_llm)
    small = copy.deepcopy(config)
    small.user_config = without_vocabulary(config.user_config)
    model = HLLM(small, item_llm)
    model.config.user_config = config.user_config  # saved with the model: the true one
    return model


@torch.no_grad()
def _copy_pretrained(language_model: nn.Module, folder: str | Path) -> None:
    """Copy a pretrained language model's weights, without heads and poolers that are not used."""
    own = language_model.state_dict()
    for stored, tensor in iter_tensors(folder):
        if (name := base_name(stored)) in own:
            own[name].copy_(tensor)


def _packaged_base(name: str, bases: Mapping[str, str]) -> str | None:
    """The package that holds this weight of a model, unless training has changed it."""
    if "lora_" in name:
        return None
    return next((base for tower, base in bases.items() if name.startswith(tower)), None)


def trained_state(model: HLLM, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that a checkpoint must hold, on the CPU.

    Args:
        model: its parameters say what is frozen.
        weights: its whole state, if model.state_dict() holds only parts (hllm.training.fsdp).
    """
    # Frozen base weights of a packaged language model come from the package again.
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    bases = packaged_bases(model.config)
    return {
        name: value.detach().cpu().contiguous()
        for name, value in (model.state_dict() if weights is None else weights).items()
        if not (_packaged_base(name, bases) and _is_frozen(name, frozen))
    }


def _is_frozen(name: str, frozen: set[str]) -> bool:
    # BERT's position_ids are a buffer, and so not among the parameters.
    return name in frozen or name.endswith("position_ids")


def save_model(
    model: HLLM,
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write config.json, model.safetensors and the tokenizer, unless that comes from a package.

    Args:
        model: to save.
        folder: made if missing.
        tokenizer: the Item LLM's.
        weights: see trained_state.

    Raises:
        StorageError: the disk is full; the old model is kept.
    """
    state = trained_state(model, weights)
    with atomic_files(folder, opened_by=CONFIG) as temporary:
        # As transformers writes it; version 4 opened no file without this entry.
        metadata = {"format": "pt"} | checksum_metadata(state)
        save_file(state, temporary / WEIGHTS, metadata=metadata)
        (temporary / CONFIG).write_text(model.config.to_json_string(), encoding="utf-8")
        if tokenizer is not None and not model.config.item_base:
            tokenizer.save_pretrained(temporary)
        write_manifest(temporary)


def copy_in_shards(source: ModelFolder | str | Path, output: str | Path, shard_bytes: int) -> None:
    """Copy a model folder with its weights in several files, for places that bound their size.

    Nothing else changes: item embeddings stay valid.

    Args:
        source: a trained or converted HLLM.
        output: folder to make.
        shard_bytes: most bytes of a weight file.

    Raises:
        CheckpointError: the output exists, or weights are missing or damaged.
    """
    folder, output = ModelFolder.of(source), Path(output)
    if output.exists():
        raise CheckpointError(f"{output} exists: name a folder that does not.")
    weights = {path.name for path in weight_files(folder.path)} | {WEIGHTS, INDEX}
    with open_weights(folder.path) as stored, atomic_folder(output) as temporary:
        specs = {name: _spec(file.get_tensor(name)) for name, file in stored.items()}
        write_shards(
            temporary, specs, lambda names: (stored[n].get_tensor(n) for n in names), shard_bytes
        )
        for path in folder.path.iterdir():
            if path.is_file() and path.name not in weights:
                shutil.copyfile(path, temporary / path.name)
        write_manifest(temporary)


def _spec(tensor: Tensor) -> TensorSpec:
    return TensorSpec(tuple(tensor.shape), tensor.dtype)


def load_model(source: ModelFolder | str | Path) -> tuple[HLLM, PreTrainedTokenizerBase]:
    """Load a model folder for evaluation, embedding or further training (on the CPU, fp32).

    Raises:
        CheckpointError: something is missing, damaged or does not fit together.
    """
    folder = ModelFolder.of(source)
    config = folder.config
    _check_shapes(folder)
    if bases := packaged_bases(config):
        folders = {tower: pretrained_folder(base) for tower, base in bases.items()}
        item_weights, user_weights = folders.get(ITEM_LLM), folders.get(USER_LLM)
        model = build_model(config, item_weights=item_weights, user_weights=user_weights, lean=True)
    elif config.item_lora or config.user_lora:
        model = build_model(config, lean=True)
    else:  # every weight comes from the files
        model = _uninitialised(lambda: build_model(config, lean=True), folder)
    _load_weights(model, folder)
    model.config.dtype = torch.float32  # true of what was loaded, and it may be saved again
    return model.eval(), folder.tokenizer()


def _check_shapes(folder: ModelFolder) -> None:
    """Compare config.json with the weight files' headers, before memory is taken for a model.

    Raises:
        CheckpointError: they do not fit together.
    """
    config, stored = folder.config, dict(folder.shapes)
    own = shapes_of(lambda: build_model(config), folder.path)
    bases = packaged_bases(config)
    for tower, base in bases.items():  # what the folder lacks comes from the package
        shapes = base_shapes(pretrained_folder(base))
        for name in own:
            if name.startswith(tower) and _packaged_base(name, bases) and name not in stored:
                # peft moves the weights that it adapts into a base_layer.
                key = name.removeprefix(tower).replace(".base_layer.", ".")
                if key in shapes:
                    stored[name] = shapes[key]
    check_fit(own, stored, folder.path)


def _uninitialised(make: Callable[[], Any], folder: ModelFolder) -> Any:
    """A model in float32 without initial weights: all are about to be replaced."""
    with no_init_weights():
        return build(make, folder.path).float()


def load_user_llm(source: ModelFolder | str | Path) -> PreTrainedModel:
    """Load only the User LLM: all that serving needs once item embeddings exist.

    Raises:
        CheckpointError: as load_model.
    """
    folder = ModelFolder.of(source)
    small = without_vocabulary(folder.config.user_config)
    return _load_tower(folder, USER_LLM, lambda: make_user_llm(small))


def load_item_llm(source: ModelFolder | str | Path) -> PreTrainedModel:
    """Load only the Item LLM, LoRA matrices added into its weights: to encode items live.

    Raises:
        CheckpointError: as load_model.
    """
    folder = ModelFolder.of(source)
    return _load_tower(folder, ITEM_LLM, lambda: make_item_llm(folder.config.item_config))


@torch.no_grad()
def _load_tower(
    folder: ModelFolder, tower: str, make: Callable[[], PreTrainedModel]
) -> PreTrainedModel:
    check_fit(shapes_of(make, folder.path), folder.tower_shapes(tower), folder.path)
    model = _uninitialised(make, folder)
    own = model.state_dict()
    for name, value in folder.tower_tensors(tower):
        own[name].copy_(value.dequantize() if isinstance(value, PackedMatrix) else value)
    return model.eval()


@torch.no_grad()
def _load_weights(model: nn.Module, folder: ModelFolder) -> None:
    """Copy the stored tensors into a model, one at a time; names and shapes have been checked."""
    own = model.state_dict()
    for name, tensor in folder.tensors():
        own[name].copy_(tensor)
