"""Turn a published checkpoint of the reference implementation into a model folder of ours.

Streams: the checkpoint is mapped into memory, and one tensor at a time goes through, so that two 7B
models convert on a machine that could not load them. Nothing that a file contains is executed.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from hllm.atomic import atomic_folder
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, StorageError, shortened
from hllm.model import HLLM
from hllm.published.model_card import model_card
from hllm.published.reference_file import open_reference
from hllm.published.reference_layout import language_model_config, translate
from hllm.published.sources import SourceSettings
from hllm.published.tokenizer import portable_tokenizer
from hllm.weights.files import SHARD_BYTES, Spec, write_shards
from hllm.weights.manifest import write_manifest
from hllm.weights.nf4_format import QUANTIZATION_CONFIG, Nf4Spec, TensorSpec

logger = logging.getLogger(__name__)
_MAPPED_BYTES = 500_000_000


def convert(
    weights: str | Path,
    output: str | Path,
    settings: SourceSettings,
    *,
    item_base: str | Path,
    user_base: str | Path | None = None,
    dtype: torch.dtype | None = None,
    nf4: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Convert a checkpoint; the output appears when it is complete.

    Args:
        weights: pytorch_model.bin of the reference, or a file that its training saved.
        output: folder to make: config.json, safetensors, tokenizer, README.md.
        settings: what the file does not say; see hllm.published.sources.PUBLISHED.
        item_base: folder with config.json and tokenizer of the Item LLM's base model.
        user_base: folder with config.json of the User LLM's; default: the same model.
        dtype: of the weights written; None keeps each tensor's.
        nf4: round the matrices of both language models to 4 bits (hllm.weights.nf4_format); dtype
            is then that of the others.
        shard_bytes: most bytes of a weight file.

    Raises:
        CheckpointError: something is missing, damaged, unsafe or does not fit together.
        StorageError: the disk is full.
    """
    output = Path(output)
    if output.exists():
        raise CheckpointError(f"{output} exists: name a folder that does not.")
    config = _make_config(settings, Path(item_base), Path(user_base or item_base), nf4=nf4)
    tokenizer = _tokenizer(item_base, config.item_config.vocab_size)
    source = _Source(Path(weights), config)
    specs = source.specs(dtype, nf4=nf4)
    config.dtype = dtype or source.usual_dtype
    try:
        with atomic_folder(output) as partial:
            files = write_shards(partial, specs, source.read, shard_bytes)
            tokenizer.save_pretrained(partial)
            _describe(partial, config, settings, Path(weights).name)
            write_manifest(partial)
    except StorageError:
        raise
    except OSError as error:
        raise CheckpointError(f"{output} cannot be written: {error}") from error
    size = sum(spec.num_bytes for spec in specs.values())
    logger.info("%s: %d tensors, %.2f GB, %d file(s)", output, len(specs), size / 1e9, len(files))


def _describe(folder: Path, config: HLLMConfig, settings: SourceSettings, file_name: str) -> None:
    card = model_card(config, settings.origin, file_name)
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "config.json").write_text(config.to_json_string(), encoding="utf-8")


def _tokenizer(item_base: str | Path, vocabulary_size: int) -> PreTrainedTokenizerBase:
    tokenizer = portable_tokenizer(item_base)
    if max(tokenizer.get_vocab().values()) >= vocabulary_size:
        raise CheckpointError(
            f"The tokenizer in {item_base} has {len(tokenizer)} words, the language model in its "
            f"config.json {vocabulary_size}: give the folder of one model."
        )
    return tokenizer


def _make_config(
    settings: SourceSettings, item_base: Path, user_base: Path, *, nf4: bool
) -> HLLMConfig:
    try:
        config = HLLMConfig(
            _plain(language_model_config(item_base)),
            _plain(language_model_config(user_base)),
            text_keys=settings.text_keys,
            item_prompt=settings.item_prompt,
            max_text_tokens=settings.max_text_tokens,
            max_history=settings.max_history,
            item_pooling=settings.item_pooling,
            right_align_positions=True,  # as the reference numbers them
        )
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"The base models' config.json cannot be used: {error}") from error
    config.architectures = [HLLM.__name__]
    if nf4:
        config.quantization_config = QUANTIZATION_CONFIG
    return config


def _plain(config: PretrainedConfig) -> PretrainedConfig:
    # The base model's dtype is not this checkpoint's, and there is no code to map to.
    for name in ("dtype", "auto_map", "architectures"):
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    return config


def empty_model(config: HLLMConfig) -> HLLM:
    """An HLLM without numbers: names and shapes of its parameters.

    Raises:
        CheckpointError: the two language models do not fit together.
    """
    try:
        with torch.device("meta"):
            return HLLM(config)
    except ValueError as error:
        raise CheckpointError(f"The two language models do not fit together: {error}") from error


class _Source:
    """A reference checkpoint seen as the tensors of an HLLM."""

    def __init__(self, path: Path, config: HLLMConfig) -> None:
        self.path = path
        state = open_reference(path)
        self._key_of: dict[str, str] = {}
        self._found: dict[str, TensorSpec] = {}
        for key, tensor in state.items():
            for name, part in translate(key, tensor):
                self._key_of[name] = key
                self._found[name] = TensorSpec(tuple(part.shape), part.dtype)
        model = empty_model(config)
        self._matrices = set(model.matrices())
        self._expected = {n: tuple(value.shape) for n, value in model.named_parameters()}
        if config.item_pooling == "mean" and "item_emb_tokens" not in self._found:
            shape = self._expected["item_emb_tokens"]
            self._found["item_emb_tokens"] = TensorSpec(shape, torch.float32)
        self._check()

    def _check(self) -> None:
        missing = [name for name in self._expected if name not in self._found]
        unknown = [name for name in self._found if name not in self._expected]
        if missing or unknown:
            raise CheckpointError(
                f"{self.path} does not hold the two language models of these config.json files "
                f"(missing {shortened(missing)}; unknown {shortened(unknown)}): give the folders "
                "of the models that it was trained from."
            )
        for name, spec in self._found.items():
            if spec.shape != self._expected[name] or not spec.dtype.is_floating_point:
                raise CheckpointError(
                    f"{self.path}: {name} is {spec.dtype} {spec.shape}, but config.json says "
                    f"{self._expected[name]}: give the folders of the models that it was trained "
                    "from."
                )

    @property
    def usual_dtype(self) -> torch.dtype:
        """That of the largest tensor."""
        return max(self._found.values(), key=lambda spec: spec.num_bytes).dtype

    def specs(self, dtype: torch.dtype | None, *, nf4: bool) -> dict[str, Spec]:
        """What to write, in the order of the file."""
        return {
            name: Nf4Spec(spec.shape)
            if nf4 and name in self._matrices
            else TensorSpec(spec.shape, dtype or spec.dtype)
            for name, spec in self._found.items()
        }

    def read(self, names: Sequence[str]) -> Iterator[Tensor]:
        """Tensors of one shard. The file is mapped anew at times, which lets go of pages read."""
        state, num_bytes = open_reference(self.path), 0
        for name in names:
            if num_bytes > _MAPPED_BYTES:
                state, num_bytes = open_reference(self.path), 0
            num_bytes += self._found[name].num_bytes
            if name in self._key_of:
                key = self._key_of[name]
                yield dict(translate(key, state[key]))[name]
            else:  # mean pooling never reads the [ITEM] token
                yield torch.zeros(self._found[name].shape)
