"""Early and late fusion: the shared pass against one pass a candidate, the loss by hand."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.checkpoint import load_model, save_model
from hllm.click_head import click_loss
from hllm.config import HLLMConfig
from hllm.evaluation.scorers import make_scorer
from hllm.model_folder import ModelFolder
from hllm.training.batches import make_batch
from hllm.training.item_encoder import WholeItems
from hllm.training.objective import ClickObjective
from hllm.training.step import HLLMStep
from tests.hllm.click_oracle import BOTH, HISTORIES, one_logit


@BOTH
@torch.no_grad()
def test_shared_pass_equals_one_pass_a_candidate(make_model, objective):
    model = make_model(objective=objective)
    torch.manual_seed(1)
    histories, candidates = torch.randn(2, 5, 32), torch.randn(2, 3, 4, 32)
    prefixes = torch.tensor([[1, 3, 5], [2, 2, 1]])
    logits, states = model.click_head(model.user_llm, histories, prefixes, candidates)
    slow = [
        [[one_logit(model, histories[b, :length], candidate) for candidate in candidates[b, q]]
         for q, length in enumerate(row)]
        for b, row in enumerate(prefixes.tolist())
    ]  # fmt: skip
    torch.testing.assert_close(logits, torch.tensor(slow), atol=1e-5, rtol=1e-4)
    generative = model.encode_users(histories).last_hidden_state
    torch.testing.assert_close(states, generative, atol=1e-5, rtol=1e-4)
    assert logits.std() > 0.01


def test_click_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0, 5.0]], [[math.log(3), -math.log(3), 7.0]]])
    counted = torch.tensor([[[True, True, False]], [[True, True, False]]])
    expected = -2 * math.log(0.5) - 2 * math.log(0.75)
    assert click_loss(logits, counted).item() == pytest.approx(expected, rel=1e-6)


@BOTH
def test_step_is_the_weighted_sum_of_both_losses(make_model, token_ids, objective):
    model = make_model(objective=objective)
    ids = [[1], *token_ids]
    chunks = [np.array([1, 2, 3, 4]), np.array([5, 1])]
    batch = make_batch(chunks, np.arange(1, 6), 4, seed=(0, 1))
    items = WholeItems(model, ids)
    loss, _ = HLLMStep(items, ClickObjective(num_candidates=3, auxiliary_weight=0.25))(batch)
    generative, _ = HLLMStep(items)(batch)
    negatives, width = batch.negatives.tolist(), batch.items.shape[1] - 1
    terms = []
    with torch.no_grad():
        embeddings = model.encode_items(ids)
        for row, chunk in enumerate(chunks):
            for place, target in enumerate(chunk[1:]):
                history = embeddings[torch.from_numpy(chunk[: place + 1])]
                terms.append(-F.logsigmoid(one_logit(model, history, embeddings[target])))
                first = (row * width + place) * 3
                for number in range(first, first + 3):
                    negative = negatives[number % len(negatives)]
                    if negative != target:
                        logit = one_logit(model, history, embeddings[negative])
                        terms.append(-F.logsigmoid(-logit))
    assert len(terms) < 4 * 4  # a negative that is the target was drawn, and left out
    expected = torch.stack(terms).mean() + 0.25 * generative
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.click_head.parameters())


@BOTH
def test_saved_model_scores_alike_and_its_item_embeddings_stay(
    make_model, tokenizer, tmp_path, objective
):
    model = make_model(objective=objective)
    save_model(model, tmp_path / "a", tokenizer)
    loaded, _ = load_model(tmp_path / "a")
    embeddings = torch.randn(7, 32)
    for made in (loaded, type(model).from_pretrained(tmp_path / "a").eval()):
        scores = make_scorer(made, embeddings).score(HISTORIES)
        # Not to the last bit: some CPUs add up in another order where memory is aligned otherwise.
        expected = make_scorer(model, embeddings).score(HISTORIES)
        torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)
    changed = copy.deepcopy(model)
    torch.nn.init.ones_(changed.click_head.mlp[0].weight)
    save_model(changed, tmp_path / "b", tokenizer)
    assert ModelFolder(tmp_path / "a").fingerprint == ModelFolder(tmp_path / "b").fingerprint


def test_unknown_objective():
    with pytest.raises(ValueError, match="objective 'both': choose from generative, early"):
        HLLMConfig(objective="both")
