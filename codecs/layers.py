"""The parts of the codec's networks: weight-normed convolutions, Snake, and the padding that makes a stack causal.

Everything works on [B, C, T]. What a stream must remember sits in one kind of layer, `CausalPad`; the rest remember
nothing. Weight norm is the old style, with the two tensors `weight_g` and `weight_v`, as the released checkpoints name them.

Sources: Salimans and Kingma, "Weight Normalization" (2016); Ziyin et al., "Neural Networks Fail to Learn Periodic
Functions and How to Fix It" (2020), for Snake; Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN"
(2023), for how they are put together.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SNAKE_EPS = 1e-9


class WeightNormed(nn.Module):
    """Holds `weight_g`, `weight_v` and `bias`; the weight is g v / |v|, the norm taken over all but the first axis."""

    folded: Tensor | None

    def __init__(self, shape: tuple[int, int, int], bias: int, fan_in: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(fan_in)
        direction = torch.empty(shape).uniform_(-bound, bound)
        self.weight_g = nn.Parameter(direction.norm(dim=(1, 2), keepdim=True))
        self.weight_v = nn.Parameter(direction)
        self.bias = nn.Parameter(torch.empty(bias).uniform_(-bound, bound))
        self.register_buffer("folded", None, persistent=False)

    def weight(self) -> Tensor:
        """The weight in the shape of `weight_v`."""
        return torch._weight_norm(self.weight_v, self.weight_g, 0) if self.folded is None else self.folded

    def fold(self) -> None:
        """Compute the weight once, for inference; parameters loaded later or a return to training undo it."""
        self.folded = torch._weight_norm(self.weight_v, self.weight_g, 0).detach()

    def train(self, mode: bool = True) -> WeightNormed:
        """As in torch; training forgets the folded weight."""
        if mode:
            self.folded = None
        super().train(mode)
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.folded = None
        super()._load_from_state_dict(*args, **kwargs)


class WNConv1d(WeightNormed):
    """[B, in, T] -> [B, out, T - (kernel - 1) * dilation]: a convolution without padding of its own."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, dilation: int = 1) -> None:
        super().__init__((channels_out, channels_in, kernel), channels_out, channels_in * kernel)
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight(), self.bias, dilation=self.dilation)


class WNUpsample(WeightNormed):
    """[B, in, T] -> [B, out, T * stride]: a transposed convolution whose kernel is its stride.

    No two outputs overlap, so it is one matrix product, and a stream has nothing to remember.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__((channels_in, channels_out, stride), channels_out, channels_in * stride)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        batch, _, length = x.shape
        weight = self.weight()
        spread = weight.flatten(1).t() @ x
        spread = spread.view(batch, weight.shape[1], self.stride, length).transpose(2, 3)
        return spread.reshape(batch, weight.shape[1], length * self.stride) + self.bias[:, None]


class CausalPad(nn.Module):
    """[B, C, T] -> [B, C, length + T]: zeros before the start; in a stream, the last `length` columns instead."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels = channels
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (self.length, 0))

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """[batch, C, length] of zeros."""
        return like.new_zeros(batch, self.channels, self.length)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, n] -> [B, C, length + n], and the next state [B, C, length]."""
        padded = torch.cat([state, x], dim=-1)
        return padded, padded[..., padded.shape[-1] - self.length :]


class _SnakeFunction(torch.autograd.Function):
    """Snake with its own gradient: half the memory and passes of the traced one, and the codec is mostly this."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor) -> Tensor:
        sine = torch.sin(alpha * x)
        ctx.save_for_backward(x, alpha, sine)
        return torch.addcmul(x, sine, sine * (alpha + SNAKE_EPS).reciprocal())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha, sine = ctx.saved_tensors
        inverse = (alpha + SNAKE_EPS).reciprocal()
        slope = grad * sine * torch.cos(alpha * x) * 2.0
        grad_alpha = (slope * x - grad * sine * sine * inverse).sum(dim=(0, 2), keepdim=True) * inverse
        return torch.addcmul(grad, slope, alpha * inverse), grad_alpha


class Snake(nn.Module):
    """x + sin^2(alpha x) / (alpha + 1e-9), with one alpha a channel, kept as [1, C, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            y: Tensor = _SnakeFunction.apply(x, self.alpha)
            return y
        sine = torch.sin(self.alpha * x)
        return sine.square_().mul_((self.alpha + SNAKE_EPS).reciprocal()).add_(x)
