"""Verify the files of a model folder: every byte that has a checksum, and every number finite."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hllm.errors import CheckpointError, HLLMError
from hllm.model_folder import CONFIG
from hllm.serving.approximate_index import is_whole_index
from hllm.serving.blend import Blend
from hllm.store import BLEND, ItemEmbeddings, is_item_embeddings
from hllm.weights.checksums import ChecksumError, VerifiedFile, stored_digests
from hllm.weights.files import weight_files
from hllm.weights.manifest import compare_manifest


@dataclass(frozen=True)
class Finding:
    """What is true of one file.

    Attributes:
        path: the file.
        problem: one sentence, "" if it is whole.
        unproven: tensors without a checksum, as earlier versions and other programs write them.
    """

    path: Path
    problem: str = ""
    unproven: int = 0


def verify_folder(folder: Path) -> Iterator[Finding]:
    """Read a model folder to the last byte: weights, embeddings, blend, indexes, configuration.

    Raises:
        CheckpointError: there is no such folder, or nothing in it that could be verified.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}: name a model folder.")
    is_model = (folder / CONFIG).exists()  # whose weights are missed where they are not
    weights = [
        path
        for path in weight_files(folder)
        if path.suffix == ".safetensors" and (is_model or path.exists())
    ]
    others = sorted({*folder.glob("*.safetensors")} - set(weights))
    indexes = sorted(folder.glob("*.faiss"))
    if not (weights or others or indexes):
        raise CheckpointError(f"{folder} holds no weights and no embeddings: name a model folder.")
    for path, problem in compare_manifest(folder):
        yield Finding(path, problem)
    for path in (*weights, *others):
        yield _verify_tensors(path)
    for path in indexes:
        problem = "" if is_whole_index(path) else f"{path} is damaged: the next start makes it anew"
        yield Finding(path, problem)


def _verify_tensors(path: Path) -> Finding:
    try:
        if path.name == BLEND:
            Blend.load(path)
        elif is_item_embeddings(path):
            ItemEmbeddings.load(path)
        with safe_open(path, framework="pt") as file:
            verified, names = VerifiedFile(file), list(file.keys())
            for name in names:
                tensor = verified.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise ChecksumError(f"{name} has NaN or infinity in it")
            return Finding(path, unproven=len(set(names) - stored_digests(file.metadata()).keys()))
    except HLLMError as error:
        return Finding(path, str(error))
    except (SafetensorError, ChecksumError, OSError) as error:
        return Finding(path, f"{path} is missing or damaged ({error}): restore it or make it again")
