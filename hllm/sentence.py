"""Sentence embeddings of items: the text baseline's part that needs sentence-transformers.

python -m hllm.sentence --items items.csv --output baseline.safetensors
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from hllm.baselines.text_recommender import sentence_fingerprint
from hllm.data import read_items
from hllm.embedder import Encoder, embed_to_file, encode_all
from hllm.errors import HLLMError
from hllm.store import ItemEmbeddings
from hllm.text import sentence_text
from hllm.weights.packaged import MINILM, pretrained_folder

logger = logging.getLogger(__name__)
TEXTS_PER_BATCH = 64


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
    """Load all-MiniLM-L6-v2 as a hllm.embedder.Encoder: vectors (B, 384) float32, L2-normalised.

    Raises:
        CheckpointError: the packaged weights are missing or not the official ones.
    """
    folder = pretrained_folder(MINILM)
    model = SentenceTransformer(str(folder), device=device, local_files_only=True)

    def encode(texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        for start in range(0, len(texts), TEXTS_PER_BATCH):
            batch = list(texts[start : start + TEXTS_PER_BATCH])
            vectors = model.encode(
                batch,
                batch_size=TEXTS_PER_BATCH,
                show_progress_bar=False,
                normalize_embeddings=True,
            )
            places = list(range(start, start + len(batch)))
            yield places, torch.from_numpy(np.asarray(vectors, dtype=np.float32))

    return encode


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


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m hllm.sentence",
        description=f"Embed every item of a catalogue with {MINILM} for the app's baseline column. "
        "Run it again after the catalogue has changed: only new and changed texts are encoded.",
    )
    parser.add_argument("--items", required=True, type=Path, help="items.csv or items.csv.gz")
    parser.add_argument(
        "--text-keys", default="title,tag,tags,description", help="columns, in order"
    )
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keys = options.text_keys.split(",")
    try:
        items = read_items(options.items)
        result = embed_sentences(list(items.items()), keys, options.output)
    except HLLMError as error:
        logger.error("%s", error)
        return 2
    logger.info("%s: %d items", options.output, len(result.item_ids))
    return 0


if __name__ == "__main__":
    sys.exit(main())
