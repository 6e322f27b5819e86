from types import SimpleNamespace

import numpy as np
import torch

from hllm.evaluation.ranking import sampled_auc


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
