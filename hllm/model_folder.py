"""A model folder, opened once: where it is, what its config.json says, what its weights are."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import make_item_llm, make_user_llm, without_vocabulary
from hllm.schema.configs import CONFIG_BYTES, ID_MODEL_TYPE, check_hllm
from hllm.schema.rules import one_line, read_object
from hllm.schema.tokenizers import read_tokenizer
from hllm.weights.files import (
    WEIGHTS,
    holds_nf4,
    iter_stored,
    iter_tensors,
    read_shapes,
    weight_files,
)
from hllm.weights.manifest import warn_of_changes
from hllm.weights.merged import Merge, merged_shapes, merged_tensors
from hllm.weights.nf4_format import PackedMatrix
from hllm.weights.packaged import pretrained_folder
from hllm.weights.shapes import shapes_of

CONFIG = "config.json"
# Beginnings of the names of the two language models' tensors.
ITEM_LLM = "item_llm."
USER_LLM = "user_llm."
# Settings that shape an item's text or the Item LLM's state for it.
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


def packaged_bases(config: HLLMConfig) -> dict[str, str]:
    """Which of the two language models lies over packaged weights: ITEM_LLM or USER_LLM -> name."""
    bases = {ITEM_LLM: config.item_base, USER_LLM: config.user_base}
    return {tower: base for tower, base in bases.items() if base}


class ModelFolder:
    """A trained or converted HLLM on disk.

    Whoever starts from a path makes one and hands it on, so that config.json and the headers of the
    weight files are read once. It describes the folder as it was when it was opened: open it again
    after something was saved there. Files that are not those of its manifest.json are named in the
    log.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        config: what config.json says, checked against the closed schema.

    Raises:
        CheckpointError: there is no such folder, no config.json, or it is not an HLLM's.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = _read_config(self.path)
        warn_of_changes(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, folder: "ModelFolder | str | Path") -> "ModelFolder":
        """The folder itself if it is open already; otherwise open it."""
        return folder if isinstance(folder, cls) else cls(folder)  # type: ignore[arg-type]

    @cached_property
    def files(self) -> list[Path]:
        """The files that make the model what it is: weights and config.json."""
        return [*weight_files(self.path), self.path / CONFIG]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all tensors, from the files' headers.

        Raises:
            CheckpointError: weights are missing or damaged.
        """
        return read_shapes(self.path)

    @cached_property
    def user_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the User LLM's tensors, as the User LLM itself calls them."""
        return self.tower_shapes(USER_LLM)

    def tower_shapes(self, tower: str) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a language model's tensors, LoRA matrices added into the others.

        Args:
            tower: ITEM_LLM or USER_LLM.

        Raises:
            CheckpointError: weights, or those of a packaged base, are missing or damaged.
        """
        return merged_shapes(self.shapes, self._merge(tower))

    def tower_tensors(self, tower: str) -> Iterator[tuple[str, Tensor | PackedMatrix]]:
        """The tensors of a language model as it computes, one at a time, in no certain order.

        What the folder lacks comes from the package, and LoRA matrices are added into the weights
        that they change. A matrix that is stored in NF4 stays so.

        Args:
            tower: ITEM_LLM or USER_LLM.

        Raises:
            CheckpointError: weights, or those of a packaged base, are missing or damaged.
        """
        return merged_tensors(self.path, self._merge(tower))

    def _merge(self, tower: str) -> Merge:
        config = self.config
        is_item = tower == ITEM_LLM
        base = packaged_bases(config).get(tower)
        lora = config.item_lora if is_item else config.user_lora
        needed: Mapping[str, tuple[int, ...]] = {}
        if base:
            needed = shapes_of(
                lambda: (
                    make_item_llm(config.item_config)
                    if is_item
                    else make_user_llm(without_vocabulary(config.user_config))
                ),
                self.path,
            )
        return Merge(tower, pretrained_folder(base) if base else None, needed, lora)

    @cached_property
    def holds_nf4(self) -> bool:
        """Whether matrices are stored in NF4."""
        return holds_nf4(self.path)

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """The tensors whose names begin with a prefix, in order of names, one at a time."""
        return iter_tensors(self.path, prefix)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The Item LLM's tokenizer, from the package of its weights or from the folder.

        Raises:
            CheckpointError: missing, damaged, or it would run code.
        """
        base = self.config.item_base
        source = pretrained_folder(base) if base else self.path
        return read_tokenizer(source, self.config.item_config.vocab_size)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that name the model which makes item embeddings.

        Hashes every stored tensor except those that read item embeddings, and every setting that
        shapes an item's text or state.

        Raises:
            CheckpointError: weights are missing or damaged.
        """
        config = self.config.to_dict()
        settings = json.dumps({key: config.get(key) for key in _FINGERPRINTED}, sort_keys=True)
        digest = hashlib.sha256(settings.encode())
        for name, tensor in iter_stored(self.path):
            # Training these alone must not make anybody embed a catalogue again.
            if name.startswith((USER_LLM, "click_head.")) or name == "logit_scale":
                continue
            # As it is stored, in NF4 too: dequantized values could differ between machines.
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            # Bytes, not numbers: NumPy does not know bfloat16.
            digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


def _way_on(path: Path) -> str:
    """What to do with something that is no model folder."""
    weights = [path] if path.is_file() else [*path.glob("*.pth"), *path.glob("*.bin")]
    if any(file.suffix in (".pth", ".pt", ".bin") for file in weights):
        return (
            "weights of the reference are turned into a folder by  python -m hllm.checkpoint "
            "convert"
        )
    wanted = f"a folder that holds config.json and {WEIGHTS} (made by  python -m hllm.train)"
    return f"it is a file; give {wanted}" if path.is_file() else f"give {wanted}"


def _read_config(folder: Path) -> HLLMConfig:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"No HLLM model at {folder}: {_way_on(folder)}.")
    try:
        values = read_object(path, CONFIG_BYTES)
        if values.get("model_type") == ID_MODEL_TYPE:
            raise CheckpointError(
                f"{folder} holds an ID model ({str(values.get('kind'))[:20]}), which knows items "
                "by number and reads no texts: the page and hllm.embed need an HLLM (python -m "
                "hllm.train); python -m hllm.evaluate compares the two."
            )
        if values.get("model_type") != HLLMConfig.model_type:
            raise ValueError(f"model_type is {values.get('model_type')!r}, not 'hllm'")
        check_hllm(values, str(path))
        # The files show how matrices are stored. Of a model in memory the note would be wrong.
        values.pop("quantization_config", None)
        return HLLMConfig.from_dict(values)
    except CheckpointError:
        raise
    except Exception as error:  # transformers' checks of a configuration raise plain Exception
        raise CheckpointError(
            f"{path} is not the configuration of an HLLM ({one_line(error)}): restore it or train "
            "again."
        ) from error
