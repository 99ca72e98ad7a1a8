"""The next-token-prediction head: a guess at the token after the next, from one dense layer behind the backbone.

What it reads at position t are the embedding of the input that stands at t + 1 and the backbone's hidden vector of t (after the
final norm); what it makes of them goes through the backbone's own text head and is a guess at position t + 2. A reply in writing
is decoded two rows at a time with it, see `engine/speculation.py`. Speech has none: its next input is more than a token.

Parameter names are the release's, below `model.mtp.`. The release stores the table of embeddings there a second time; it is the
backbone's, and is not held twice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vivavoce.model.attention import LatentAttention
from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import ModuleList, RMSNorm, SwiGLU, rotary_angles
from vivavoce.model.stepping import ForwardBatch

__all__ = ["EMBEDDING", "PREFIX", "MtpHead"]

PREFIX = "model.mtp."
"""Of its names in a release."""
EMBEDDING = "embed_tokens.weight"
"""The stored copy of the backbone's table, below `PREFIX`."""


class _Norm(nn.Module):
    """A norm under the name `m`."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.m = RMSNorm(config.hidden_size, config.rms_norm_eps)


class _Dense(nn.Module):
    """A feed-forward block under the name `mlp`."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.mlp = SwiGLU(config.hidden_size, config.ffn_hidden_size)


class MtpLayer(nn.Module):
    """`x = eh_proj [enorm(embedding), hnorm(hidden)]`, then one dense layer: `x + attn(norm(x))`, `+ ffn(norm(.))`."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.enorm, self.hnorm = _Norm(config), _Norm(config)
        self.eh_proj = nn.Linear(2 * width, width, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(width, eps), RMSNorm(width, eps)
        self.self_attn = LatentAttention(config)
        self.transformer_layer = _Dense(config)

    def joined(self, embeds: Tensor, hidden: Tensor) -> Tensor:
        """[..., D] each -> [..., D]: what the layer begins with."""
        x: Tensor = self.eh_proj(torch.cat([self.enorm.m(embeds), self.hnorm.m(hidden)], dim=-1))
        return x

    def fed(self, x: Tensor) -> Tensor:
        """The second half."""
        more: Tensor = self.transformer_layer.mlp(self.post_attention_layernorm(x))
        return x + more


class MtpHead(nn.Module):
    """The head. `forward` is over whole sequences, `step` over a cache; the two agree."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = ModuleList([MtpLayer(config)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        if self.norm.weight.device.type != "meta":
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.5 / module.in_features**0.5)

    def forward(self, embeds: Tensor, hidden: Tensor) -> Tensor:
        """Whole sequences, causal.

        embeds: [B, T, D], row t the input at position t + 1. hidden: [B, T, D], row t the backbone's at t, after its final norm.
        Returns [B, T, D]; the text head makes logits for position t + 2 of it.
        """
        layer, positions = self.layers[0], torch.arange(embeds.shape[1], device=embeds.device)[None]
        cos, sin = rotary_angles(positions, self.config.qk_rope_head_dim, self.config.rope_theta)
        x = layer.joined(embeds, hidden)
        x = x + layer.self_attn(layer.input_layernorm(x), cos, sin, None)
        out: Tensor = self.norm(layer.fed(x))
        return out

    @torch.no_grad()
    def step(self, embeds: Tensor, hidden: Tensor, batch: ForwardBatch) -> Tensor:
        """New rows [N, D] of several conversations, N = batch.rows, behind those in the batch's one cache -> [N, D].

        The latents are not expanded: a query is taken to them, and what is mixed of them to values.
        """
        layer, cfg, (cache,) = self.layers[0], self.config, tuple(batch.cache)
        attention: LatentAttention = layer.self_attn
        cos, sin = rotary_angles(batch.positions(embeds.device), cfg.qk_rope_head_dim, cfg.rope_theta)
        x = layer.joined(embeds, hidden)
        normed = layer.input_layernorm(x)
        plain, turned = attention.queries(normed, cos, sin)
        cache[batch.write_slots()] = torch.cat(attention.latents(normed, cos, sin), dim=-1).to(cache.dtype)
        up = attention.kv_b_proj.weight.view(cfg.num_attention_heads, -1, cfg.kv_lora_rank)
        up_key, up_value = up.split([cfg.qk_nope_head_dim, cfg.v_head_dim], dim=1)
        queries = torch.cat([torch.einsum("nhd,hdl->nhl", plain, up_key), turned], dim=-1)
        mixed = torch.cat(
            [
                _mixed(
                    queries[s.start : s.start + s.length],
                    cache[s.slots[: s.end]].to(x.dtype),
                    attention.softmax_scale,
                    s.past,
                )
                for s in batch.spans
            ]
        )
        values = torch.einsum("nhl,hvl->nhv", mixed[..., : cfg.kv_lora_rank], up_value)
        x = x + attention.o_proj(values.flatten(1))
        out: Tensor = self.norm(layer.fed(x))
        return out


def _mixed(queries: Tensor, rows: Tensor, scale: float, past: int) -> Tensor:
    """[n, heads, width] over cached rows [past + n, width] -> [n, heads, width], each of what it may see."""
    scores = torch.einsum("nhw,sw->nhs", queries, rows) * scale
    seen = torch.ones(scores.shape[0], scores.shape[2], dtype=torch.bool, device=rows.device).tril(past)
    odds = scores.float().masked_fill(~seen[:, None], float("-inf")).softmax(dim=-1).to(rows.dtype)
    return torch.einsum("nhs,sw->nhw", odds, rows)
