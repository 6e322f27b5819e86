"""Item text: from the fields of an item to the token ids that the Item LLM reads.

Training, evaluation, embedding and serving all come through here, so that an item has one text:
the prompt and ``"{key}: {value}"`` of every non-empty field, in the order of ``text_keys``.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hllm.errors import DataError, did_you_mean

if TYPE_CHECKING:  # importing it takes seconds, which commands without tokens should not need
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

TOKENS_PER_BATCH = 4096  # fills two cores or a small GPU; larger batches only cost memory
DEFAULT_KEYS = ("title", "tag", "tags", "description")  # of the sentence baseline
DEFAULT_PROMPT = "Compress the following sentence into embedding: "


def item_text(
    fields: Mapping[str, Any] | None,
    text_keys: Sequence[str],
    item_prompt: str = DEFAULT_PROMPT,
) -> str:
    """Build the text of one item.

    Args:
        fields: the item's fields; falsy values ("" or, in typed tables, 0 and False) are skipped.
            None stands for an item without any record (and for the padding item).
        text_keys: names of the fields to use, in this order.
        item_prompt: put in front of every item that has a record, even an empty one.

    Returns:
        The text; empty, without the prompt, for an item without a record.
    """
    if fields is None:
        # As in the reference, which gives such items (and padding) one common embedding.
        return ""
    parts = [f"{key}: {fields[key]}" for key in text_keys if fields.get(key)]
    return item_prompt + "".join(parts)  # no separator, as in the reference


def sentence_text(fields: Mapping[str, Any] | None, text_keys: Sequence[str]) -> str:
    """Text of an item for a sentence encoder: the fields' contents without names or prompt."""
    if fields is None:
        return ""
    # Such an encoder was trained on natural sentences: names of fields would weaken the baseline.
    return ". ".join(str(fields[key]) for key in text_keys if fields.get(key))


def check_text_keys(
    records: Iterable[Mapping[str, Any] | None],
    text_keys: Sequence[str],
    *,
    source: str | Path,
    every: bool = True,
) -> None:
    """Make sure that items have the fields that will be read; warn of those that are mostly empty.

    Args:
        records: fields of every item; None for an item without a record.
        text_keys: the fields.
        source: the file of the items, for messages.
        every: each of the fields must exist, for keys that somebody has typed. False: one of them
            must, for the keys of a model that meets another catalogue.

    Raises:
        DataError: there are no items, no fields to read, or a field that no item has.
    """
    records = list(records)
    filled = Counter(
        name for fields in records if fields for name, value in fields.items() if value
    )
    if not records:
        raise DataError(f"{source} holds no items: export them again.")
    if not text_keys:
        raise DataError(
            f"{source}: no text key is given, so that all items would have the same text: the "
            f"columns are {', '.join(filled) or 'all empty'}."
        )
    unknown = [key for key in text_keys if not filled[key]]
    if unknown and (every or len(unknown) == len(text_keys)):
        raise DataError(
            f"{source}: no column {', '.join(map(repr, unknown))} with any text"
            f"{did_you_mean(unknown[0], filled)}: the columns are "
            f"{', '.join(filled) or 'all empty'}."
        )
    for key in text_keys:
        empty = len(records) - filled[key]
        if 2 * empty > len(records):
            logger.warning(
                "%s: %r is empty for %s of %s items", source, key, f"{empty:,}", f"{len(records):,}"
            )


def text_hash(text: str) -> str:
    """First 16 hex digits of the SHA-256 of a text: tells whether an embedding is out of date."""
    # Halves of surrogate pairs occur in scraped texts, and plain UTF-8 refuses them.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], max_text_tokens: int
) -> list[list[int]]:
    """Turn item texts into token ids.

    The ids contain the tokenizer's special tokens and are cut to the first ``max_text_tokens``: a
    BOS or [CLS] in front counts and is kept; an EOS or [SEP] at the end of a long text is lost. The
    [ITEM] token is not among them: it is not a word but a learned vector that the model appends.

    Args:
        tokenizer: the Item LLM's own tokenizer.
        texts: item texts.
        max_text_tokens: most ids an item may have, without the [ITEM] token.

    Returns:
        One list of ids per text; it may be empty (an empty text and a tokenizer without BOS).
    """
    texts = list(texts)
    if not texts:
        return []
    # verbose=False: the texts are cut here, so its warning of long texts would mislead.
    encoded = tokenizer(texts, add_special_tokens=True, verbose=False)["input_ids"]
    return [ids[:max_text_tokens] for ids in encoded]


def token_batches(
    token_ids: Sequence[Sequence[int]], budget: int = TOKENS_PER_BATCH
) -> Iterator[list[int]]:
    """Group items of similar length: rows into token_ids, at most `budget` padded tokens each."""
    batch: list[int] = []
    for row in sorted(range(len(token_ids)), key=lambda row: len(token_ids[row])):
        # In order of length, so that this item is the longest; + 1 for its [ITEM] token.
        if batch and (len(batch) + 1) * (len(token_ids[row]) + 1) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
