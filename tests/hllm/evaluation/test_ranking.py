import math

import numpy as np
import torch

from hllm.data import EvalCase
from hllm.evaluation.ranking import mask_seen, rank_cases, tie_permutation

INF = math.inf


class Fixed:
    """Gives everybody the same scores."""

    def __init__(self, scores, name="fixed"):
        self.name = name
        self.scores = torch.tensor(scores)
        self.sizes = []

    def score(self, histories):
        self.sizes.append(len(histories))
        return self.scores.expand(len(histories), -1)


def case(history, target, user=0):
    return EvalCase(user, np.array(history, dtype=np.int64), target)


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
