"""The small pieces every part of the network is built from: RMSNorm, the gated feed-forward block and rotary positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ModuleList", "RMSNorm", "SwiGLU", "apply_rotary", "laid_out", "rotary_angles"]


M = TypeVar("M", bound=nn.Module)


class ModuleList(nn.ModuleList, Generic[M]):
    """PyTorch's list of modules, for readers and type checkers who want to know of what."""

    def __init__(self, modules: Iterable[M]) -> None:
        super().__init__(modules)

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())

    def __getitem__(self, index: int) -> M:  # type: ignore[override]
        return cast(M, super().__getitem__(index))


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension.

    Computed in fp32 and cast back *before* the multiplication by the weight, as LongCat's reference code does; the order
    matters for bf16 equality.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype) * self.weight


def laid_out(weight: Tensor) -> Tensor:
    """The same matrix [out, in] as a CPU multiplies a few rows with it soonest: a wide one column by column.

    One row times [1024, 256] took 50 us so, and 120 us row by row; in the other direction it is the other way round.
    """
    wide = weight.ndim == 2 and weight.shape[0] > weight.shape[1]
    return weight.t().contiguous().t() if wide and weight.device.type == "cpu" else weight.contiguous()


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))` without biases: the dense feed-forward block, and one expert."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


def rotary_angles(positions: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines, fp32 [..., width / 2], of integer `positions` [...] for a rotated width of `width` dimensions."""
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angles = positions[..., None].float() * theta**-exponents
    return angles.cos(), angles.sin()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs (2j, 2j+1) of x [..., width] and leave the result in half-split order: all firsts, then all seconds.

    Queries and keys are permuted alike, so their products are those of the interleaved layout. cos and sin are
    [..., width / 2], broadcast against x, and are cast to its type first.
    """
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
