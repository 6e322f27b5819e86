"""Frozen weights of language models stay out of the states that a run continues from.

Whatever a run starts from has them: run.json knows it by content. A state keeps a digest of what
was left out, so that nothing goes on over other weights. What else is frozen (a whitening, an
[ITEM] token) is small and kept.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from hllm.errors import CheckpointError
from hllm.model_folder import ITEM_LLM, USER_LLM
from hllm.weights.checksums import digest_of

_MODEL = "model.safetensors"  # accelerate's name
_DIGEST = "frozen.json"


def frozen_weights(module: nn.Module) -> dict[str, Tensor]:
    """The frozen parameters of the language models in a module, by name."""
    return {
        name: value
        for name, value in module.named_parameters()
        if not value.requires_grad and (ITEM_LLM in name or USER_LLM in name)
    }


def digest_of_all(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and values: 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{digest_of(tensors[name].detach().cpu())}".encode())
    return digest.hexdigest()


def check_frozen(folder: Path, stored: str, tensors: Mapping[str, Tensor]) -> None:
    """Compare frozen weights with those that a state has left out.

    Args:
        folder: of the state.
        stored: digest_of_all of those.
        tensors: the weights that this run has.

    Raises:
        CheckpointError: they are others.
    """
    if digest_of_all(tensors) != stored:
        raise CheckpointError(
            f"{folder} goes on from other frozen weights than this run has (their sums differ): "
            "give the language models that the run was started with, or --restart."
        )


def leave_out_frozen(accelerator: Accelerator) -> None:
    """Have an accelerator's states hold what training changes of a model, and no more.

    States of earlier versions, which hold everything, are still read.
    """
    accelerator.register_save_state_pre_hook(_Save(accelerator))
    accelerator.register_load_state_pre_hook(_load)


class _Save:
    """What accelerate calls before it writes the weights of its models."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._is_main = accelerator.is_main_process
        self._digests: list[str] = []  # frozen as they are, they are read once

    def __call__(
        self, models: list[nn.Module], weights: list[dict[str, Tensor]], folder: str
    ) -> None:
        frozen = [frozen_weights(model) for model in models]
        if not self._is_main or not any(frozen):
            return
        self._digests = self._digests or [digest_of_all(tensors) for tensors in frozen]
        for number, tensors in enumerate(frozen):
            weights[number] = {k: v for k, v in weights[number].items() if k not in tensors}
        Path(folder, _DIGEST).write_text(json.dumps(self._digests) + "\n", encoding="utf-8")


def _load(models: list[nn.Module], folder: str) -> None:
    """What accelerate calls before it reads the weights of those models that are left in the list.

    Raises:
        CheckpointError: see check_frozen.
        RuntimeError: the state is of another model.
    """
    path = Path(folder, _DIGEST)
    if not path.is_file():  # nothing was left out
        return
    (model,) = models
    (digest,) = json.loads(path.read_text(encoding="utf-8"))
    frozen = frozen_weights(model)
    check_frozen(Path(folder), digest, frozen)
    missing, strange = model.load_state_dict(load_file(Path(folder, _MODEL)), strict=False)
    if others := [*strange, *(name for name in missing if name not in frozen)]:
        raise RuntimeError(f"{others[0]} is in only one of both")
    models.clear()  # accelerate itself would miss the rest
