"""Options of a training chosen from what was measured of the data, each with its reason.

A pure function: equal facts, equal options. The bounds are those of presets that were measured
(assets/presets); nothing here is searched for by training.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hllm.errors import DataError
from hllm.training.data_facts import DataFacts, FieldFacts

MIN_FILLED = 0.1
KIND_SHARE = (
    0.95  # so many of a column's texts are numbers, or addresses, if it is a column of them
)
PERCENTILE = 95
MAX_TEXT_TOKENS = 128  # what MiniLM was trained on; time grows with it
MIN_TEXT_TOKENS = 16
MIN_HISTORY, MAX_HISTORY = 10, 50  # the page keeps 50 items
MIN_NEGATIVES, MAX_NEGATIVES = 16, 4_096
MIN_BATCH, MAX_BATCH = 32, 256
STEPS_PER_EPOCH = 50  # as many at least, if the data have enough histories for the smallest batch
STEPS_PER_RUN = 2_000
MIN_EPOCHS, MAX_EPOCHS = 2, 30
MAX_STEPS_UNSEEN = 1_000  # between two validations


@dataclass(frozen=True)
class Choice:
    """Options for python -m hllm.train --config, and a sentence for every one of them."""

    options: dict[str, Any]
    reasons: list[str]


def choose_options(facts: DataFacts) -> Choice:
    """Choose what a model reads and how it is trained.

    Raises:
        DataError: no column holds a text that is worth reading.
    """
    keys, reasons = _text_keys(facts)
    options: dict[str, Any] = {"text_keys": keys, "item_prompt": ""}
    reasons.append(f"text_keys: {', '.join(keys)}; short ones first, so that a cut hits the last")
    for part in (_text_length(facts, keys), _history(facts), _negatives(facts)):
        options |= part.options
        reasons += part.reasons
    loop = _loop(facts, options["max_history"])
    frozen = (
        "item_training: frozen, the Item LLM reads every text once, which a laptop can do in "
        "minutes; lora on a GPU can be better"
    )
    options |= {"item_training": "frozen"} | loop.options
    return Choice(options, [*reasons, frozen, *loop.reasons])


def _text_keys(facts: DataFacts) -> tuple[list[str], list[str]]:
    kept: list[FieldFacts] = []
    reasons = []
    for field in facts.fields:
        share = field.num_filled / facts.num_items
        described = f"{field.name}: filled for {_percent(share)} of items"
        problem = _problem(field, share, {other.name for other in kept})
        if problem:
            reasons.append(f"{described}{problem}: left out")
            continue
        kept.append(field)
        used = field.tokens[field.tokens > 0]
        median, long = (int(np.percentile(used, p)) if len(used) else 0 for p in (50, PERCENTILE))
        reasons.append(f"{described}, {median} tokens ({PERCENTILE}th percentile {long}): read")
    if not kept:
        raise DataError(
            f"No column of the items holds a text that is worth reading ({'; '.join(reasons)}): "
            "give one with text, or options of your own with text_keys (--preset FILE)."
        )
    # sorted() is stable: title, creator and so on keep their order where lengths are equal.
    short_first = sorted(kept, key=lambda field: (field.name != "title", field.tokens.mean()))
    return [field.name for field in short_first], reasons


def _problem(field: FieldFacts, share: float, kept: set[str]) -> str:
    """Why a column is not read, "" if it is."""
    if share < MIN_FILLED:
        return " only"
    if field.repeats in kept:
        return f", the same texts as {field.repeats}"
    if field.name == "title":
        return ""
    if field.num_distinct == 1:
        return ", the same text for all"
    if field.numbers >= KIND_SHARE:
        return ", numbers"
    if field.addresses >= KIND_SHARE:
        return ", addresses"
    if field.single_words >= KIND_SHARE and field.num_distinct == field.num_filled:
        return ", another word for every item (an id)"
    return ""


def _text_length(facts: DataFacts, keys: list[str]) -> Choice:
    fields = [field for field in facts.fields if field.name in keys]
    lengths = np.sum([field.tokens for field in fields], axis=0) + facts.num_special_tokens
    long = int(np.percentile(lengths, PERCENTILE))
    value = min(max(_up_to_multiple(long, 8), MIN_TEXT_TOKENS), MAX_TEXT_TOKENS)
    cut = float(np.mean(lengths > value))
    return Choice(
        {"max_text_tokens": value},
        [
            f"max_text_tokens: {value}, {PERCENTILE}% of the texts have up to {long} tokens; "
            f"{_percent(cut)} are cut (at most {MAX_TEXT_TOKENS}, as MiniLM was trained)"
        ],
    )


def _history(facts: DataFacts) -> Choice:
    # What a model reads when the last item is to be found.
    long = int(np.percentile(np.maximum(facts.history_lengths - 1, 0), PERCENTILE))
    value = min(max(_up_to_multiple(long, 5), MIN_HISTORY), MAX_HISTORY)
    return Choice(
        {"max_history": value},
        [
            f"max_history: {value}, {PERCENTILE}% of the histories have up to {long} items "
            f"(at most {MAX_HISTORY}, as on the page)"
        ],
    )


def _negatives(facts: DataFacts) -> Choice:
    value = min(max(_power_of_two(facts.num_items), MIN_NEGATIVES), MAX_NEGATIVES)
    return Choice(
        {"num_negatives": value},
        [f"num_negatives: {value}, of {facts.num_items:,} items (at most {MAX_NEGATIVES:,})"],
    )


def _loop(facts: DataFacts, max_history: int) -> Choice:
    # As hllm.data.train_chunks cuts them; two items are the least that has a target.
    lengths = facts.history_lengths - 2
    lengths = lengths[lengths >= 2]
    sequences = max(int(np.maximum(lengths // (max_history + 1), 1).sum()), 1)
    batch = min(max(_power_of_two(sequences // STEPS_PER_EPOCH), MIN_BATCH), MAX_BATCH)
    steps = -(-sequences // batch)
    epochs = min(max(-(-STEPS_PER_RUN // steps), MIN_EPOCHS), MAX_EPOCHS)
    patience = 3 if steps >= STEPS_PER_EPOCH else 5
    every = MAX_STEPS_UNSEEN if steps > MAX_STEPS_UNSEEN else 0
    options = {
        "batch_size": batch,
        "epochs": epochs,
        "patience": patience,
        "eval_every": every,
    }
    often = f"every {every:,} steps" if every else "after every epoch"
    return Choice(
        options,
        [
            f"batch_size: {batch}, of {sequences:,} training sequences: {steps:,} steps an epoch",
            f"epochs: {epochs}, {epochs * steps:,} steps at most; validated {often}, stops after "
            f"{patience} validations without a better ndcg@10 (patience)",
        ],
    )


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "less than 1%"
    return f"{int(100 * share)}%"  # down: 99.7% is not all


def _up_to_multiple(value: int, of: int) -> int:
    return -(-value // of) * of


def _power_of_two(value: int) -> int:
    """The largest that is not above the value, 1 for anything below 2."""
    return 1 << (max(value, 1).bit_length() - 1)
