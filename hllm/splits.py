"""How a data set is split: what training may see, and which targets are to be found.

Which split it is say the options (hllm.split_options); a model is measured by the one that it was
trained with (hllm.evaluation.trained_split).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hllm.data import (
    EvalCase,
    Interactions,
    Parts,
    eval_cases,
    group_by_user,
    make_interactions,
    row_order,
    training_parts,
)
from hllm.errors import DataError
from hllm.rows import read_interaction_rows
from hllm.split_files import read_split_files
from hllm.split_options import DEFAULT_SPLIT, FILES, TEMPORAL, SplitOptions, number_of
from hllm.tables import DEFAULT_FORMAT, CsvFormat
from hllm.temporal import clock_unit, moments_of, readable, temporal_parts


def read_split(
    path: str | Path,
    split: SplitOptions = DEFAULT_SPLIT,
    *,
    others: Sequence[str | Path] = (),
    form: CsvFormat = DEFAULT_FORMAT,
    extra_item_ids: Sequence[str] = (),
    reference_compatible: bool = False,
) -> Interactions:
    """Read interactions and split them.

    Args:
        path: the interactions; of a published split, those for training.
        split: how.
        others: the files for validation and test of a published split.
        form: see hllm.data.read_interactions, here and below.
        extra_item_ids: see there.
        reference_compatible: see there.

    Raises:
        DataError: the file is malformed, or cannot be split so.
    """
    if split.split == FILES:
        if reference_compatible:
            raise DataError("--split files: the reference has no such split; leave out one option.")
        valid, test = others
        interactions = read_split_files(path, valid, test, form, extra_item_ids)
        return hold_out(interactions, split) if split.held_out_items else interactions
    rows = read_interaction_rows(path, form, by_position=reference_compatible)
    order = row_order(rows, reference_compatible=reference_compatible)
    interactions = make_interactions(rows, order, extra_item_ids)
    if split.split == TEMPORAL:
        unit = clock_unit(path, rows.timestamps)
        moments, times = moments_of(rows.timestamps)
        _, by_user = group_by_user(np.asarray(rows.user_codes)[order], moments[order])
        parts = temporal_parts(interactions, by_user, lambda n: readable(times[n], unit), split)
        interactions = replace(interactions, parts=parts)
    if split.held_out_items:
        interactions = hold_out(interactions, split)
    return interactions


def is_held_out(item_id: str, share: float, seed: int) -> bool:
    """Whether an item is held out.

    Depends on nothing but the id, so that another order of the file, another version of it, or a
    part of it can never turn an item that was trained on into a held-out one.
    """
    return number_of(item_id, seed) < share * 2**64


def hold_out(interactions: Interactions, split: SplitOptions) -> Interactions:
    """Take a share of the items out of what training may see; cases keep their whole histories.

    Args:
        interactions: split already, if not by leave-one-out.
        split: held_out_items, split_seed.

    Returns:
        The same interactions, in which items that somebody has touched are numbered before the
        held-out ones among them, and held_out tells which these are.

    Raises:
        DataError: no item with interactions is held out, or every one.
    """
    share, seed = split.held_out_items, split.split_seed
    drawn = [is_held_out(item_id, share, seed) for item_id in interactions.item_ids[1:]]
    held = np.array([False, *drawn])
    touched = np.zeros(len(held), dtype=bool)
    touched[np.concatenate(interactions.sequences)] = True
    if not held[touched].any() or held[touched].all():
        raise DataError(
            f"--held_out_items {share}: {int(held[touched].sum())} of the {int(touched.sum()):,} "
            "items with interactions would be held out; give another share."
        )
    # A stable sort: padding, kept, held out, untouched, each in the order they had.
    place = np.where(touched, 1 + held, 3)
    place[0] = 0
    order = np.argsort(place, kind="stable")
    numbers = np.argsort(order)  # old -> new
    held = held[order]
    return Interactions(
        item_ids=[interactions.item_ids[old] for old in order],
        user_ids=interactions.user_ids,
        user_indices=interactions.user_indices,
        sequences=[numbers[sequence] for sequence in interactions.sequences],
        held_out=held,
        parts=replace(
            interactions.parts or Parts([], {}),
            training=_nonempty(
                part[~held[part]] for part in map(numbers.__getitem__, training_parts(interactions))
            ),
            cases={
                phase: [
                    EvalCase(case.user, numbers[case.history], int(numbers[case.target]))
                    for case in eval_cases(interactions, phase)
                ]
                for phase in ("valid", "test")
            },
        ),
    )


def training_view(interactions: Interactions) -> Interactions:
    """What training may know: without held-out items, their numbers and the test cases.

    Validation chooses the model, so that it sees no held-out item either: as a target it is left
    out, from a history it is taken out.
    """
    held = interactions.held_out
    if held is None:
        return interactions
    first = int(np.flatnonzero(held)[0])  # kept items have the smaller numbers

    def kept(sequence: np.ndarray) -> np.ndarray:
        return sequence[sequence < first]

    valid = [
        EvalCase(case.user, kept(case.history), case.target)
        for case in eval_cases(interactions, "valid")
        if case.target < first and len(kept(case.history))
    ]
    return Interactions(
        item_ids=interactions.item_ids[:first],
        user_ids=interactions.user_ids,
        user_indices=interactions.user_indices,
        sequences=list(map(kept, interactions.sequences)),
        parts=Parts(training_parts(interactions), {"valid": valid}),
    )


def _nonempty(sequences: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [sequence for sequence in sequences if len(sequence)]
