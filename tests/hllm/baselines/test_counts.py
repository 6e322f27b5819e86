import math

import numpy as np
import torch

from hllm.baselines.counts import ItemKNN, Popularity
from hllm.baselines.text_scorer import DECAY
from hllm.data import Interactions


def interactions(*training, num_items):
    """Users with these training parts; two held-out interactions each are added."""
    sequences = [np.array([*items, 1, 1], dtype=np.int64) for items in training]
    users = [f"u{number}" for number in range(len(sequences))]
    ids = [f"i{number}" for number in range(num_items)]
    return Interactions(ids, users, np.arange(len(users)), sequences)


def history(*items):
    return np.array(items, dtype=np.int64)


def test_popularity_counts_training_for_everybody():
    scorer = Popularity(interactions([2, 2, 3], [2], num_items=5))
    assert scorer.score([history(1), history(2, 3)]).tolist() == [[0, 0, 3, 1, 0]] * 2


def test_item_knn_by_hand():
    # item 1: users a b c; item 2: a b; item 3: c; item 4: nobody
    data = interactions([1, 2], [2, 1, 1], [1, 3], num_items=5)
    scorer = ItemKNN(data, shrinkage=1.0, decay=1.0)
    one_two, one_three = 2 / (math.sqrt(6) + 1), 1 / (math.sqrt(3) + 1)
    expected = [[0, 0, one_two, one_three, 0], [0, one_two + one_three, 0, 0, 0]]
    actual = scorer.score([history(1), history(2, 3)])
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, torch.tensor(expected), check_dtype=False)


def test_item_knn_weighs_recent_items_more_and_adds_repeats():
    data = interactions([1, 2], [3, 4], num_items=5)
    scorer = ItemKNN(data, shrinkage=0.0, decay=0.5)
    assert scorer.score([history(1, 3)]).tolist() == [[0, 0, 0.5, 0, 1]]
    assert scorer.score([history(1, 1)]).tolist() == [[0, 0, 1.5, 0, 0]]


def test_item_knn_keeps_the_nearest_neighbours():
    data = interactions([1, 2], [1, 2], [1, 3], [1, 4], num_items=5)
    nearest = ItemKNN(data, num_neighbours=1, shrinkage=0.0).score([history(1)])
    assert (nearest > 0).tolist() == [[False, False, True, False, False]]
    everything = ItemKNN(data, shrinkage=0.0).score([history(1)])
    assert (everything > 0).tolist() == [[False, False, True, True, True]]


def test_item_knn_against_a_dense_oracle():
    generator = np.random.default_rng(0)
    parts = [generator.integers(1, 12, generator.integers(1, 9)) for _ in range(40)]
    data = interactions(*parts, num_items=12)
    users = np.zeros((40, 12))
    for row, part in enumerate(parts):
        users[row, part] = 1
    counts = users.sum(0)
    similarity = users.T @ users / (np.sqrt(np.outer(counts, counts)) + 50)
    np.fill_diagonal(similarity, 0)
    histories = [generator.integers(1, 12, 5) for _ in range(7)]
    expected = np.zeros((7, 12))
    for row, items in enumerate(histories):
        for age, item in enumerate(items[::-1]):
            expected[row] += DECAY**age * similarity[item]
    actual = ItemKNN(data).score(histories).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-8)
