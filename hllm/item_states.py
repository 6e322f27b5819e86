"""Item LLM states: what names them in the cache, and in which precision a processor makes them.

H width of the Item LLM, N texts.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.embedder import Encoder
from hllm.model import HLLM
from hllm.weights.checksums import digest_of

logger = logging.getLogger(__name__)
_FORMAT = 1  # raised when the same model would give other states
_SAMPLE = 32  # texts that are encoded twice before bfloat16 is trusted with the others
MIN_COSINE = 0.999
# Says nothing of the states, and differs between a model that was just made and one from a folder.
_NOISE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")


def state_key(model: HLLM, tokenizer: PreTrainedTokenizerBase, *, bf16: bool = False) -> str:
    """32 hex digits that name everything that shapes a state but the text.

    The weights count as they are in memory, so that it does not matter from where they came: a
    package, a folder, 4 bits, a training. LoRA matrices that are still the identity do not count.
    The prompt is a part of the text.

    Args:
        model: whose Item LLM is meant.
        tokenizer: the Item LLM's.
        bf16: whether a float32 model is computed in bfloat16.
    """
    config, weights = model.config, model.item_llm.state_dict()
    idle = _idle_lora(weights)
    has_lora = any("lora_" in name for name in weights if name not in idle)
    settings = {
        "format": _FORMAT,
        "item_config": {k: v for k, v in config.item_config.to_dict().items() if k not in _NOISE},
        "item_pooling": config.item_pooling,
        "right_align_positions": config.right_align_positions,
        "max_text_tokens": config.max_text_tokens,
        "item_lora": config.item_lora if has_lora else None,
        "tokenizer": _tokenizer_digest(tokenizer),
        "bf16": bf16,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    tensors = {
        name.replace(".base_layer.", "."): value
        for name, value in weights.items()
        if name not in idle and isinstance(value, Tensor)
    }
    if config.item_pooling == "item_token":
        tensors["item_emb_tokens"] = model.item_emb_tokens
    for name, value in sorted(tensors.items()):
        digest.update(f"{name}{digest_of(value.detach().cpu())}".encode())
    return digest.hexdigest()[:32]


def _idle_lora(weights: Mapping[str, Any]) -> set[str]:
    """Names of the LoRA matrices that add nothing: pairs whose B is zero, as all begin."""
    return {
        pair
        for name, value in weights.items()
        if ".lora_B." in name and not value.any()
        for pair in (name, name.replace(".lora_B.", ".lora_A."))
    }


def _tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        described: Any = [type(tokenizer).__name__, tokenizer.get_vocab(), tokenizer.init_kwargs]
    else:
        described = json.loads(backend.to_str())
        # Left over from the last call, or for callers who pad and cut; hllm.text does so itself.
        described.pop("truncation", None)
        described.pop("padding", None)
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def has_fast_bfloat16(cpuinfo: str) -> bool:
    """Whether a processor multiplies matrices in bfloat16, by the text of Linux' /proc/cpuinfo.

    >>> has_fast_bfloat16("flags : fpu avx2 avx512_bf16")
    True
    """
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.M)
    return flags is not None and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags[1].split())


@cache
def cpu_has_fast_bfloat16() -> bool:
    """Whether this machine's processor does; torch has no question for it."""
    try:
        return has_fast_bfloat16(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        return False  # no Linux: float32 is always right


def is_made_in_bfloat16(model: HLLM) -> bool:
    """Whether the states of this model are made faster in bfloat16: float32 on such a processor."""
    token = model.item_emb_tokens
    is_plain = token.device.type == "cpu" and token.dtype == torch.float32
    return is_plain and cpu_has_fast_bfloat16()


def checked(fast: Encoder, exact: Encoder) -> Encoder:
    """The fast encoder if it agrees with the exact one on a sample of the texts, else that one."""

    def encode(texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        sample = texts[:: -(-len(texts) // _SAMPLE)]  # shortest first: texts of all lengths
        cosine = _least_cosine(_states(fast, sample), _states(exact, sample))
        agrees = cosine >= MIN_COSINE
        logger.info(
            "encoding in %s: bfloat16 has cosine %.5f to float32",
            "bfloat16" if agrees else "float32",
            cosine,
        )
        yield from (fast if agrees else exact)(texts)

    return encode


def _states(encode: Encoder, texts: Sequence[str]) -> Tensor:
    """States (N, H) in the order of the texts."""
    batches = list(encode(texts))
    order = torch.tensor([place for places, _ in batches for place in places])
    return torch.cat([states for _, states in batches])[order.argsort()]


def _least_cosine(one: Tensor, other: Tensor) -> float:
    """The smallest cosine between states (N, H) of the same text; NaN where one is not finite.

    Without what all states have in common: it is most of them, and would hide every difference.
    """
    center = other.mean(dim=0)
    return F.cosine_similarity(one - center, other - center).min().item()
