"""Opens weights of the reference implementation, as published or as its training saves them.

Published: a flat table of tensors. Training: the same table under ``model``, beside an optimiser
and more; of several processes with ``module.`` before every name. Nothing that a file contains is
executed: what holds more than plain values is refused, with the way to get its weights out.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hllm.errors import CheckpointError

_HOLDERS = ("model", "state_dict", "module", "model_state_dict")
# Of DistributedDataParallel, of Lightning's wrapper around DeepSpeed, of torch.compile.
_PREFIXES = re.compile(r"(?:module\.|_forward_module\.|_orig_mod\.)+")
_TAKEN_OUT = (
    "if you trust the file, take the weights out of it once, in Python:  "
    'torch.save(torch.load({path!r}, "cpu", weights_only=False)["model"], "pytorch_model.bin")  '
    "and convert that file"
)


def open_reference(path: Path) -> dict[str, Tensor]:
    """Map a file into memory: name in the reference's state dict -> tensor.

    Args:
        path: ``.bin``, ``.pt`` or ``.pth`` of torch, or ``.safetensors``.

    Raises:
        CheckpointError: missing, a folder, damaged, unsafe, or no table of tensors.
    """
    state = _unwrapped(_read(path))
    if not _is_table(state):
        raise CheckpointError(
            f"{path} is not a flat table of tensors, as the reference writes it, and has none "
            f"under {', '.join(map(repr, _HOLDERS))}: {_TAKEN_OUT.format(path=str(path))}."
        )
    named = {_PREFIXES.sub("", name, count=1) if _PREFIXES.match(name) else name: tensor
             for name, tensor in state.items()}  # fmt: skip
    if len(named) < len(state):
        raise CheckpointError(
            f"{path} has tensors with and without a prefix such as 'module.': save one of both."
        )
    return named


def _read(path: Path) -> Any:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, not a file with weights: {_in_folder(path)}.")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the reference's pytorch_model.bin.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, which could run code: it was not opened; "
            f"{_TAKEN_OUT.format(path=str(path))}."
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError) as error:
        reason = str(error).split("\n", 1)[0]
        if path.suffix not in (".bin", ".pt", ".pth", ".safetensors"):
            raise CheckpointError(
                f"{path} is no file of weights: give the reference's pytorch_model.bin."
            ) from error
        raise CheckpointError(
            f"{path} is damaged or not a zip file of torch ({reason}): download it again."
        ) from error


def _in_folder(path: Path) -> str:
    """What to do with a folder; the reference's training saves one with DeepSpeed (HLLM-0.pth)."""
    if any(path.glob("**/*_model_states.pt")) or (path / "zero_to_fp32.py").exists():
        return (
            "DeepSpeed's training saves such folders; in it, run  python zero_to_fp32.py . "
            "pytorch_model.bin  (the script lies there or comes with deepspeed) and convert the "
            "file that it writes"
        )
    if (path / "config.json").is_file():
        return (
            "it looks like a model folder, which needs no conversion: give it with --model, or "
            "name the reference's pytorch_model.bin"
        )
    found = sorted(file.name for kind in ("bin", "safetensors") for file in path.glob(f"*.{kind}"))
    return f"give the file in it, {found[0]}" if found else "give the reference's pytorch_model.bin"


def _is_table(state: Any) -> bool:
    return (
        isinstance(state, Mapping)
        and len(state) > 0
        and all(isinstance(name, str) and isinstance(t, Tensor) for name, t in state.items())
    )


def _unwrapped(state: Any) -> Any:
    """The table of tensors inside of a training state."""
    while isinstance(state, Mapping) and not _is_table(state):
        inner = next(
            (state[name] for name in _HOLDERS if isinstance(state.get(name), Mapping)), None
        )
        if inner is None:
            return state
        state = inner
    return state
