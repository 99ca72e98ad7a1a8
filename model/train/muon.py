"""Muon: momentum whose steps are made orthogonal, for weight matrices (K. Jordan 2024; scaled as in Moonlight, 2025).

A small decoder spends most of its steps on a plateau before its attention learns to copy; orthogonal steps shorten that.
torch's own `Muon` works in bfloat16, which processors without native bfloat16 emulate slowly, and one matrix at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration."""


class Muon(Optimizer):
    """All parameters are matrices. Matrices of one shape take their steps together.

    The update has the root mean square that AdamW's usually has (0.2), so both can share a learning rate.
    Raises ValueError for a parameter that is not a matrix.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        iterations: int = 5,
    ) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.iterations = iterations
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon steps are for matrices, got a parameter of shape {list(p.shape)}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[p.shape].append(p)
            for shape, same in shapes.items():
                steps = orthogonal(torch.stack([self._momentum(p, group["momentum"]) for p in same]), self.iterations)
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for p, u in zip(same, steps, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(scale * u)

    def _momentum(self, p: Tensor, decay: float) -> Tensor:
        """Nesterov momentum of the gradient."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].mul_(decay).add_(p.grad)
        return p.grad + decay * state["momentum"]


def orthogonal(matrices: Tensor, iterations: int) -> Tensor:
    """[N, m, n] to about the nearest matrices with singular values of one; zero matrices stay zero."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(a * x, torch.baddbmm(b * gram, gram, gram, beta=1.0, alpha=c), x)
    return x.mT if tall else x
