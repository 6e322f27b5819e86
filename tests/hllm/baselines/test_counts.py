import math

import numpy as np
import pytest
import torch

from hllm.baselines.counts import ItemKNN, Popularity, TransitionGraph
from hllm.baselines.text_scorer import DECAY, TextScorer
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


def test_transitions_by_hand():
    # 1 -> 2 twice, 1 -> 3 once, 2 -> 4 once; a repeat in a row is no transition.
    data = interactions([1, 2, 4], [1, 1, 2], [1, 3], num_items=6)
    forward = TransitionGraph(data, backward=0.0, two_steps=0.0)
    one_three = math.log(2) / math.log(3)
    expected = torch.tensor([[0, 0, 1, one_three, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]])
    actual = forward.score([history(1), history(2), history(4)])
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, check_dtype=False)
    # From 2 there is one edge of weight 1 forward and two steps back of weight 1/4 each.
    back = TransitionGraph(data, backward=0.25, two_steps=0.0).score([history(2)])[0]
    assert back[1].item() == pytest.approx(math.log(1.5) / math.log(2))


def test_two_steps_count_less_than_one():
    data = interactions([1, 2], [2, 3], num_items=5)
    scorer = TransitionGraph(data, backward=0.0, two_steps=0.1)
    assert scorer.score([history(1)])[0].tolist() == pytest.approx([0, 0, 1, 0.1, 0])


def test_only_the_last_items_are_read_the_newest_most():
    data = interactions([1, 2], [3, 4], num_items=6)
    scorer = TransitionGraph(data, num_last=2, decay=0.5, backward=0.0)
    assert scorer.score([history(1, 5, 3), history(1, 3)]).tolist() == [
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0.5, 0, 1, 0],
    ]


def test_transitions_of_nobody_lead_nowhere():
    for data in (interactions(num_items=4), interactions([1], [2, 2], num_items=4)):
        assert TransitionGraph(data).score([history(1, 2)]).tolist() == [[0, 0, 0, 0]]


def test_a_text_is_added_to_the_transitions():
    data = interactions([1, 2], num_items=4)
    text = TextScorer(torch.eye(4), "last")
    both = TransitionGraph(data, text, backward=0.0, text_weight=3.0)
    assert both.score([history(1)]).tolist() == [[0, 3, 1, 0]]
    assert both.name != TransitionGraph(data).name


def test_held_out_interactions_are_no_transitions():
    data = interactions([1, 2], num_items=6)
    data.sequences[0][-2:] = [4, 5]
    assert TransitionGraph(data).score([history(2)])[0, 3:].tolist() == [0, 0, 0]
