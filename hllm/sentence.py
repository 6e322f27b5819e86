"""Sentence embeddings of items: the text baseline's part that needs sentence-transformers.

    python -m hllm.sentence --model runs/games --items data/games/items.csv

The baseline is compared with an HLLM, so that it reads the same fields of an item.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("sentence")

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from hllm.baselines.sentence_encoder import SentenceEncoder
from hllm.embedder import Encoder, embed_to_file, encode_all
from hllm.state_cache import StateCache, cache_folder, cached
from hllm.store import SENTENCE_FINGERPRINT, ItemEmbeddings, sentence_fingerprint
from hllm.text import DEFAULT_KEYS, check_text_keys, sentence_text

SENTENCE_SIZE = 384


def sentence_embeddings(
    texts: Sequence[str], *, device: str = "cpu", progress: bool = True
) -> np.ndarray:
    """Embed texts with all-MiniLM-L6-v2 as sentence-transformers does (mean pooling, normalised).

    Args:
        texts: N texts; equal ones are encoded once.
        device: of torch.
        progress: whether to show a progress bar.

    Returns:
        (N, 384) float32, L2-normalised.

    Raises:
        CheckpointError: the packaged weights are missing or not the official ones.
    """
    return encode_all(open_encoder(device), texts, progress=progress).numpy()


def open_encoder(device: str = "cpu") -> Encoder:
    """all-MiniLM-L6-v2 as a hllm.embedder.Encoder: vectors (B, 384) float32, L2-normalised.

    By way of the cache (hllm.state_cache), so that every command reads what another has encoded,
    and the model is loaded for the others alone. Encoding raises a CheckpointError if the packaged
    weights are missing or not the official ones.

    Args:
        device: of torch.
    """
    key = hashlib.sha256(SENTENCE_FINGERPRINT.encode()).hexdigest()[:32]
    return cached(partial(_encode, device), StateCache(key, SENTENCE_SIZE, cache_folder()))


def _encode(device: str, texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
    return SentenceEncoder(device).batches(texts)


def embed_sentences(
    items: Sequence[tuple[str, Mapping[str, Any]]],
    text_keys: Sequence[str],
    output: str | Path,
    *,
    progress: bool = True,
) -> ItemEmbeddings:
    """Bring the baseline's embeddings of a catalogue up to date.

    Args:
        items: (item_id, fields) of every item.
        text_keys: fields that are read, in order; the file remembers them.
        output: the file; embeddings in it whose text is the same are kept.
        progress: whether to show a progress bar.

    Returns:
        The embeddings (float16), also written to `output`.
    """
    texts = [(item_id, sentence_text(fields, text_keys)) for item_id, fields in items]
    return embed_to_file(
        texts, output, sentence_fingerprint(text_keys), open_encoder, progress=progress
    )


def baseline_keys(
    records: Sequence[Mapping[str, Any] | None],
    chosen: str | None,
    model_folder: Path | None,
    *,
    source: str | Path,
) -> list[str]:
    """The fields that the baseline reads.

    Args:
        records: fields of every item; None for an item without a record.
        chosen: comma-separated names that somebody has typed; None: those of the model.
        model_folder: the HLLM that the baseline stands beside; None: those of DEFAULT_KEYS that
            the items have.
        source: the file of the items, for messages.

    Raises:
        DataError: a chosen field that no item has, or none of the others.
        CheckpointError: the model has no readable configuration.
    """
    if chosen is not None:
        keys = [key.strip() for key in chosen.split(",") if key.strip()]
        check_text_keys(records, keys, source=source)
        return keys
    if model_folder is not None:
        keys = _keys_of(model_folder)
        check_text_keys(records, keys, source=source, every=False)
        return keys
    check_text_keys(records, DEFAULT_KEYS, source=source, every=False)
    return [key for key in DEFAULT_KEYS if any(fields and fields.get(key) for fields in records)]


def _keys_of(model_folder: Path) -> list[str]:
    """The fields that an HLLM reads, without importing the models for a line of JSON."""
    try:
        values = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
        keys = values["text_keys"]
        if values["model_type"] == "hllm" and all(isinstance(key, str) for key in keys):
            return list(keys)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from hllm.model_folder import ModelFolder  # noqa: PLC0415  it says what is wrong

    return ModelFolder(model_folder).config.text_keys
