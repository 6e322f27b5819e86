"""Losses of a step against loops."""

import numpy as np
import pytest
import torch

from hllm.baselines.id_models import IDModelConfig, make_id_model
from hllm.training.batches import make_batch
from hllm.training.loss import contrastive_logits
from hllm.training.step import IDModelStep


@pytest.mark.parametrize("cosine", [True, False])
def test_per_position_negatives_equal_a_loop(cosine):
    torch.manual_seed(0)
    config = IDModelConfig(kind="sasrec", num_items=30, hidden_size=16, cosine=cosine)
    model = make_id_model(config).eval()
    chunks = [np.array([1, 2, 3, 4]), np.array([7, 8])]
    batch = make_batch(chunks, np.arange(1, 30), 40, seed=(1,), per_position=True)
    assert batch.negatives.shape == (4, 40)
    loss, stats = IDModelStep(model)(batch, with_stats=True)
    states = model.encode_users(model.item_embeddings(batch.items[:, :-1]), torch.tensor([3, 1]))
    expected = []
    for n, (row, column) in enumerate(batch.mask.nonzero().tolist()):
        logits = contrastive_logits(
            states[row, column][None],
            model.item_embeddings(batch.items[row, column + 1][None]),
            model.item_embeddings(batch.negatives[n]),
            model.logit_scale,
            cosine=cosine,
        )
        expected.append(-logits.log_softmax(dim=-1)[0, 0])
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    loss.backward()
    assert torch.isfinite(model.item_table.weight.grad).all()
    assert stats["negatives"] == 40
