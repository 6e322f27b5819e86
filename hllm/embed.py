"""Embed a catalogue: every item's text through the Item LLM, once, resumable.

    python -m hllm.embed --model runs/games --items data/games/items.csv

Items are encoded in order of their length, so that a batch holds almost no padding. What is done is
kept in part files beside the output; a killed run continues behind the last of them.
"""

import argparse
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from hllm.checkpoint import load_model
from hllm.data import read_items
from hllm.errors import HLLMError, StaleEmbeddingsError
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.store import EMBEDDINGS, ItemEmbeddings, reusable
from hllm.tables import CsvFormat, add_csv_options
from hllm.text import TOKENS_PER_BATCH, item_text, text_hash, token_batches, tokenize

logger = logging.getLogger(__name__)
ITEMS_PER_PART = 2048
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
def encode_catalog(
    model: HLLM,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    adapt: bool = True,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    progress: bool = True,
    bar: tqdm | None = None,
) -> Tensor:
    """Embed texts with the Item LLM.

    Args:
        model: in eval mode, on its device.
        tokenizer: the Item LLM's.
        texts: N item texts (hllm.text.item_text); equal texts are encoded once.
        adapt: False gives the Item LLM's states (N, H) before the adapter, as cached for training
            with a frozen Item LLM.
        tokens_per_batch: most padded tokens of a batch.
        progress: whether to show a progress bar.
        bar: a progress bar of the caller's to advance instead.

    Returns:
        (N, D) float32 on the CPU, not normalised.
    """
    unique = sorted(dict.fromkeys(texts), key=len)  # so that texts of a batch are of one length
    encode = model.encode_items if adapt else model.item_states
    width = model.config.embedding_size if adapt else model.config.item_size
    encoded = torch.empty(len(unique), width)
    with ExitStack() as stack:
        if bar is None:
            bar = stack.enter_context(_bar(len(unique), progress))
        for start, token_ids in _tokenized(tokenizer, unique, model.config.max_text_tokens):
            for rows in token_batches(token_ids, tokens_per_batch):
                places = [start + row for row in rows]
                encoded[places] = encode([token_ids[row] for row in rows]).float().cpu()
                bar.update(len(rows))
    row_of = {text: row for row, text in enumerate(unique)}
    return encoded[[row_of[text] for text in texts]]


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
    folder = Path(folder)
    look_up = reusable(_load_or_none(folder / EMBEDDINGS), ModelFolder(folder).fingerprint)
    known = [look_up(item_id, text_hash(text)) for item_id, text in texts]
    missing = [row for row, vector in enumerate(known) if vector is None]
    logger.info("%d of %d items have to be encoded", len(missing), len(texts))
    fresh = dict(
        zip(
            missing,
            encode_catalog(model, tokenizer, [texts[row][1] for row in missing]),
            strict=True,
        )
    )
    return torch.stack(
        [fresh[row] if vector is None else vector.float() for row, vector in enumerate(known)]
    )


def _bar(total: int, progress: bool) -> tqdm:
    return tqdm(total=total, unit=" items", desc="embedding", disable=not progress)


def embed_items(
    model_folder: str | Path,
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
    output = Path(output)
    fingerprint = ModelFolder(model_folder).fingerprint
    dtype = torch.float16 if half else torch.float32
    parts = _Parts(output, fingerprint)
    hashes = [text_hash(text) for _, text in texts]
    known = [reusable(source, fingerprint) for source in (_load_or_none(output), parts.merged())]

    def find(row: int) -> Tensor | None:
        vectors = (look_up(texts[row][0], hashes[row]) for look_up in known)
        return next((vector for vector in vectors if vector is not None), None)

    todo = [row for row in range(len(texts)) if find(row) is None]
    logger.info("%d of %d items have to be encoded", len(todo), len(texts))
    if todo:
        model, tokenizer = load_encoder(model_folder, device)
        encode = partial(encode_catalog, model, tokenizer)
        _encode_parts(encode, texts, hashes, todo, parts, dtype=dtype, progress=progress)
        known.append(reusable(parts.merged(), fingerprint))
    found = [vector.to(dtype) for row in range(len(texts)) if (vector := find(row)) is not None]
    vectors = torch.stack(found) if found else torch.empty(0, 1, dtype=dtype)
    result = ItemEmbeddings([item_id for item_id, _ in texts], hashes, vectors, fingerprint)
    result.save(output)
    parts.remove()
    return result


def _encode_parts(
    encode: Callable[..., Tensor],
    texts: Sequence[tuple[str, str]],
    hashes: Sequence[str],
    todo: list[int],
    parts: "_Parts",
    *,
    dtype: torch.dtype,
    progress: bool,
) -> None:
    """Encode the rows of texts in `todo`, shortest first, and keep each finished part."""
    todo = sorted(todo, key=lambda row: len(texts[row][1]))
    with _bar(len(todo), progress) as bar:
        for start in range(0, len(todo), ITEMS_PER_PART):
            rows = todo[start : start + ITEMS_PER_PART]
            done = bar.n + len(rows)
            vectors = encode([texts[r][1] for r in rows], bar=bar)
            bar.update(done - bar.n)  # equal texts were encoded once
            item_ids = [texts[r][0] for r in rows]
            parts.add(item_ids, [hashes[r] for r in rows], vectors.to(dtype))


class _Parts:
    """Finished pieces of a running job, in a folder beside its output."""

    def __init__(self, output: Path, fingerprint: str) -> None:
        self.folder = output.with_name(f"{output.name}.parts")
        self.fingerprint = fingerprint

    def add(self, item_ids: list[str], hashes: list[str], vectors: Tensor) -> None:
        number = len(list(self.folder.glob("*.safetensors"))) if self.folder.is_dir() else 0
        part = ItemEmbeddings(item_ids, hashes, vectors, self.fingerprint)
        part.save(self.folder / f"{number:06d}.safetensors")

    def merged(self) -> ItemEmbeddings | None:
        if not self.folder.is_dir():
            return None
        parts = [_load_or_none(path) for path in sorted(self.folder.glob("*.safetensors"))]
        own = [part for part in parts if part and part.fingerprint == self.fingerprint]
        if not own:
            return None
        return ItemEmbeddings(
            [item_id for part in own for item_id in part.item_ids],
            [value for part in own for value in part.text_hashes],
            torch.cat([part.vectors for part in own]),
            self.fingerprint,
        )

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _load_or_none(path: Path) -> ItemEmbeddings | None:
    if not path.exists():
        return None
    try:
        return ItemEmbeddings.load(path)
    except StaleEmbeddingsError as error:  # it is a cache: make it again
        logger.warning("%s", error)
        return None


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
    try:
        config = ModelFolder(options.model).config
        items = read_items(
            options.items, form=CsvFormat.parse(options.delimiter, options.quote, options.encoding)
        )
        texts = [
            (item_id, item_text(fields, config.text_keys, config.item_prompt))
            for item_id, fields in items.items()
        ]
        output = options.output or options.model / EMBEDDINGS
        device = torch.device("cuda") if torch.cuda.is_available() else CPU
        result = embed_items(options.model, texts, output, device=device, half=not options.fp32)
    except HLLMError as error:
        logger.error("%s", error)
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
