"""eSASRec's layer: by hand, and with RecTools' numbers."""

import math

import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.ligr import LiGRLayer

# Our parameters in the order of RecTools' LiGRLayer.parameters().
IN_THEIR_ORDER = [
    "attention.in_proj_weight", "attention.in_proj_bias", "attention.out_proj.weight",
    "attention.out_proj.bias", "attention_norm.weight", "attention_norm.bias",
    "feed_forward_norm.weight", "feed_forward_norm.bias", "activated.weight", "down.weight",
    "linear.weight", "attention_gate.weight", "attention_gate.bias", "feed_forward_gate.weight",
    "feed_forward_gate.bias",
]  # fmt: skip
HIDDEN = ~torch.ones(3, 3, dtype=torch.bool).tril()


def waves(shape, phase):
    return torch.sin(phase + torch.arange(math.prod(shape))).reshape(shape)


@torch.no_grad()
def fill(parameters):
    """Weights that anybody can make again: no two parameters have equal ones."""
    for phase, parameter in enumerate(parameters):
        parameter.copy_(waves(parameter.shape, phase))


def small_layer(**changes):
    layer = LiGRLayer(4, 2, 12, **{"dropout": 0.0} | changes).eval()
    parameters = dict(layer.named_parameters())
    assert sorted(parameters) == sorted(IN_THEIR_ORDER)
    fill(parameters[name] for name in IN_THEIR_ORDER)
    return layer


@torch.no_grad()
def test_the_numbers_of_rectools():
    """They come from RecTools 0.19.0: LiGRLayer(4, 2, 0.0, ff_factors_multiplier=3), filled alike.

    Development does not depend on it: it wants NumPy 1 and pandas 2.
    """
    expected = [
        [
            [0.547641, -0.364827, -1.124574, -0.142590],
            [0.841040, -1.416825, -0.549248, 2.232327],
            [0.980538, -2.208450, -1.982886, -0.179452],
        ],
        [
            [0.730394, 0.081332, -0.064881, 0.573743],
            [0.723479, -2.162349, -0.809544, 1.617381],
            [1.013208, -1.512676, -1.849820, -0.735204],
        ],
    ]
    found = small_layer()(waves((2, 3, 4), 0.5), HIDDEN)
    torch.testing.assert_close(found, torch.tensor(expected), atol=5e-6, rtol=0)


@torch.no_grad()
def test_against_rectools_where_it_is_installed():
    ligr = pytest.importorskip("rectools.models.nn.transformers.ligr")
    theirs = ligr.LiGRLayer(4, 2, 0.0, ff_factors_multiplier=3).eval()
    fill(theirs.parameters())
    states = torch.randn(2, 3, 4)
    expected = theirs(states, HIDDEN, None)
    torch.testing.assert_close(small_layer()(states, HIDDEN), expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_by_hand():
    layer = small_layer()
    states = waves((1, 3, 4), 2)
    normed = F.layer_norm(states, (4,), layer.attention_norm.weight, layer.attention_norm.bias)
    attention = layer.attention
    query, key, value = (
        F.linear(normed, weight, bias).unflatten(-1, (2, 2)).transpose(1, 2)
        for weight, bias in zip(
            attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
        )
    )
    scores = (query @ key.transpose(-1, -2) / math.sqrt(2)).masked_fill(HIDDEN, -1e9)
    mixed = attention.out_proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))
    states = states + torch.sigmoid(layer.attention_gate(states)) * mixed
    norm = layer.feed_forward_norm
    normed = F.layer_norm(states, (4,), norm.weight, norm.bias)
    inner = F.silu(normed @ layer.activated.weight.T) * (normed @ layer.linear.weight.T)
    gate = torch.sigmoid(layer.feed_forward_gate(states))
    expected = states + gate * (inner @ layer.down.weight.T)
    torch.testing.assert_close(layer(waves((1, 3, 4), 2), HIDDEN), expected)


def test_dropout_only_in_training():
    layer, states = small_layer(dropout=0.5), waves((1, 3, 4), 0.5)
    torch.testing.assert_close(layer(states, HIDDEN), small_layer()(states, HIDDEN))
    assert not torch.equal(layer.train()(states, HIDDEN), layer(states, HIDDEN))
