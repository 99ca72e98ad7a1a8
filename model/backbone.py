"""The decoder: shortcut-connected double layers, each of two attentions, two dense FFNs and one mixture of experts.

`forward` takes whole sequences and is differentiable; `stepping.Stepper` goes through the same weights with new tokens of
several conversations whose past is in a cache. Both end after `model.norm`: the text head (`lm_head`) and the speech heads
read that same tensor. Parameter names are the release's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vivavoce.model.attention import LatentAttention
from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import ModuleList, RMSNorm, SwiGLU, rotary_angles
from vivavoce.model.moe import MoE

__all__ = ["Backbone", "DoubleLayer"]


class DoubleLayer(nn.Module):
    """One layer of the release.

        a = x + attn0(norm(x));  u = norm(a);  m = moe(u);  b = a + ffn0(u)
        c = b + attn1(norm(b));  y = (c + ffn1(norm(c))) + m

    The experts read what the first FFN reads and are added last, so that a cluster can overlap their traffic with the rest.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.input_layernorm = ModuleList([RMSNorm(width, eps) for _ in range(2)])
        self.post_attention_layernorm = ModuleList([RMSNorm(width, eps) for _ in range(2)])
        self.self_attn = ModuleList([LatentAttention(config) for _ in range(2)])
        self.mlps = ModuleList([SwiGLU(width, config.ffn_hidden_size) for _ in range(2)])
        self.mlp = MoE(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, D] -> [B, T, D]; see `LatentAttention.forward` for the rest."""
        x = x + self.self_attn[0](self.input_layernorm[0](x), cos, sin, mask)
        x, shortcut = self._between(x)
        x = x + self.self_attn[1](self.input_layernorm[1](x), cos, sin, mask)
        return self._after(x, shortcut)

    def _between(self, x: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.post_attention_layernorm[0](x)
        return x + self.mlps[0](normed), self.mlp(normed)

    def _after(self, x: Tensor, shortcut: Tensor) -> Tensor:
        second: Tensor = self.mlps[1](self.post_attention_layernorm[1](x))
        return x + second + shortcut


class Stack(nn.Module):
    """What the release keeps under `model.`."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = ModuleList([DoubleLayer(config) for _ in range(config.num_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Backbone(nn.Module):
    """LongCat-Flash."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Stack(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if self.lm_head.weight.device.type != "meta":
            self.initialise()

    def forward(self, embeds: Tensor, positions: Tensor | None = None, segment_mask: Tensor | None = None) -> Tensor:
        """Whole sequences, causal.

        embeds: [B, T, D]. positions: int [B, T], or None for 0 .. T-1. segment_mask: bool [B, T, T], True where row i may
        see column j if j <= i; give it when several dialogues are packed in one row, None when padding, if any, is on the
        right. Returns [B, T, D] after the final norm.
        """
        out: Tensor = self.model.norm(self.last_layer(embeds, positions, segment_mask))
        return out

    def last_layer(self, embeds: Tensor, positions: Tensor | None = None, segment_mask: Tensor | None = None) -> Tensor:
        """`forward` without the final norm."""
        length, device = embeds.shape[1], embeds.device
        if positions is None:
            positions = torch.arange(length, device=device)[None]
        cos, sin = rotary_angles(positions, self.config.qk_rope_head_dim, self.config.rope_theta)
        mask = None if segment_mask is None else _allowed(segment_mask)
        hidden = embeds
        for layer in self.model.layers:
            hidden = layer(hidden, cos, sin, mask)
        return hidden

    def new_cache(self, slots: int) -> Tensor:
        """Zeros [attentions, slots, kv_lora_rank + qk_rope_head_dim] on the weights' device and in their type."""
        weight = self.lm_head.weight
        return weight.new_zeros(self.config.n_attentions, slots, self.config.cache_width)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., vocab_size]: the text head."""
        logits: Tensor = self.lm_head(hidden)
        return logits

    def update_router_bias(self, mu: float, mean_ffn: float) -> None:
        """`MoE.update_bias` for every layer; call after each optimiser step. `mean_ffn` is about two thirds of `moe_topk`."""
        for layer in self.model.layers:
            layer.mlp.update_bias(mu, mean_ffn)

    @property
    def active_ffn_per_token(self) -> float:
        """Mean FFN experts a token and layer, over the tokens counted so far; 0.0 before any."""
        return sum(layer.mlp.active_ffn_per_token for layer in self.model.layers) / self.config.num_layers

    def initialise(self) -> None:
        """Fresh weights: normal, deviation 0.5 / sqrt(fan in); those writing to the residual stream smaller with depth."""
        depth = (5 * self.config.num_layers) ** 0.5
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                deep = depth if name.endswith(("o_proj", "down_proj")) else 1.0
                nn.init.normal_(module.weight, std=0.5 / module.in_features**0.5 / deep)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5 / module.embedding_dim**0.5)


def _allowed(segment_mask: Tensor) -> Tensor:
    """[B, T, T] -> [B, 1, T, T]: causal as well, and every row sees at least itself (a row that sees nothing would be NaN)."""
    length = segment_mask.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segment_mask.device).tril()
    own = torch.eye(length, dtype=torch.bool, device=segment_mask.device)
    return ((segment_mask & causal) | own)[:, None]
