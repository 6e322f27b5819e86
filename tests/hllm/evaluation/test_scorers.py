import numpy as np
import torch
import torch.nn.functional as F

from hllm.baselines.id_models import IDModelConfig, make_id_model
from hllm.evaluation.scorers import HLLMScorer, IDModelScorer, pad_histories
from hllm.model import to_bfloat16


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
