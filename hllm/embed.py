"""Embed a catalogue: every item's text through the Item LLM, once, resumable.

    python -m hllm.embed --model runs/games --items data/games/items.csv

Items are encoded in order of their length, so that a batch holds almost no padding. What is done is
kept in part files beside the output (hllm.embedder), from where a killed run continues.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.checkpoint import load_model
from hllm.data import read_items
from hllm.embedder import embed_incrementally, embed_to_file, encode_all, load_or_none
from hllm.errors import HLLMError
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.tables import CsvFormat, add_csv_options
from hllm.text import TOKENS_PER_BATCH, check_text_keys, token_batches, tokenize

logger = logging.getLogger(__name__)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m hllm.embed",
        description="Embed every item of a catalogue with a trained model's Item LLM. Run it again "
        "after the catalogue has changed: only new and changed texts are encoded. A killed run "
        "continues where it stopped.",
    )
    parser.add_argument(
        "--model", required=True, type=Path, help="model folder (python -m hllm.train)"
    )
    parser.add_argument("--items", required=True, type=Path, help="items.csv or items.csv.gz")
    add_csv_options(parser)
    parser.add_argument("--output", type=Path, help=f"default: {EMBEDDINGS} in the model folder")
    parser.add_argument("--fp32", action="store_true", help="store float32 instead of float16")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    output = options.output or options.model / EMBEDDINGS
    try:
        folder = ModelFolder(options.model)
        config = folder.config
        items = read_items(
            options.items, form=CsvFormat.parse(options.delimiter, options.quote, options.encoding)
        )
        check_text_keys(items.values(), config.text_keys, source=options.items, every=False)
        texts = [(item_id, config.item_text(fields)) for item_id, fields in items.items()]
        device = torch.device("cuda") if torch.cuda.is_available() else CPU
        result = embed_items(folder, texts, output, device=device, half=not options.fp32)
    except HLLMError as error:
        logger.error("%s", error)
        return 2
    except OSError as error:
        logger.error("%s cannot be written (%s)", output, error.strerror)
        return 2
    size = output.stat().st_size / 1e6
    logger.info(
        "%s: %d items, %d dimensions, %.1f MB",
        output,
        len(result.item_ids),
        result.vectors.shape[1],
        size,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
