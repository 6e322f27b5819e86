"""The global temporal split: one moment divides what training sees from what is evaluated.

Source: Gusak et al. 2025, "Time to Split" (arXiv 2507.16289), with its validation by time ("global
temporal"): the training period is divided once more, by the same rule.
Differs from it: nothing is filtered from the data, users and items that training has not seen stay
in the test and are counted, and the model is not trained again with the validation period.

A moment is the number of a distinct time, in order of time: exact, whatever the unit.
"""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hllm.data import EvalCase, Interactions, Parts
from hllm.errors import DataError
from hllm.split_options import SplitOptions, number_of
from hllm.times import Timestamp, time_order

_FIRST, _LAST = 631_152_000, 4_102_444_800  # 1990 and 2100, seconds since 1970
_UNITS = (1, 10**3, 10**6, 10**9)  # a second's parts: seconds, milliseconds, micro-, nanoseconds
MIN_TRAINED = 2  # interactions of a user in training: an input and a target


def clock_unit(path: str | Path, timestamps: Sequence[Timestamp]) -> int:
    """How many units of these times are a second.

    Raises:
        DataError: they are no clock times, which alone can be compared between users.
    """
    first, last = min(timestamps), max(timestamps)
    for unit in _UNITS:
        if _FIRST * unit <= first and last <= _LAST * unit:
            return unit
    raise DataError(
        f"{path}: --split temporal needs clock times, and these go from {first} to {last}, which "
        "are not all moments since 1990 in one unit (seconds, milliseconds, ... since 1970, or ISO "
        "dates); positions within a history, such as 0, 1, 2, do not say which of two users was "
        "earlier: use --split leave-one-out, or give the times."
    )


def moments_of(timestamps: Sequence[Timestamp]) -> tuple[np.ndarray, list[Timestamp]]:
    """(n,) int64 moment of each time, and the time of each moment."""
    order = time_order(timestamps)
    times: list[Timestamp] = []
    moments = np.empty(len(order), dtype=np.int64)
    for row in order.tolist():
        if not times or timestamps[row] != times[-1]:
            times.append(timestamps[row])
        moments[row] = len(times) - 1
    return moments, times


def cut_moment(moments: Sequence[np.ndarray], quantile: float) -> int:
    """The last moment before the cut: so many of the interactions are not later.

    As the paper's code, which compares with pandas' interpolated quantile: what lies at or before
    it are just the interactions up to the one at its lower place.
    """
    joined = np.sort(np.concatenate(moments))
    return int(joined[int(quantile * (len(joined) - 1))])


def temporal_parts(
    interactions: Interactions,
    moments: Sequence[np.ndarray],
    name_of: Callable[[int], str],
    split: SplitOptions,
) -> Parts:
    """Split by time.

    Args:
        interactions: of all users.
        moments: of each sequence, as long as that.
        name_of: a moment's time, for people.
        split: split_quantile, split_target, split_seed.

    Returns:
        Training: of users with at least two interactions up to the validation's cut. Cases: of all
        users with a later interaction that has any before it; one each.

    Raises:
        DataError: a part would be empty.
    """
    pairs = list(zip(interactions.sequences, moments, strict=True))
    test_cut = cut_moment(moments, split.split_quantile)
    before = [(items[when <= test_cut], when[when <= test_cut]) for items, when in pairs]
    known = [when for _, when in before if len(when) >= MIN_TRAINED]
    if not known:
        raise DataError(_empty(split, "no user has two interactions before the cut"))
    valid_cut = cut_moment(known, split.split_quantile)
    trained = [items[when <= valid_cut] for items, when in before]
    is_new = np.array([len(items) < MIN_TRAINED for items in trained])
    training = [items for items in trained if len(items) >= MIN_TRAINED]
    # As in the paper's code, whoever has a single interaction before the test is in neither part.
    in_period = [(i, w) if len(w) >= MIN_TRAINED else (i[:0], w[:0]) for i, w in before]
    cases = {
        "valid": _cases(in_period, valid_cut, interactions.user_ids, split),
        "test": _cases(pairs, test_cut, interactions.user_ids, split),
    }
    if not (training and cases["valid"] and cases["test"]):
        raise DataError(_empty(split, "training, validation or test would be empty"))
    seen = np.unique(np.concatenate(training))
    new_users = int(is_new[[case.user for case in cases["test"]]].sum())
    new_items = int((~np.isin([case.target for case in cases["test"]], seen)).sum())
    description = (
        f"Global temporal split at {split.split_quantile} of the interactions, "
        f"{split.split_target} target: training until {name_of(valid_cut)} ({len(training):,} "
        f"users), validation until {name_of(test_cut)} ({len(cases['valid']):,}), then test "
        f"({len(cases['test']):,} users, {new_users:,} of them new to training; {new_items:,} "
        "targets are items new to training)"
    )
    return Parts(training, cases, is_new, description)


def _empty(split: SplitOptions, what: str) -> str:
    return f"--split temporal --split_quantile {split.split_quantile}: {what}; give another one."


def _cases(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    cut: int,
    user_ids: Sequence[str],
    split: SplitOptions,
) -> list[EvalCase]:
    """One case of every user who has something after the cut, and anything before that."""
    cases = []
    for user, (items, when) in enumerate(pairs):
        # The first interaction of all has no history to be found from.
        first = max(int((when <= cut).sum()), 1)
        if first >= len(items):
            continue
        place = len(items) - 1
        if split.split_target == "random":  # by the user's id: the same in any order of the file
            place = first + number_of(user_ids[user], split.split_seed) % (len(items) - first)
        cases.append(EvalCase(user, items[:place], int(items[place])))
    return cases


def readable(time: Timestamp, unit: int) -> str:
    """A clock time in UTC, to the second.

    >>> readable(1_500_000_000_000, 1000)
    '2017-07-14 02:40:00'
    """
    moment = datetime.datetime.fromtimestamp(int(time) // unit, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
