"""Embed a catalogue: every item's text through the Item LLM, once, resumable.

    python -m hllm.embed --model runs/games --items data/games/items.csv

Items are encoded in order of their length, so that a batch holds almost no padding. What is done is
kept in part files beside the output (hllm.embedder), from where a killed run continues, and in the
cache of Item LLM states (hllm.state_cache), which every run of the same Item LLM reads.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("embed")

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.checkpoint import load_model
from hllm.embedder import Encoder, embed_incrementally, embed_to_file, encode_all, load_or_none
from hllm.item_states import checked, is_made_in_bfloat16, state_key
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.serving.item_model import EncodeElsewhere
from hllm.state_cache import StateCache, cache_folder, cached
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import TOKENS_PER_BATCH, token_batches, tokenize

TEXTS_AT_ONCE = 512  # that are tokenised while those before them are encoded
CPU = torch.device("cpu")


def load_encoder(
    source: ModelFolder | str | Path, device: torch.device
) -> tuple[HLLM, PreTrainedTokenizerBase]:
    """Load a model folder only to encode items.

    Args:
        source: a trained or converted HLLM.
        device: where it will compute. On a CUDA device, matrices stored in NF4 stay in 4 bits and
            all is computed in bfloat16; else everything is float32.

    Raises:
        CheckpointError: as hllm.checkpoint.load_model.
    """
    folder = ModelFolder.of(source)
    if device.type == "cuda" and folder.holds_nf4:
        from hllm.serving.nf4_model import load_nf4_items  # noqa: PLC0415  bitsandbytes, only if it is used

        return load_nf4_items(folder, device), folder.tokenizer()
    model, tokenizer = load_model(folder)
    return model.to(device), tokenizer  # type: ignore[arg-type]


@torch.inference_mode()
def item_batches(
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    adapt: bool = True,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    bf16: bool = False,
) -> Iterator[tuple[list[int], Tensor]]:
    """The Item LLM as a hllm.embedder.Encoder.

    Args:
        model: see encode_catalog.
        tokenizer: see encode_catalog.
        texts: see encode_catalog.
        adapt: False gives the Item LLM's states (B, H) before the adapter.
        tokens_per_batch: see encode_catalog.
        bf16: multiply a float32 model's matrices in bfloat16.

    Yields:
        Places in the texts and their vectors (B, D) float32 on the CPU, not normalised.
    """
    encode = model.encode_items if adapt else model.item_states
    for start, token_ids in _tokenized(tokenizer, texts, model.config.max_text_tokens):
        for rows in token_batches(token_ids, tokens_per_batch):
            # Not torch.autocast(enabled=False), which would switch off a caller's.
            with torch.autocast(model.device.type, torch.bfloat16) if bf16 else nullcontext():
                vectors = encode([token_ids[row] for row in rows])
            yield [start + row for row in rows], vectors.float().cpu()


@torch.inference_mode()
def cached_batches(
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    adapt: bool = True,
    exact: bool = False,
) -> Iterator[tuple[list[int], Tensor]]:
    """The same, by way of the cache of Item LLM states.

    Args:
        model: see encode_catalog.
        tokenizer: see encode_catalog.
        texts: see encode_catalog.
        adapt: see item_batches.
        exact: never in bfloat16, in which a processor that has it encodes a float32 model if the
            states agree (hllm.item_states).

    Yields:
        As item_batches.
    """
    bf16 = not exact and is_made_in_bfloat16(model)
    key, width = state_key(model, tokenizer, bf16=bf16), model.config.item_size
    encode_cached = cached(
        _state_encoder(model, tokenizer, bf16=bf16), StateCache(key, width, cache_folder())
    )
    for places, states in encode_cached(texts):
        yield places, _adapted(model, states) if adapt else states


@torch.inference_mode()
def uncached_batches(
    model: HLLM, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, exact: bool = False
) -> Iterator[tuple[list[int], Tensor]]:
    """The same numbers without the cache, for catalogues that are far larger than it.

    Args:
        model: see encode_catalog.
        tokenizer: see encode_catalog.
        texts: see encode_catalog.
        exact: see cached_batches.

    Yields:
        As item_batches.
    """
    bf16 = not exact and is_made_in_bfloat16(model)
    for places, states in _state_encoder(model, tokenizer, bf16=bf16)(texts):
        yield places, _adapted(model, states)


def _state_encoder(model: HLLM, tokenizer: PreTrainedTokenizerBase, *, bf16: bool) -> Encoder:
    encode = partial(item_batches, model, tokenizer, adapt=False)
    return checked(partial(encode, bf16=True), encode) if bf16 else encode


def _adapted(model: HLLM, states: Tensor) -> Tensor:
    """Item embeddings (B, D) float32 on the CPU of Item LLM states (B, H)."""
    token = model.item_emb_tokens
    return model.item_adapter(states.to(token.device, token.dtype)).float().cpu()


@torch.inference_mode()
def encode_tokens(model: HLLM, token_ids: Sequence[list[int]]) -> Tensor:
    """Embed texts that are tokenised already.

    Args:
        model: see encode_catalog.
        token_ids: of N texts.

    Returns:
        (N, D) float32 on the CPU, not normalised.
    """
    vectors = torch.empty(len(token_ids), model.config.embedding_size)
    for rows in token_batches(token_ids, TOKENS_PER_BATCH):
        vectors[rows] = model.encode_items([token_ids[row] for row in rows]).float().cpu()
    return vectors


def encode_catalog(
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    progress: bool = True,
) -> Tensor:
    """Embed texts with the Item LLM as it is now; nothing is kept on disk.

    Args:
        model: in eval mode, on its device.
        tokenizer: the Item LLM's.
        texts: N item texts (HLLMConfig.item_text); equal texts are encoded once.
        tokens_per_batch: most padded tokens of a batch.
        progress: whether to show a progress bar.

    Returns:
        (N, D) float32 on the CPU, not normalised.
    """
    encode = partial(item_batches, model, tokenizer, tokens_per_batch=tokens_per_batch)
    return encode_all(encode, texts, progress=progress)


def _tokenized(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_text_tokens: int
) -> Iterator[tuple[int, list[list[int]]]]:
    """Token ids of TEXTS_AT_ONCE texts after the others, each with the place of the first.

    A thread makes those that follow while the caller works: tokenizers let go of Python's lock.
    """

    def made(start: int) -> list[list[int]]:
        return tokenize(tokenizer, texts[start : start + TEXTS_AT_ONCE], max_text_tokens)

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(made, 0)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            current, coming = coming, thread.submit(made, start + TEXTS_AT_ONCE)
            yield start, current.result()


def stored_or_encoded(
    folder: str | Path,
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[tuple[str, str]],
) -> Tensor:
    """Embeddings of a catalogue: those that the model folder holds, the others encoded now.

    Args:
        folder: a model folder; its embeddings file, if any, may be of other items or texts.
        model: the same model, in eval mode, on its device.
        tokenizer: the Item LLM's.
        texts: N pairs of item_id and item text.

    Returns:
        (N, D) float32 on the CPU, not normalised; nothing is written but the cache.
    """
    stored = load_or_none(Path(folder) / EMBEDDINGS)
    return embed_incrementally(
        texts,
        [stored] if stored else [],
        ModelFolder(folder).fingerprint,
        lambda: partial(cached_batches, model, tokenizer, exact=True),
        dtype=torch.float32,
    ).vectors


def embed_items(
    model_folder: ModelFolder | str | Path,
    texts: Sequence[tuple[str, str]],
    output: str | Path,
    *,
    device: torch.device = CPU,
    half: bool = True,
    progress: bool = True,
) -> ItemEmbeddings:
    """Bring the embeddings of a catalogue up to date.

    Args:
        model_folder: a trained HLLM.
        texts: (item_id, item text) of every item.
        output: the embeddings file; vectors in it that still fit are kept.
        device: see load_encoder.
        half: store float16, and encode in bfloat16 where that is faster (cached_batches).
        progress: whether to show a progress bar.

    Returns:
        The embeddings, also written to `output`.
    """
    folder = ModelFolder.of(model_folder)
    return embed_to_file(
        texts,
        output,
        folder.fingerprint,
        lambda: partial(cached_batches, *load_encoder(folder, device), exact=not half),
        dtype=torch.float16 if half else torch.float32,
        progress=progress,
    )


def embed_elsewhere(
    source: ModelFolder | str | Path,
    items: Iterable[tuple[str, Mapping[str, Any]]],
    output: str | Path,
    encode: EncodeElsewhere,
) -> ItemEmbeddings:
    """Bring the embeddings of a catalogue up to date with what encodes outside this process.

    Args:
        source: a trained or converted HLLM.
        items: (item_id, text fields) of every item.
        output: see embed_items.
        encode: is given TEXTS_AT_ONCE texts at most.

    Returns:
        The embeddings, also written to `output`.

    Raises:
        DataError: as hllm.embedder.embed_to_file.
        HLLMError: what `encode` raises.
    """
    folder = ModelFolder.of(source)
    config = folder.config

    def batches(texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        for start, ids in _tokenized(folder.tokenizer(), texts, config.max_text_tokens):
            yield list(range(start, start + len(ids))), torch.from_numpy(encode(folder.path, ids))

    texts = [(item_id, config.item_text(fields)) for item_id, fields in items]
    return embed_to_file(texts, output, folder.fingerprint, lambda: batches)
