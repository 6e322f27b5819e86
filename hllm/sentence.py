"""Sentence embeddings of items: the text baseline's part that needs sentence-transformers.

python -m hllm.sentence --items items.csv --output baseline.safetensors
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from hllm.baselines.text_recommender import sentence_fingerprint
from hllm.data import read_items
from hllm.errors import HLLMError, StaleEmbeddingsError
from hllm.store import ItemEmbeddings, reusable
from hllm.tables import CsvFormat, add_csv_options
from hllm.text import sentence_text, text_hash
from hllm.weights.packaged import MINILM, pretrained_folder

logger = logging.getLogger(__name__)


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
    folder = pretrained_folder(MINILM)
    encoder = SentenceTransformer(
        str(folder),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    unique = list(dict.fromkeys(texts))
    encoded = encoder.encode(
        unique, batch_size=64, show_progress_bar=progress, normalize_embeddings=True
    )
    row_of = {text: row for row, text in enumerate(unique)}
    return np.asarray(encoded, dtype=np.float32)[[row_of[text] for text in texts]]


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
    try:
        known = ItemEmbeddings.load(output) if Path(output).exists() else None
    except StaleEmbeddingsError as error:  # it is a cache: make it again
        logger.warning("%s", error)
        known = None
    fingerprint = sentence_fingerprint(text_keys)
    texts = [(item_id, sentence_text(fields, text_keys)) for item_id, fields in items]
    find = reusable(known, fingerprint)
    hashes = [text_hash(text) for _, text in texts]
    vectors = [find(item_id, value) for (item_id, _), value in zip(texts, hashes, strict=True)]
    missing = [row for row, vector in enumerate(vectors) if vector is None]
    logger.info("%d of %d items have to be encoded", len(missing), len(texts))
    if missing:
        encoded = sentence_embeddings([texts[row][1] for row in missing], progress=progress)
        for row, vector in zip(missing, torch.from_numpy(encoded).half(), strict=True):
            vectors[row] = vector
    found = [vector for vector in vectors if vector is not None]
    stacked = torch.stack(found) if found else torch.empty(0, 1, dtype=torch.float16)
    item_ids = [item_id for item_id, _ in texts]
    result = ItemEmbeddings(item_ids, hashes, stacked, fingerprint)
    result.save(output)
    return result


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
    add_csv_options(parser)
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keys = options.text_keys.split(",")
    try:
        items = read_items(
            options.items, form=CsvFormat.parse(options.delimiter, options.quote, options.encoding)
        )
        result = embed_sentences(list(items.items()), keys, options.output)
    except HLLMError as error:
        logger.error("%s", error)
        return 2
    logger.info("%s: %d items", options.output, len(result.item_ids))
    return 0


if __name__ == "__main__":
    sys.exit(main())
