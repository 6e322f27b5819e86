"""What is measured of a csv pair before a training: fields, lengths of texts and histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hllm.data import read_interactions, read_items
from hllm.errors import DataError
from hllm.text import item_text, tokenize
from hllm.weights.packaged import MINILM, pretrained_folder

# Lengths are measured on so many items, drawn with a fixed seed: tokenising a million takes long.
SAMPLE = 2_000
MAX_FIELD_CHARS = 4_000  # more than any text that a model reads to its end
_SAME_SHARE = 0.9
_WHOLE_TEXT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class FieldFacts:
    """One column of items.csv.

    Attributes:
        num_filled: items with a text.
        num_distinct: different texts among them.
        numbers: share of the texts that are numbers, 0 to 1.
        single_words: share of the texts that hold no white space.
        addresses: share of the texts that begin like an address of the web.
        repeats: an earlier column that has the same text wherever this one has one, or "".
        tokens: (num_sampled,) int, tokens of "name: text" in each sampled item; 0 where empty.
    """

    name: str
    num_filled: int
    num_distinct: int
    numbers: float
    single_words: float
    addresses: float
    repeats: str
    tokens: np.ndarray


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """A csv pair.

    Attributes:
        fields: in the order of the columns.
        num_special_tokens: tokens that the tokenizer adds to every text.
        history_lengths: (num_users,) int, interactions of each user.
    """

    num_items: int
    fields: tuple[FieldFacts, ...]
    num_special_tokens: int
    history_lengths: np.ndarray


def measure(items: Path, interactions: Path) -> DataFacts:
    """Read a csv pair and measure it; tokens are MiniLM's.

    Raises:
        DataError: a file is missing or malformed, or there are no items.
    """
    records = list(read_items(items).values())
    if not records:
        raise DataError(f"{items} holds no items: export them again.")
    lengths = [len(sequence) for sequence in read_interactions(interactions).sequences]
    tokenizer = _tokenizer()
    chosen = np.random.default_rng(0).permutation(len(records))[:SAMPLE]
    sample = [records[row] for row in sorted(chosen)]
    special = len(tokenize(tokenizer, [""], _WHOLE_TEXT)[0])
    names = list(dict.fromkeys(name for record in records for name in record))
    fields: list[FieldFacts] = []
    for name in names:
        texts = [_bounded_text(record, name) for record in sample]
        tokens = [len(ids) - special for ids in tokenize(tokenizer, texts, _WHOLE_TEXT)]
        fields.append(_field(records, name, names[: len(fields)], np.array(tokens)))
    return DataFacts(
        num_items=len(records),
        fields=tuple(fields),
        num_special_tokens=special,
        history_lengths=np.array(lengths),
    )


def _tokenizer() -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415  takes seconds: not for --help

    return AutoTokenizer.from_pretrained(
        pretrained_folder(MINILM), local_files_only=True, trust_remote_code=False
    )


def _bounded_text(record: Mapping[str, Any], name: str) -> str:
    return item_text({name: str(record.get(name, ""))[:MAX_FIELD_CHARS]}, [name], item_prompt="")


def _field(
    records: Sequence[Mapping[str, Any]], name: str, earlier: Sequence[str], tokens: np.ndarray
) -> FieldFacts:
    texts = [str(record[name]) for record in records if record.get(name)]
    count = len(texts)
    return FieldFacts(
        name=name,
        num_filled=count,
        num_distinct=len(set(texts)),
        numbers=sum(map(_is_number, texts)) / count,
        single_words=sum(len(text.split()) == 1 for text in texts) / count,
        addresses=sum(text.startswith(("http://", "https://", "www.")) for text in texts) / count,
        repeats=next((other for other in earlier if _repeats(records, name, other)), ""),
        tokens=tokens,
    )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _repeats(records: Sequence[Mapping[str, Any]], name: str, other: str) -> bool:
    pairs = [(str(r[name]), str(r.get(other, ""))) for r in records if r.get(name)]
    return sum(own == others for own, others in pairs) >= _SAME_SHARE * len(pairs)
