"""The sample of users: without replacement, in order, the same for a seed."""

import numpy as np

from hllm.data import EvalCase
from hllm.evaluation.sample import sample_cases

CASES = [EvalCase(user, np.array([1]), 2) for user in range(50)]


def users(number, seed=0):
    return [case.user for case in sample_cases(CASES, number, seed)]


def test_all_users_where_there_are_not_more():
    assert users(None) == users(50) == users(99) == list(range(50))


def test_a_sample_has_each_user_once_in_the_original_order():
    sample = users(20)
    assert len(sample) == 20
    assert sample == sorted(set(sample))
    assert sample == users(20)
    assert sample != users(20, seed=1)


def test_a_larger_sample_contains_the_smaller():
    assert set(users(10)) < set(users(30))
