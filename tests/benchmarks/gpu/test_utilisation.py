import torch

from benchmarks.gpu.utilisation import tokens_of
from hllm.training.batches import TrainBatch


def test_tokens_are_those_that_are_read_and_no_padding():
    token_ids = [[], [1] * 3, [1] * 5, [1] * 7, [1] * 100]
    items = torch.tensor([[1, 2, 1], [2, 3, 0]])
    batch = TrainBatch(items, items[:, 1:] != 0, torch.tensor([3, 3]))
    # Items 0 (padding, which is encoded, too), 1, 2 and 3, each with an [ITEM] token; 3 places.
    assert tokens_of(batch, token_ids) == (1 + 4 + 6 + 8, 3)
