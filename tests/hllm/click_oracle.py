"""The probability of a click by its definition: one pass a candidate."""

import numpy as np
import pytest
import torch

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
