"""Learning rate (the reference's multipliers are in test_parity) and parameter groups."""

import pytest
import torch
from torch import nn

from hllm.training.optimizer import lr_multiplier, make_optimizer


def test_warm_up_peak_and_end():
    values = [lr_multiplier(step, 100, 0.1) for step in range(101)]
    assert values[0] == 0
    assert values[5] == pytest.approx(0.5)
    assert values[10] == 1
    assert values[55] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0, abs=1e-12)


def test_constant_and_no_warm_up():
    assert [lr_multiplier(step, 10, 0, "constant") for step in (0, 5, 10)] == [1, 1, 1]


def test_unknown_schedule_names_the_choices():
    with pytest.raises(ValueError, match="cosine, linear or constant"):
        lr_multiplier(0, 10, 0, "polynomial")


def test_item_llm_has_its_own_rate_and_frozen_parameters_none():
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    named = {
        "model.item_llm.a": nn.Parameter(torch.zeros(1)),
        "model.item_emb_tokens": nn.Parameter(torch.zeros(1)),
        "model.user_llm.b": nn.Parameter(torch.zeros(1)),
        "model.item_llm.frozen": frozen,
    }
    optimizer = make_optimizer(
        named.items(), learning_rate=1.0, item_learning_rate=0.1, weight_decay=0.0
    )
    assert {g["lr"]: len(g["params"]) for g in optimizer.param_groups} == {0.1: 2, 1.0: 1}


def test_user_llm_has_its_own_rate_if_one_is_given():
    named = {
        "model.item_emb_tokens": nn.Parameter(torch.zeros(1)),
        "model.user_llm.b": nn.Parameter(torch.zeros(1)),
        "model.item_adapter.c": nn.Parameter(torch.zeros(1)),
        "model.logit_scale": nn.Parameter(torch.zeros(1)),
    }
    rates = {"learning_rate": 1.0, "item_learning_rate": 0.1, "weight_decay": 0.0}
    optimizer = make_optimizer(named.items(), **rates, user_learning_rate=0.2)
    assert {g["lr"]: len(g["params"]) for g in optimizer.param_groups} == {0.1: 1, 0.2: 1, 1.0: 2}
    # Without one, the groups are those that states of earlier versions hold.
    optimizer = make_optimizer(named.items(), **rates)
    assert [(g["lr"], len(g["params"])) for g in optimizer.param_groups] == [(0.1, 1), (1.0, 3)]
