from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hllm.evaluation.ranking import sampled_auc
from hllm.evaluation.scorers import ClickScorer, HLLMScorer

BOTH = pytest.mark.parametrize("objective", ["early_fusion", "late_fusion"])


HISTORIES = [np.array([1, 2, 3]), np.array([4]), np.array([2, 5, 1, 3, 4, 2, 1])]  # one is too long


def one_logit(model, history, candidate):
    """The definition, without masks: history (S, D), candidate (D,) -> ()."""
    head = model.click_head
    last = candidate if head.user_token is None else head.user_token
    inputs = torch.cat([history, last[None]])[None]
    state = model.user_llm(inputs_embeds=inputs).last_hidden_state[0, -1]
    if head.user_token is None:
        return head.mlp(state)[0]
    user, item = (x / (x.square().mean() + torch.finfo().eps).sqrt() for x in (state, candidate))
    return head.mlp(torch.cat([user, item, user * item]))[0]


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
    auc = sampled_auc(
        ClickScorer(model, embeddings), [SimpleNamespace(history=HISTORIES[0], target=5)]
    )
    logits = torch.stack([one_logit(model, embeddings[1:4], embeddings[i]) for i in (4, 5, 6)])
    possible = {(logits[1] > logits[0]).item(), (logits[1] > logits[2]).item()}
    assert (0 < auc[0] < 1) if len(possible) == 2 else auc[0] == float(possible.pop())
