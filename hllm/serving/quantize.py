"""Weights in few bits: symmetric, block by block, as ONNX Runtime's MatMulNBits reads them.

A block of ONNX_BLOCK numbers of one row shares a scale. Its number of largest magnitude becomes the
most negative code; the others are rounded to the nearest code. No calibration data is needed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BITS = (4, 8)
# With blocks of 32, a click at 1.1 billion parameters takes 27 ms instead of 20: the kernel reads
# two floats per block beside the codes. The ten best items hardly differ (docs/results.md).
ONNX_BLOCK = 128


def quantize_blocks(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Round a matrix to few bits.

    Args:
        weight: (N, K) floating point; zeros fill the last block.
        bits: 4 or 8.

    Returns:
        codes (N, ceil(K / ONNX_BLOCK), ONNX_BLOCK * bits / 8) uint8, two 4-bit codes per byte, the
        first in the low half; scales (N, ceil(K / ONNX_BLOCK)) float32.

    Raises:
        ValueError: another number of bits.
    """
    if bits not in BITS:
        raise ValueError(f"cannot round to {bits} bits: choose from {BITS}")
    whole = F.pad(weight.float(), (0, -weight.shape[1] % ONNX_BLOCK))
    blocks = whole.reshape(len(weight), -1, ONNX_BLOCK)  # (N, blocks, ONNX_BLOCK)
    middle = 1 << (bits - 1)  # the code of 0: codes are unsigned
    largest = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))  # with its sign
    scales = largest / -middle
    # A block of zeros has no scale.
    inverse = torch.where(scales == 0, 0, 1 / scales)
    codes = (blocks * inverse).round_().add_(middle).clamp_(0, 2 * middle - 1).to(torch.uint8)
    if bits == 4:
        codes = codes[..., ::2] | (codes[..., 1::2] << 4)
    return codes, scales.squeeze(2)


def dequantize_blocks(codes: Tensor, scales: Tensor, bits: int) -> Tensor:
    """What the codes stand for: (N, K of whole blocks) float32. See quantize_blocks."""
    if bits == 4:
        codes = torch.stack([codes & 15, codes >> 4], dim=-1).flatten(2)  # (N, blocks, ONNX_BLOCK)
    values = codes.float() - (1 << (bits - 1))
    return (values * scales.unsqueeze(2)).flatten(1)
