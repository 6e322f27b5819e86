"""A layer in NF4 computes with the rounded matrix, and does not round twice."""

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import nn

from hllm.weights.nf4_format import Nf4Spec, PackedMatrix
from hllm.weights.nf4_layers import four_bit_layer, set_four_bit

CPU = torch.device("cpu")


def linear(bias=True):
    torch.manual_seed(0)
    return nn.Linear(128, 64, bias=bias)


@pytest.mark.parametrize("bias", [False, True])
def test_it_computes_with_the_rounded_matrix(bias):
    plain = linear(bias)
    layer = four_bit_layer(plain)
    set_four_bit(layer, plain.weight.data, CPU, torch.float32)
    rounded = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    assert rounded.shape == plain.weight.shape
    assert 0 < (rounded - plain.weight).abs().max() < 0.2 * plain.weight.abs().max()
    inputs = torch.randn(5, 128)
    expected = nn.functional.linear(inputs, rounded, plain.bias)
    with torch.no_grad():
        # Products in bfloat16: of 128 numbers around 0.03 each.
        torch.testing.assert_close(layer(inputs), expected, atol=0.02, rtol=0.02)


def test_a_layer_waits_for_its_weight_without_memory():
    layer = four_bit_layer(nn.Linear(2**20, 2**20, device="meta"))
    assert layer.weight.is_meta and layer.bias.is_meta


def test_a_bias_that_came_first_is_kept():
    plain = linear()
    assert four_bit_layer(plain).bias is plain.bias


def test_what_is_in_nf4_is_not_rounded_again():
    weight = linear().weight.data
    parts = dict(Nf4Spec((64, 128)).encode("w", weight))
    packed = PackedMatrix(
        parts.pop("w"), {name.removeprefix("w."): part for name, part in parts.items()}
    )
    layer = four_bit_layer(linear())
    set_four_bit(layer, packed, CPU, torch.bfloat16)
    assert layer.weight.data.flatten().equal(packed.codes.flatten())
    again = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    torch.testing.assert_close(again.float(), packed.dequantize().float(), atol=0, rtol=0)
