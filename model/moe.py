"""The mixture of experts: a router over FFN experts and *zero* experts, which return their input and cost nothing.

How many FFN experts a token gets is therefore the router's choice. A per-expert bias, changed by `update_bias` after each
training step and never by the optimiser, keeps the mean where it is wanted and the experts evenly used; it takes part in the
choice only, not in the weights (LongCat-Flash report, "zero-computation experts").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import ModuleList, SwiGLU

__all__ = ["MoE", "Router"]


class Router(nn.Module):
    """Softmax over all experts, always in fp32: its two tensors stay fp32 when the network is cast."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.topk, self.scale = config.moe_topk, config.routed_scaling_factor
        self.classifier = nn.Linear(config.hidden_size, config.n_experts, bias=False, dtype=torch.float32)
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_experts, dtype=torch.float32))
        self.e_score_correction_bias: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, D] -> (expert ids int64 [N, topk], weights fp32 [N, topk]). Weights are not renormalised."""
        scores = F.linear(x.float(), self.classifier.weight).softmax(dim=-1)
        chosen = (scores.detach() + self.e_score_correction_bias).topk(self.topk, dim=-1, sorted=False).indices
        return chosen, scores.gather(1, chosen) * self.scale

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Router:
        weight, bias = self.classifier.weight.data, self.e_score_correction_bias
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.classifier.weight.dtype != torch.float32:
            device = self.classifier.weight.device
            self.classifier.weight.data = weight.to(device)
            self.e_score_correction_bias = bias.to(device)
        return self


class MoE(nn.Module):
    """`sum of weight * FFN_e(x)` over chosen FFN experts, plus `(sum of weights of chosen zero experts) * x`.

    tokens: all tokens seen since `reset_load`.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.router = Router(config)
        self.experts = ModuleList(
            [SwiGLU(config.hidden_size, config.expert_ffn_hidden_size) for _ in range(config.n_routed_experts)]
        )
        self.zero_scale = 1.0 if config.zero_expert_scaled else 1.0 / config.routed_scaling_factor
        self._load = [0] * config.n_routed_experts
        self.tokens = 0
        self.given: Tensor | None = None
        """int64 [N]: FFN experts that each row of the latest batch was given."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.mixed(x.reshape(-1, x.shape[-1]), list(self.experts)).view_as(x)

    def mixed(self, flat: Tensor, experts: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        """`forward` of rows [N, D], with these to run the FFN experts."""
        chosen, weights = self.router(flat)
        zero = chosen >= self.config.n_routed_experts
        self.given = (~zero).sum(dim=-1)
        identity = (weights * zero).sum(-1, keepdim=True) * self.zero_scale
        return self._experts(flat, chosen, weights, experts) + (identity * flat).to(flat.dtype)

    def _experts(
        self, flat: Tensor, chosen: Tensor, weights: Tensor, experts: Sequence[Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """The FFN part. Assignments are sorted by expert, so each expert runs once, on one contiguous block of rows."""
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=self.config.n_experts)[: self.config.n_routed_experts]
        sizes: list[int] = counts.tolist()
        self.count(sizes, flat.shape[0])
        order = order[: sum(sizes)]  # zero experts have the highest ids, so they come last
        token = order.div(self.config.moe_topk, rounding_mode="floor")
        blocks = torch.split(flat.index_select(0, token), sizes)
        done = [expert(block) for expert, block in zip(experts, blocks, strict=True) if block.shape[0]]
        out = torch.zeros_like(flat)
        if not done:
            return out
        scaled = torch.cat(done) * weights.flatten().index_select(0, order)[:, None]
        return out.index_add(0, token, scaled.to(flat.dtype))

    def count(self, given: Sequence[int], tokens: int) -> None:
        """Add to the counts: how many of these tokens each FFN expert was given."""
        self._load = [load + more for load, more in zip(self._load, given, strict=True)]
        self.tokens += tokens

    @property
    def load(self) -> Tensor:
        """int64 [n_routed_experts]: tokens routed to each FFN expert since `reset_load`."""
        return torch.tensor(self._load, device="cpu")

    def reset_load(self) -> None:
        """Forget the counts."""
        self._load = [0] * self.config.n_routed_experts
        self.tokens = 0

    @property
    def active_ffn_per_token(self) -> float:
        """Mean number of FFN experts a token was given since `reset_load`; 0.0 before any token."""
        return sum(self._load) / self.tokens if self.tokens else 0.0

    @torch.no_grad()
    def update_bias(self, mu: float, mean_ffn: float) -> None:
        """Move each FFN expert's bias by `mu` times its lack of load, aiming at `mean_ffn` FFN experts a token.

        With N experts and K choices a token: `mu * (mean_ffn / K / N - load_i / (K * tokens))`. Zero experts keep theirs.
        Zeroes the counts. Does nothing if no token has been seen.
        """
        if self.tokens:
            n, k = self.config.n_routed_experts, self.config.moe_topk
            bias = self.router.e_score_correction_bias
            bias[:n] += mu * (mean_ffn / (k * n) - self.load.to(bias) / (k * self.tokens))
        self.reset_load()
