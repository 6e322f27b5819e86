import math

import numpy as np
import pytest
import torch

from hllm.baselines.text_scorer import TextScorer, pool_history


def history(*items):
    return np.array(items, dtype=np.int64)


def test_pooling_by_hand():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert pool_history(items, "mean").tolist() == [0.5, 0.5]
    assert pool_history(items, "last").tolist() == [0.0, 1.0]
    expected = torch.tensor([0.7 / 1.7, 1 / 1.7])
    torch.testing.assert_close(pool_history(items, "decay"), expected)
    with pytest.raises(ValueError, match=r"pooling 'max': choose from mean, last, decay"):
        pool_history(items, "max")
    with pytest.raises(ValueError, match=r"pooling 'max'"):
        TextScorer(items, "max")


def test_text_scores_are_cosines_with_the_pooled_history():
    vectors = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    scores = TextScorer(vectors, "mean").score([history(1, 2), history(3)])
    half = math.sqrt(0.5)
    expected = torch.tensor([[0, half, half, 1], [0, half, half, 1]])
    torch.testing.assert_close(scores, expected)
