"""Parts of the users, and intervals: by hand and against resampling case by case."""

import math

import numpy as np
import pytest

from hllm.evaluation.report import json_ready
from hllm.evaluation.slices import (
    bootstrap_means,
    compare,
    estimate_mean,
    interval,
    popularity_classes,
    slice_masks,
)
from tests.hllm.evaluation.cases import case

INF = math.inf


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


def test_every_case_has_one_length_and_one_class():
    generator = np.random.default_rng(3)
    cases = [case(range(1, n + 1), int(generator.integers(1, 40))) for n in range(1, 60)]
    masks = slice_masks(cases, generator.integers(0, 3, 40))
    for kind in ("history", "target"):
        parts = [m for name, m in masks.items() if name.startswith(kind) and "repeat" not in name]
        assert (np.sum(parts, axis=0) == 1).all()


def test_of_nobody_every_part_is_empty():
    assert all(
        mask.shape == (0,) and mask.dtype == bool for mask in slice_masks([], np.ones(3)).values()
    )


def test_nothing_seen_in_training_is_cold():
    assert popularity_classes(np.zeros(4)).tolist() == ["cold"] * 4


def test_without_any_spread_there_is_no_interval_to_speak_of():
    estimate = estimate_mean(np.full(20, 0.25))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.25,) * 3)
    assert interval(np.arange(101.0), confidence=0.9) == pytest.approx((5, 95))


def test_zero_against_zero_is_no_ratio():
    difference, ratio = compare(np.zeros(4), np.zeros(4))
    assert difference.value == difference.low == difference.high == 0
    assert math.isnan(ratio.value)
