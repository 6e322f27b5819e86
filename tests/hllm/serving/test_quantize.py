"""Weights in few bits: rounding by hand, and how far the rounded ones are."""

import pytest
import torch

from hllm.serving.quantize import ONNX_BLOCK, block_size, dequantize_blocks, quantize_blocks


def test_a_block_by_hand():
    weight = torch.zeros(1, ONNX_BLOCK)
    weight[0, :4] = torch.tensor([-8.0, 7.0, 3.4, -0.6])  # the largest becomes code 0: scale 1
    codes, scales = quantize_blocks(weight, 4)
    assert scales.tolist() == [[1.0]]
    assert codes[0, 0, :3].tolist() == [0 | 15 << 4, 11 | 7 << 4, 8 | 8 << 4]
    assert dequantize_blocks(codes, scales, 4)[0, :5].tolist() == [-8, 7, 3, -1, 0]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_error_is_within_a_step(bits):
    weight = torch.randn(6, 3 * ONNX_BLOCK, generator=torch.Generator().manual_seed(1))
    codes, scales = quantize_blocks(weight, bits)
    assert codes.dtype == torch.uint8
    assert codes.shape == (6, 3, ONNX_BLOCK * bits // 8)
    error = (dequantize_blocks(codes, scales, bits) - weight).abs().reshape(6, 3, ONNX_BLOCK)
    # Half a step; a whole one where the largest of the other sign is cut off.
    assert (error <= scales.abs().unsqueeze(2) * 1.0001).all()
    assert error.mean() < scales.abs().mean() * 0.3


def test_a_last_block_that_is_not_full_is_filled_with_zeros():
    weight = torch.randn(2, ONNX_BLOCK + 5, generator=torch.Generator().manual_seed(2))
    codes, scales = quantize_blocks(weight, 8)
    values = dequantize_blocks(codes, scales, 8)
    assert values.shape == (2, 2 * ONNX_BLOCK)
    assert not values[:, ONNX_BLOCK + 5 :].any()
    assert torch.allclose(values[:, : ONNX_BLOCK + 5], weight, atol=0.03)


def test_zeros_stay_zeros_and_other_bits_are_refused():
    codes, scales = quantize_blocks(torch.zeros(2, ONNX_BLOCK), 4)
    assert not dequantize_blocks(codes, scales, 4).any()
    with pytest.raises(ValueError, match="3 bits"):
        quantize_blocks(torch.zeros(2, ONNX_BLOCK), 3)


def test_a_width_of_whole_smaller_blocks_is_not_filled_up():
    assert [block_size(width) for width in (2048, 1536, 576, 64, 200)] == [128, 128, 64, 64, 128]
    weight = torch.randn(3, 576, generator=torch.Generator().manual_seed(3))
    codes, scales = quantize_blocks(weight, 4)
    assert codes.shape == (3, 9, 32) and scales.shape == (3, 9)
    assert dequantize_blocks(codes, scales, 4).shape == weight.shape
