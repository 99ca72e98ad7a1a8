"""Multi-head latent attention over whole sequences, differentiable: for training, and as the reference.

The latent is expanded to full keys and values. `stepping.py` gives the same numbers from a cache without expanding it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import RMSNorm, apply_rotary

__all__ = ["LatentAttention"]

LORA_EPS = 1e-6  # of q_a_layernorm and kv_a_layernorm in the reference code; every other norm uses rms_norm_eps


class LatentAttention(nn.Module):
    """MLA. Both low-rank projections are rescaled by sqrt(hidden / rank), as LongCat-Flash does."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        heads, width = config.num_attention_heads, config.hidden_size
        nope, rope, value = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        self.q_a_proj = nn.Linear(width, config.q_lora_rank, bias=False)
        self.q_a_layernorm = RMSNorm(config.q_lora_rank, LORA_EPS)
        self.q_b_proj = nn.Linear(config.q_lora_rank, heads * (nope + rope), bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(width, config.kv_lora_rank + rope, bias=False)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, LORA_EPS)
        self.kv_b_proj = nn.Linear(config.kv_lora_rank, heads * (nope + value), bias=False)
        self.o_proj = nn.Linear(heads * value, width, bias=False)
        self.q_scale = math.sqrt(width / config.q_lora_rank) if config.mla_scale_q_lora else 1.0
        self.kv_scale = math.sqrt(width / config.kv_lora_rank) if config.mla_scale_kv_lora else 1.0
        self.softmax_scale = (nope + rope) ** -0.5

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, D] -> [B, T, D]. cos, sin [B or 1, T, rope / 2]; mask bool [B, 1, T, T] (True: may see), None for causal."""
        cfg, (batch, length, _) = self.config, x.shape
        q = torch.cat(self.queries(x, cos, sin), dim=-1).transpose(1, 2)
        latent, key_rope = self.latents(x, cos, sin)
        expanded = self.kv_b_proj(latent).view(batch, length, cfg.num_attention_heads, -1)
        key_nope, value = torch.split(expanded, [cfg.qk_nope_head_dim, cfg.v_head_dim], dim=-1)
        shared = key_rope[:, :, None].expand(-1, -1, cfg.num_attention_heads, -1)
        k = torch.cat([key_nope, shared], dim=-1).transpose(1, 2)
        mixed = _attend(q, k, value.transpose(1, 2), mask, causal=mask is None, scale=self.softmax_scale)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out

    def queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """[..., D] -> scaled (nope, rotated rope) queries, [..., heads, dim] each."""
        cfg = self.config
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))) * self.q_scale
        heads = q.unflatten(-1, (cfg.num_attention_heads, -1))
        nope, rope = torch.split(heads, [cfg.qk_nope_head_dim, cfg.qk_rope_head_dim], dim=-1)
        return nope, apply_rotary(rope, cos[..., None, :], sin[..., None, :])

    def latents(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """[..., D] -> (scaled latent [..., kv_lora_rank], rotated key shared by all heads [..., rope])."""
        cfg = self.config
        latent, rope = self.kv_a_proj_with_mqa(x).split([cfg.kv_lora_rank, cfg.qk_rope_head_dim], dim=-1)
        return self.kv_a_layernorm(latent) * self.kv_scale, apply_rotary(rope, cos, sin)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Fused attention with values padded to the keys' width: the fused kernels want one width, and padding is cheaper."""
    width = v.shape[-1]
    if width < q.shape[-1]:
        v = F.pad(v, (0, q.shape[-1] - width))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)[..., :width]
