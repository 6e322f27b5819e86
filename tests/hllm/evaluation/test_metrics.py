import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    label_ranking_average_precision_score,
    ndcg_score,
    top_k_accuracy_score,
)

from hllm.evaluation.metrics import (
    DEFAULT_KS,
    ndcg_at,
    per_case,
    recall_at,
    summarise,
    target_ranks,
    top_items,
)

INF = float("inf")


def ranks_of(scores, targets, order=None):
    scores = torch.tensor(scores)
    order = torch.arange(scores.shape[1]) if order is None else torch.tensor(order)
    return target_ranks(scores, torch.tensor(targets), order).tolist()


def test_ranks_by_hand():
    scores = [[-INF, 0.1, 0.9, 0.5], [-INF, 0.1, 0.9, 0.5], [-INF, 0.1, 0.9, 0.5]]
    assert ranks_of(scores, [2, 3, 1]) == [1, 2, 3]


def test_ties_go_by_the_permutation_not_by_the_position():
    scores = [[-INF, 0.5, 0.5, 0.5]] * 3
    assert ranks_of(scores, [1, 2, 3], order=[0, 3, 1, 2]) == [3, 1, 2]


def test_constant_scores_gain_nothing_on_average():
    generator = np.random.default_rng(0)
    order = torch.from_numpy(generator.permutation(1000))
    ranks = target_ranks(torch.zeros(1000, 1000), torch.arange(1000), order)
    assert sorted(ranks.tolist()) == list(range(1, 1001))


@pytest.mark.parametrize("score", [-INF, float("nan")])
def test_target_that_is_no_candidate_is_a_miss(score):
    assert ranks_of([[0.0, score, 0.3]], [1]) == [INF]
    assert summarise(np.array([INF]))["recall@200"] == 0
    assert summarise(np.array([INF]))["mrr"] == 0


def test_metrics_by_hand():
    ranks = np.array([1.0, 2.0, 3.0, 10.0, 11.0, INF])
    assert recall_at(ranks, 10).tolist() == [1, 1, 1, 1, 0, 0]
    expected = [1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0, 0]
    assert ndcg_at(ranks, 10) == pytest.approx(expected)
    values = summarise(ranks, (1, 10))
    assert values["recall@1"] == pytest.approx(1 / 6)
    assert values["ndcg@1"] == pytest.approx(1 / 6)
    assert values["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 10 + 1 / 11) / 6)


def test_k_beyond_the_catalogue():
    assert summarise(np.array([3.0]), (1000,))["recall@1000"] == 1


def test_no_cases_is_nan_not_zero():
    assert all(math.isnan(value) for value in summarise(np.zeros(0)).values())
    assert set(per_case(np.ones(2))) == {
        "mrr", *(f"{name}@{k}" for name in ("recall", "ndcg") for k in DEFAULT_KS)
    }  # fmt: skip


def random_case(seed, users=60, items=400):
    generator = np.random.default_rng(seed)
    scores = generator.permutation(users * items).reshape(users, items) / 24_000  # without ties
    return scores, generator.integers(0, items, users)


def our_summary(scores, targets):
    order = torch.arange(scores.shape[1])
    return summarise(target_ranks(torch.tensor(scores), torch.tensor(targets), order).numpy())


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed):
    scores, targets = random_case(seed)
    relevant = np.eye(scores.shape[1])[targets]
    theirs = {"mrr": label_ranking_average_precision_score(relevant, scores)}
    for k in DEFAULT_KS:
        labels = np.arange(scores.shape[1])
        theirs[f"recall@{k}"] = top_k_accuracy_score(targets, scores, k=k, labels=labels)
        theirs[f"ndcg@{k}"] = ndcg_score(relevant, scores, k=k)
    assert our_summary(scores, targets) == pytest.approx(theirs)


@pytest.mark.slow  # it compiles for a minute
def test_against_ranx():
    ranx = pytest.importorskip("ranx")
    scores, targets = random_case(3)
    qrels = ranx.Qrels({str(u): {str(t): 1} for u, t in enumerate(targets)})
    rows = {str(u): {str(i): float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)}
    names = [f"{name}@{k}" for name in ("recall", "ndcg") for k in DEFAULT_KS]
    theirs = ranx.evaluate(qrels, ranx.Run(rows), [*names, "mrr"])
    assert our_summary(scores, targets) == pytest.approx(dict(theirs))


def listed(scores, k, order=None):
    scores = torch.tensor(scores)
    order = torch.arange(scores.shape[1]) if order is None else torch.tensor(order)
    return top_items(scores, order, k).tolist()


def test_the_best_items_by_hand():
    scores = [[-INF, 0.1, 0.9, 0.5], [-INF, -INF, 0.2, -INF], [-INF, -INF, -INF, -INF]]
    assert listed(scores, 2) == [[2, 3], [2, 0], [0, 0]]
    assert listed(scores, 5) == [[2, 3, 1, 0, 0], [2, 0, 0, 0, 0], [0] * 5]
    assert listed([[-INF, 0.5, 0.5, 0.5, 0.9]], 3, order=[0, 3, 1, 2, 4]) == [[4, 2, 3]]


def test_an_item_is_in_the_list_at_its_rank_ties_and_all():
    generator = np.random.default_rng(0)
    scores = torch.from_numpy(generator.integers(0, 4, (30, 25))).float()
    scores[torch.from_numpy(generator.random((30, 25)) < 0.3)] = -INF
    scores[:, 0] = -INF
    order = torch.from_numpy(generator.permutation(25))
    lists = top_items(scores, order, 10)
    for item in range(1, 25):
        ranks = target_ranks(scores, torch.full((30,), item), order).tolist()
        for row, rank in enumerate(ranks):
            place = lists[row].tolist().index(item) + 1 if item in lists[row] else None
            assert place == (rank if rank <= 10 else None)
