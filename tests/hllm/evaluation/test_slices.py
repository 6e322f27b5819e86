import math

import numpy as np
import pytest

from hllm.data import EvalCase
from hllm.evaluation.report import json_ready
from hllm.evaluation.slices import (
    bootstrap_means,
    compare,
    estimate_mean,
    interval,
    popularity_classes,
    slice_masks,
)

INF = math.inf


def case(history, target, user=0):
    return EvalCase(user, np.array(history, dtype=np.int64), target)


def test_popularity_classes_by_hand():
    counts = np.array([0, 100, 50, 50, 50, 9, 8, 7, 3, 3, 3, 0])
    classes = popularity_classes(counts).tolist()
    # 10 items occur; head: place 0; middle: places 1 to 4; tail: places 5 to 9
    assert classes == ["cold", "head", *["middle"] * 4, *["tail"] * 5, "cold"]


def test_items_of_equal_count_are_in_the_same_class():
    assert set(popularity_classes(np.array([0, *[3] * 20])).tolist()) == {"cold", "head"}


def test_slices():
    cases = [
        case(range(1, n + 1), target) for n, target in ((1, 1), (5, 9), (6, 9), (20, 9), (21, 2))
    ]
    masks = slice_masks(cases, np.array([0, 0, 4, *[1] * 19]))
    assert masks["history 1-5"].tolist() == [True, True, False, False, False]
    assert masks["history 6-10"].tolist() == [False, False, True, False, False]
    assert masks["history 11-20"].tolist() == [False, False, False, True, False]
    assert masks["history 21+"].tolist() == [False, False, False, False, True]
    assert masks["target cold"].tolist() == [True, False, False, False, False]
    assert masks["target head"].tolist() == [False, True, True, True, True]
    assert masks["target repeated"].tolist() == [True, False, False, True, True]


def test_bootstrap_agrees_with_resampling_case_by_case():
    generator = np.random.default_rng(0)
    values = (generator.random(400) < 0.1).astype(float)
    quick = bootstrap_means(values[:, None], num_resamples=4000)[:, 0]
    slow = values[generator.integers(0, 400, (4000, 400))].mean(axis=1)
    assert quick.mean() == pytest.approx(slow.mean(), abs=0.002)
    assert quick.std() == pytest.approx(slow.std(), rel=0.1)
    assert interval(quick) == pytest.approx(interval(slow), abs=0.006)


def test_bootstrap_is_seeded_and_paired():
    values = np.random.default_rng(1).random(50)
    assert estimate_mean(values) == estimate_mean(values)
    difference, ratio = compare(values + 0.25, values)
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.25,) * 3)
    assert ratio.low < ratio.value < ratio.high


def test_nothing_to_compare_with():
    assert math.isnan(estimate_mean(np.zeros(0)).value)
    difference, ratio = compare(np.ones(5), np.zeros(5))
    assert difference.value == 1
    assert ratio.value == INF
    assert json_ready(ratio.value) is None
