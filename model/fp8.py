"""FP8 weights with one scale for every 128 x 128 block, as the FP8 release stores them (DeepSeek-V3 report, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["BLOCK", "SCALES", "dequantise", "quantise", "scales_shape"]

BLOCK = 128
SCALES = "_scale_inv"
"""What the name of a weight's scales adds to the weight's."""


def scales_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Blocks along each axis of a weight."""
    return tuple(-(-size // BLOCK) for size in shape)


def dequantise(weight: Tensor, scales: Tensor) -> Tensor:
    """float8 [m, n] and float32 [ceil(m / 128), ceil(n / 128)] to float32 [m, n]. Raises ValueError if they do not fit."""
    if tuple(scales.shape) != scales_shape(tuple(weight.shape)):
        raise ValueError(
            f"a weight {list(weight.shape)} has {list(scales_shape(tuple(weight.shape)))} blocks, got scales {list(scales.shape)}"
        )
    rows, columns = weight.shape
    spread = scales.float().repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
    return weight.float() * spread


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[m, n] to float8_e4m3fn [m, n] and the scales that `dequantise` takes; the largest of a block becomes 448."""
    rows, columns = weight.shape
    down, across = scales_shape((rows, columns))
    padded = torch.zeros(down * BLOCK, across * BLOCK)
    padded[:rows, :columns] = weight
    largest = padded.view(down, BLOCK, across, BLOCK).abs().amax((1, 3))
    scales = largest.clamp(min=1e-12) / torch.finfo(torch.float8_e4m3fn).max
    spread = scales.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
    return (weight / spread).to(torch.float8_e4m3fn), scales
