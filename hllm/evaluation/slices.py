"""Parts of the test users, and how far chance could move a mean: slices and bootstrap intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hllm.data import EvalCase

HISTORY_BOUNDS = ((1, 5), (6, 10), (11, 20), (21, None))
HEAD_SHARE, MIDDLE_SHARE = 0.1, 0.5
NUM_RESAMPLES = 1000
CONFIDENCE = 0.95
HELD_OUT = "target held out"


def popularity_classes(training_counts: np.ndarray) -> np.ndarray:
    """Class of each item by how often it occurs in training.

    An item's place is the number of items that occur more often; N items occur at all. head: place
    < 10% of N; middle: place < 50% of N; tail: the others; cold: never occurs.

    Args:
        training_counts: (num_items,) hllm.data.popularity.

    Returns:
        (num_items,) of "head", "middle", "tail", "cold".
    """
    seen = training_counts[training_counts > 0]
    ascending = np.sort(seen)
    # side="right": items of equal count have equal places, and so the same class.
    place = len(seen) - np.searchsorted(ascending, training_counts, side="right")
    conditions = [  # the first that holds counts
        training_counts <= 0,
        place < HEAD_SHARE * len(seen),
        place < MIDDLE_SHARE * len(seen),
    ]
    return np.select(conditions, ["cold", "head", "middle"], default="tail")


def slice_masks(
    cases: Sequence[EvalCase], training_counts: np.ndarray, held_out: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Named parts of the cases.

    Args:
        cases: n cases.
        training_counts: (num_items,) hllm.data.popularity.
        held_out: (num_items,) bool; None: there is no such part.

    Returns:
        Name -> (n,) bool: by length of the untruncated history, by popularity class of the target,
        and targets that repeat an item of the history. "target cold": the item was never seen in
        training, so that ID models can know nothing of it; "target held out": on purpose.
    """
    lengths = np.array([len(case.history) for case in cases], dtype=np.int64)
    targets = np.array([case.target for case in cases], dtype=np.int64)
    masks = {}
    for low, high in HISTORY_BOUNDS:
        name = f"history {low}-{high}" if high else f"history {low}+"
        masks[name] = (lengths >= low) & (lengths <= (high or np.inf))
    classes = popularity_classes(training_counts)[targets]
    masks |= {f"target {name}": classes == name for name in ("head", "middle", "tail", "cold")}
    if held_out is not None:
        masks[HELD_OUT] = held_out[targets]
    repeated = [bool(np.isin(case.target, case.history)) for case in cases]
    return masks | {"target repeated": np.array(repeated, dtype=bool)}


def bootstrap_means(
    values: np.ndarray, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Means over resampled cases.

    Args:
        values: (n, m) m values of each case; a resample takes a case's values together (paired).
        num_resamples: R.
        seed: of the random numbers.

    Returns:
        (R, m) means.
    """
    # How often each distinct row is drawn is multinomial: the same distribution as drawing n cases
    # with replacement, without R * n random numbers.
    distinct, counts = np.unique(values, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(
        len(values), counts / len(values), size=num_resamples
    )
    return draws @ distinct / len(values)


def interval(samples: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Percentile interval of (R,) bootstrap results."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def estimate_mean(values: np.ndarray, *, seed: int = 0) -> Estimate:
    """Mean of (n,) values; nan where there are none."""
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    samples = bootstrap_means(values[:, None], seed=seed)[:, 0]
    return Estimate(float(values.mean()), *interval(samples))


def compare(
    values: np.ndarray, baseline: np.ndarray, *, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """Paired difference and ratio of two models' means on the same cases.

    Args:
        values: (n,) one metric of the first model.
        baseline: (n,) of the second.
        seed: of the random numbers.

    Returns:
        mean(values) - mean(baseline) and mean(values) / mean(baseline); a ratio to 0 is inf, 0 / 0
        nan.
    """
    # Both models on the same resampled users: what is hard for both cancels out.
    samples = bootstrap_means(np.stack([values, baseline], axis=1), seed=seed)  # (R, 2)
    means = np.array([values.mean(), baseline.mean()])
    difference = Estimate(float(means[0] - means[1]), *interval(samples[:, 0] - samples[:, 1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ratios = means[0] / means[1], samples[:, 0] / samples[:, 1]
    # A resample in which the baseline never hits has no ratio, and so there is no interval.
    if not np.isfinite(ratios).all():
        return difference, Estimate(float(value), float("nan"), float("nan"))
    return difference, Estimate(float(value), *interval(ratios))
