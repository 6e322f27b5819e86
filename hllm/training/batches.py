"""Training batches: chunks of histories grouped by length, with sampled negatives.

Everything is a function of (seed, epoch, step), so that a run which is resumed sees exactly the
batches that an uninterrupted run would have seen, and every epoch draws new negatives (the
reference repeats the same ones in every epoch).
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hllm.data import EvalCase, Interactions, eval_cases, train_chunks, training_parts
from hllm.errors import DataError
from hllm.evaluation.sample import sample_cases
from hllm.splits import read_split, training_view
from hllm.training.options import TrainOptions

logger = logging.getLogger(__name__)
PAD_INDEX = 0


@dataclass(frozen=True)
class TrainBatch:
    """One step's data.

    Attributes:
        items: (B, S + 1) item indices, oldest first, padded on the right with 0. Inputs are columns
            0..S-1, targets columns 1..S.
        mask: (B, S) True where the target is an item.
        negatives: (M,) item indices shared by all positions, or (P, M): one row for each of the P
            True places of the mask, in row-major order.
    """

    items: Tensor
    mask: Tensor
    negatives: Tensor

    def to(self, device: torch.device) -> "TrainBatch":
        """The same batch on a device."""
        return TrainBatch(self.items.to(device), self.mask.to(device), self.negatives.to(device))


def batch_rows(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Group sequences of about equal length into batches, in random order.

    Args:
        lengths: (num_chunks,) length of each training chunk.
        batch_size: chunks per batch; the last batch may be smaller.
        seed: of the run.
        epoch: 0-based; every epoch groups anew.

    Returns:
        Row numbers of each batch; every row occurs once.
    """
    rng = np.random.default_rng((seed, epoch))
    # Similar lengths together, or a batch would be mostly padding. The noise mixes equal lengths,
    # and a little their neighbours, so that no epoch repeats another one's batches.
    order = np.argsort(lengths + rng.uniform(0, 2, len(lengths)), kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    rng.shuffle(batches)  # else every epoch would go from the short histories to the long ones
    return batches


def make_batch(
    chunks: Sequence[np.ndarray],
    drawable: np.ndarray,
    num_negatives: int,
    *,
    seed: Sequence[int],
    per_position: bool = False,
) -> TrainBatch:
    """Pad chunks and draw negatives.

    Args:
        chunks: B arrays of item indices.
        drawable: item indices to draw from, each once.
        num_negatives: M, drawn uniformly with replacement; those equal to a target are dropped by
            the loss, position by position.
        seed: numbers that name this step, e.g. (seed, epoch, step, rank).
        per_position: draw M for every position instead of M in all.
    """
    items = _padded(chunks)
    mask = items[:, 1:] != PAD_INDEX
    size = (int(mask.sum()), num_negatives) if per_position else num_negatives
    # A generator of its own, so that nothing else that draws random numbers changes what a resumed
    # run sees.
    drawn = np.random.default_rng(tuple(seed)).integers(0, len(drawable), size)
    return TrainBatch(items, mask, torch.from_numpy(drawable[drawn]))


def make_reference_batch(
    chunks: Sequence[np.ndarray],
    num_items: int,
    per_sequence: int | None,
    *,
    max_history: int,
    seed: Sequence[int],
) -> TrainBatch:
    """Pad chunks and draw each sequence's negatives as the reference does.

    The same stream of random numbers gives the same negatives.

    Args:
        chunks: B arrays of item indices, of at most max_history + 1.
        num_items: rows of the embedding table, padding included.
        per_sequence: K, or None for max_history + 1; the B * K are shared by all positions.
        max_history: L.
        seed: numbers that name this step.
    """
    rng = random.Random(repr(tuple(seed)))
    samples = [
        reference_sample(rng, chunk.tolist(), num_items, max_history, per_sequence)
        for chunk in chunks
    ]
    # The items that the reference pads with are drawn to keep the order of the random numbers, and
    # dropped: nothing in the loss depends on them.
    items = _padded(chunks)
    negatives = torch.tensor([item for _, drawn, _ in samples for item in drawn])
    return TrainBatch(items, items[:, 1:] != PAD_INDEX, negatives)


def _padded(chunks: Sequence[np.ndarray]) -> Tensor:
    width = max(len(chunk) for chunk in chunks)
    # At least one column of inputs and one of targets, even if all chunks hold a single item.
    items = np.full((len(chunks), max(width, 2)), PAD_INDEX, dtype=np.int64)
    for row, chunk in enumerate(chunks):
        items[row, : len(chunk)] = chunk
    return torch.from_numpy(items)


def reference_sample(
    rng: random.Random,
    sequence: Sequence[int],
    num_items: int,
    max_history: int,
    num_negatives: int | None = None,
) -> tuple[list[int], list[int], list[int]]:
    """One training sample exactly as the reference draws it (reference_compatible runs only).

    Args:
        rng: its stream of numbers is consumed in the reference's order.
        sequence: 1 to max_history + 1 item indices.
        num_items: rows of the embedding table, padding included.
        max_history: L.
        num_negatives: K per sequence, or None for L + 1.

    Returns:
        items (L + 1) left-padded with random items, negatives (K), mask (L) of the real targets.
    """
    size = max_history + 1

    def draw(avoid: set[int]) -> int:
        item = rng.randint(1, num_items - 1)
        while item in avoid:
            item = rng.randint(1, num_items - 1)
        return item

    own = set(sequence)
    negatives = [draw(own) for _ in range(len(sequence) - 1)]
    padding = [draw(own) for _ in range(size - len(sequence))]
    if num_negatives is not None:
        negatives = [rng.randint(1, num_items - 1) for _ in range(num_negatives)]
    else:
        drawn = set(negatives)  # the padding may hit the user's own items, as the reference's does
        negatives = ([draw(drawn) for _ in range(size - len(negatives))] + negatives)[-size:]
    valid = min(len(sequence) - 1, max_history)
    mask = [0] * (max_history - valid) + [1] * valid
    return (padding + list(sequence))[-size:], negatives, mask


def read_training_data(options: TrainOptions) -> Interactions:
    """The interactions as training may see them.

    Raises:
        DataError: the file is malformed, or cannot be split as the options say.
    """
    interactions = read_split(
        options.interactions,
        options,
        others=(options.valid_interactions, options.test_interactions),
        form=options.csv_format,
        reference_compatible=options.reference_compatible,
    )
    if interactions.parts and interactions.parts.description:
        logger.info("%s", interactions.parts.description)
    return training_view(interactions)


def training_chunks(
    interactions: Interactions, max_history: int, options: TrainOptions
) -> list[np.ndarray]:
    """The training sequences of all users.

    Args:
        interactions: of the data set.
        max_history: most items the user model reads.
        options: data_split, reference_compatible.

    Returns:
        Item indices, oldest first, at most max_history + 1 each.

    Raises:
        DataError: nobody has a history that can be trained on.
    """
    # A single item has no target; the reference still draws negatives for it.
    shortest = 1 if options.reference_compatible else 2
    chunks = [
        chunk
        for part in training_parts(interactions)
        for chunk in train_chunks(part, max_history, data_split=options.data_split)
        if len(chunk) >= shortest
    ]
    if not any(len(chunk) > 1 for chunk in chunks):
        raise DataError(
            "No user has the four interactions that training needs (two of them are held out): "
            "give more interactions."
        )
    return chunks


def validation_cases(interactions: Interactions, options: TrainOptions) -> list[EvalCase]:
    """The cases to validate on: the same users every time, else their choice would decide.

    Raises:
        DataError: there are none.
    """
    cases = sample_cases(eval_cases(interactions, "valid"), options.eval_users, options.seed)
    if not cases:
        raise DataError(f"--eval_users {options.eval_users}: nobody to validate on; 1 at least.")
    return cases
