"""Embed a catalogue: every item's text through the Item LLM, once, resumable.

    python -m hllm.embed --model runs/games --items data/games/items.csv

Items are encoded in order of their length, so that a batch holds almost no padding. What is done is
kept in part files beside the output (hllm.embedder), from where a killed run continues.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    import sys

    from hllm.commands.embed import main

    sys.exit(main())

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.checkpoint import load_model
from hllm.embedder import embed_incrementally, embed_to_file, encode_all, load_or_none
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
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
) -> Iterator[tuple[list[int], Tensor]]:
    """The Item LLM as a hllm.embedder.Encoder; arguments as encode_catalog's.

    Yields:
        Places in the texts and their vectors (B, D) float32 on the CPU, not normalised.
    """
    encode = model.encode_items if adapt else model.item_states
    for start, token_ids in _tokenized(tokenizer, texts, model.config.max_text_tokens):
        for rows in token_batches(token_ids, tokens_per_batch):
            vectors = encode([token_ids[row] for row in rows])
            yield [start + row for row in rows], vectors.float().cpu()


def encode_catalog(
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    adapt: bool = True,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    progress: bool = True,
) -> Tensor:
    """Embed texts with the Item LLM.

    Args:
        model: in eval mode, on its device.
        tokenizer: the Item LLM's.
        texts: N item texts (HLLMConfig.item_text); equal texts are encoded once.
        adapt: False gives the Item LLM's states (N, H) before the adapter, as cached for training
            with a frozen Item LLM.
        tokens_per_batch: most padded tokens of a batch.
        progress: whether to show a progress bar.

    Returns:
        (N, D) float32 on the CPU, not normalised.
    """
    encode = partial(item_batches, model, tokenizer, adapt=adapt, tokens_per_batch=tokens_per_batch)
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
        (N, D) float32 on the CPU, not normalised; nothing is written.
    """
    stored = load_or_none(Path(folder) / EMBEDDINGS)
    return embed_incrementally(
        texts,
        [stored] if stored else [],
        ModelFolder(folder).fingerprint,
        lambda: partial(item_batches, model, tokenizer),
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
        half: store float16.
        progress: whether to show a progress bar.

    Returns:
        The embeddings, also written to `output`.
    """
    folder = ModelFolder.of(model_folder)
    return embed_to_file(
        texts,
        output,
        folder.fingerprint,
        lambda: partial(item_batches, *load_encoder(folder, device)),
        dtype=torch.float16 if half else torch.float32,
        progress=progress,
    )
