"""Ranks among all items: candidates, ties, order of the cases; AUC by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hllm.errors import CheckpointError
from hllm.evaluation.ranking import mask_seen, rank_cases, sampled_auc, tie_permutation
from tests.hllm.evaluation.cases import Fixed, case

INF = math.inf


def rank(scores, *cases, **options):
    return rank_cases(Fixed(scores), cases, progress=False, **options).tolist()


def test_history_and_padding_are_no_candidates():
    scores = [9.0, 0.9, 0.8, 0.7, 0.6]
    assert rank(scores, case([1], 3), case([1, 2], 3), case([4], 1)) == [2, 1, 1]


def test_whole_history_is_masked_not_only_what_the_model_reads():
    scores = [0.0, *np.linspace(1, 0.1, 60)]
    assert rank(scores, case(list(range(1, 60)), 60)) == [1]


def test_repeated_target_is_findable_unless_as_in_the_reference():
    scores, repeated = [0.0, 0.9, 0.8, 0.7], case([2, 1, 2], 2)
    assert rank(scores, repeated) == [1]
    assert rank(scores, repeated, reference_compatible=True) == [INF]


def test_masking_leaves_the_models_scores_alone():
    scores = torch.ones(1, 4)
    masked = mask_seen(scores, [case([1, 3], 2)])
    assert masked.tolist() == [[-INF, -INF, 1, -INF]]
    assert scores.tolist() == [[1, 1, 1, 1]]


def test_ranks_come_in_the_order_of_the_cases_whatever_the_batch():
    generator = np.random.default_rng(0)
    scores = generator.random(40).tolist()
    cases = [
        case(generator.integers(1, 40, generator.integers(1, 20)), int(generator.integers(1, 40)))
        for _ in range(23)
    ]
    whole = rank(scores, *cases)
    assert whole == rank(scores, *cases, batch_size=1) == rank(scores, *cases, batch_size=5)
    scorer = Fixed(scores)
    rank_cases(scorer, cases, batch_size=10, progress=False)
    assert scorer.sizes == [10, 10, 3]


def test_ties_are_decided_by_the_fixed_permutation():
    order = tie_permutation(30).tolist()
    ranks = [rank([0.5] * 30, case([], target))[0] for target in range(1, 30)]
    others = [order[1:].index(value) for value in sorted(order[1:])]
    assert [ranks[position] for position in others] == list(range(1, 30))


def test_no_cases():
    assert rank([0.0, 1.0]) == []


def test_auc_by_hand():
    scorer = SimpleNamespace(score=lambda h: torch.tensor([[9.0, 9.0, 3.0, 2.0, 3.0]] * len(h)))
    seen, unseen = np.array([1, 3]), np.array([1, 3, 4])
    cases = [
        SimpleNamespace(history=seen, target=2),  # against item 4 only: equal
        SimpleNamespace(history=unseen[:2], target=4),
        SimpleNamespace(history=np.array([1, 4]), target=2),  # against item 3 only
        SimpleNamespace(history=unseen, target=2),  # against nobody
    ]
    np.testing.assert_array_equal(sampled_auc(scorer, cases), [0.5, 0.5, 1.0, np.nan])


@pytest.mark.parametrize("score", [math.nan, INF, -INF])
def test_a_score_that_is_not_finite_is_an_error_of_the_model(score):
    with pytest.raises(CheckpointError, match="fixed gives scores with NaN or infinity"):
        rank([0.0, score, 0.5], case([], 2))
    assert rank([score, 0.1, 0.5], case([], 2)) == [1]  # of padding nobody asks


def test_ranks_are_those_of_a_sorted_list_where_nothing_ties():
    generator = np.random.default_rng(7)
    scores = generator.permutation(30).astype(float)
    for _ in range(20):
        history, target = generator.integers(1, 30, 6), int(generator.integers(1, 30))
        left = [i for i in range(1, 30) if i == target or i not in history]
        expected = sorted(left, key=lambda i: -scores[i]).index(target) + 1
        assert rank(scores.tolist(), case(history, target)) == [expected]


def test_auc_does_not_depend_on_batches_and_of_nobody_is_nothing():
    scorer = Fixed(np.linspace(0, 1, 30).tolist())
    cases = [case([n], n + 1) for n in range(1, 20)]
    whole = sampled_auc(scorer, cases)
    np.testing.assert_array_equal(whole, sampled_auc(scorer, cases, batch_size=1))
    assert (np.diff(whole) > -0.15).all() and whole[0] < 0.2 < 0.5 < whole[-1]
    assert sampled_auc(scorer, []).shape == (0,)


def test_the_tie_order_is_a_permutation_and_always_the_same():
    order = tie_permutation(50)
    assert sorted(order.tolist()) == list(range(50))
    assert torch.equal(order, tie_permutation(50))


def test_lists_come_in_the_order_of_the_cases_without_what_was_seen():
    scores = [9.0, 0.9, 0.8, 0.7, 0.6]
    cases = [case([1, 2, 1], 3), case([], 4), case([4], 1), case([3, 3], 3), case([1, 2, 3, 4], 4)]
    for size in (1, 256):
        lists = np.zeros((5, 2), dtype=np.int32)
        rank_cases(Fixed(scores), cases, batch_size=size, progress=False, lists=lists)
        assert lists.tolist() == [[3, 4], [1, 2], [1, 2], [1, 2], [4, 0]]
