"""Weights in few bits: symmetric, block by block, as ONNX Runtime's MatMulNBits reads them.

A block of 128 or 64 numbers of one row (block_size) shares a scale. Its number of largest magnitude
becomes the most negative code; the others are rounded to the nearest code. No calibration data is
needed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BITS = (4, 8)
# With blocks of 32, a click at 1.1 billion parameters takes 27 ms instead of 20: the kernel reads
# two floats per block beside the codes. The ten best items hardly differ (docs/results.md).
ONNX_BLOCK = 128


def block_size(width: int) -> int:
    """How many numbers of a row that is so long share a scale: 64 where blocks of 128 do not fit.

    >>> block_size(2048), block_size(576)
    (128, 64)
    """
    # What fills the last block up would be read and multiplied, too: 11% of SmolLM2's width.
    return ONNX_BLOCK // 2 if width % ONNX_BLOCK and width % (ONNX_BLOCK // 2) == 0 else ONNX_BLOCK


def quantize_blocks(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Round a matrix to few bits.

    Args:
        weight: (N, K) floating point; zeros fill the last block.
        bits: 4 or 8.

    Returns:
        codes (N, ceil(K / size), size * bits / 8) uint8, where size is block_size(K), two 4-bit
        codes per byte, the first in the low half; scales (N, ceil(K / size)) float32.

    Raises:
        ValueError: another number of bits.
    """
    if bits not in BITS:
        raise ValueError(f"cannot round to {bits} bits: choose from {BITS}")
    size = block_size(weight.shape[1])
    whole = F.pad(weight.float(), (0, -weight.shape[1] % size))
    blocks = whole.reshape(len(weight), -1, size)  # (N, blocks, size)
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
        codes = torch.stack([codes & 15, codes >> 4], dim=-1).flatten(2)  # (N, blocks, size)
    values = codes.float() - (1 << (bits - 1))
    return (values * scales.unsqueeze(2)).flatten(1)
