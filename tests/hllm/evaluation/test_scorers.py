"""Scorers against the definition: the last state of each history by itself."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.id_models import IDModelConfig, make_id_model
from hllm.evaluation.ranking import sampled_auc
from hllm.evaluation.scorers import (
    ClickScorer,
    HLLMScorer,
    IDModelScorer,
    SequenceScorer,
    make_scorer,
    pad_histories,
)
from hllm.model import to_bfloat16
from tests.hllm.click_oracle import BOTH, HISTORIES, one_logit
from tests.hllm.evaluation.cases import case


def test_histories_padded_on_the_right_and_cut_to_the_newest():
    items, lengths = pad_histories([np.array([1, 2, 3]), np.array([4]), np.array([], int)], 2)
    assert items.tolist() == [[2, 3], [4, 0], [0, 0]]
    assert lengths.tolist() == [2, 1, 1]


@torch.no_grad()
def test_hllm_scores_are_cosines_of_the_last_state(tiny_model):
    embeddings = torch.randn(12, 32)
    histories = [np.array([1, 2, 3]), np.arange(1, 10), np.array([5])]
    scores = HLLMScorer(tiny_model, embeddings).score(histories)
    for row, history in enumerate(histories):
        recent = embeddings[torch.from_numpy(history[-6:])]
        state = tiny_model.encode_users(recent.unsqueeze(0)).last_hidden_state[0, -1]
        expected = F.cosine_similarity(state.unsqueeze(0), embeddings)
        torch.testing.assert_close(scores[row], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_bfloat16_is_near_and_coarse(tiny_model):
    embeddings, histories = torch.randn(200, 32), [np.array([1, 2, 3])]
    exact = HLLMScorer(tiny_model, embeddings).score(histories)
    frequencies = tiny_model.user_llm.rotary_emb.inv_freq.clone()
    to_bfloat16(tiny_model)
    assert tiny_model.dtype == torch.bfloat16
    assert torch.equal(tiny_model.user_llm.rotary_emb.inv_freq, frequencies)
    coarse = HLLMScorer(tiny_model, embeddings, bf16=True).score(histories)
    assert coarse.dtype == torch.float32
    assert torch.equal(coarse, coarse.bfloat16().float())
    assert 0 < (coarse - exact).abs().max() < 0.1


def test_id_models_are_scored_alike():
    torch.manual_seed(0)
    model = make_id_model(IDModelConfig(kind="hstu", num_items=9, hidden_size=8, num_heads=2))
    histories = [np.array([1, 2, 3]), np.array([4])]
    scores = IDModelScorer(model.eval(), name="HSTU").score(histories)
    with torch.no_grad():
        states = model.encode_users(model.item_embeddings(torch.tensor([[1, 2, 3]])))
        expected = F.cosine_similarity(states[0, -1:], model.item_embeddings())
    torch.testing.assert_close(scores[0], expected, atol=1e-5, rtol=1e-4)


def test_id_models_trained_by_dot_product_are_scored_by_it():
    torch.manual_seed(0)
    config = IDModelConfig(kind="sasrec", num_items=9, hidden_size=8, num_heads=2, cosine=False)
    model = make_id_model(config).eval()
    histories = [np.array([1, 2, 3, 10])]  # the catalogue has items that the model does not know
    scores = IDModelScorer(model, name="SASRec", num_items=12).score(histories)
    with torch.no_grad():
        states = model.encode_users(model.item_embeddings(torch.tensor([[1, 2, 3]])))
        expected = states[0, -1] @ model.item_embeddings().T
    torch.testing.assert_close(scores[0, :9], expected)
    assert torch.isfinite(scores).all()
    assert (scores[0, 9:] < scores[0, :9].min()).all()


@BOTH
@torch.no_grad()
def test_scorer_ranks_the_best_by_cosine_anew(make_model, objective):
    model, embeddings = make_model(objective=objective), torch.randn(7, 32)
    cosines = HLLMScorer(model, embeddings).score(HISTORIES)
    scores = ClickScorer(model, embeddings, num_ranked=3).score(HISTORIES)
    for row, history in enumerate(HISTORIES):
        order = (1 + cosines[row, 1:].argsort(descending=True)).tolist()
        recent = embeddings[torch.from_numpy(history[-6:])]
        logits = {item: one_logit(model, recent, embeddings[item]).item() for item in order[:3]}
        expected = sorted(logits, key=logits.get, reverse=True) + order[3:]
        assert scores[row].argsort(descending=True).tolist() == [*expected, 0]
    auc = sampled_auc(ClickScorer(model, embeddings), [case(HISTORIES[0], 5)])
    logits = torch.stack([one_logit(model, embeddings[1:4], embeddings[i]) for i in (4, 5, 6)])
    possible = {(logits[1] > logits[0]).item(), (logits[1] > logits[2]).item()}
    assert (0 < auc[0] < 1) if len(possible) == 2 else auc[0] == float(possible.pop())


def test_scores_by_hand_whatever_the_lengths_of_the_embeddings():
    """A model that repeats its last item: the nearest are those of the same direction."""
    embeddings = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 0.5], [1.0, 1.0], [-2.0, 0.0]])
    scorer = SequenceScorer("last", lambda inputs, lengths: inputs, embeddings, max_history=2)
    scores = scorer.score([np.array([4, 2, 1]), np.array([2])])
    half = 0.5**0.5
    expected = torch.tensor([[0, 1, 0, half, -1], [0, 0, 1, half, 0]])
    torch.testing.assert_close(scores, expected)
    assert scorer.users([np.array([1, 3])]).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("objective", "kind"), [("generative", HLLMScorer), ("early_fusion", ClickScorer)]
)
def test_the_objective_decides_the_scorer(make_model, objective, kind):
    assert type(make_scorer(make_model(objective=objective), torch.randn(4, 32))) is kind


@torch.no_grad()
def test_company_in_a_batch_changes_no_score(tiny_model):
    scorer = HLLMScorer(tiny_model, torch.randn(9, 32))
    histories = [np.array([1]), np.array([2, 3, 4, 5, 6, 7, 8]), np.array([], dtype=int)]
    together = scorer.score(histories)
    for row, history in enumerate(histories):
        torch.testing.assert_close(together[row], scorer.score([history])[0], atol=1e-5, rtol=0)
