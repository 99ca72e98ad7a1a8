"""Multi-head latent attention, in two forms that give the same numbers.

`forward` expands the latent to full keys and values: whole sequences, differentiable, for training and as the reference.
`step` never expands it. It writes `[scaled latent | rotated shared key]` of each new token into a cache it is handed, and
attends over cache rows directly, with `kv_b_proj` absorbed into the query and the output: the engine's path.

Who owns the cache, and which sequence lives where in it, is not known here: a `ForwardBatch` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import RMSNorm, apply_rotary

__all__ = ["ForwardBatch", "LatentAttention", "Span"]

LORA_EPS = 1e-6  # of q_a_layernorm and kv_a_layernorm in the reference code; every other norm uses rms_norm_eps


@dataclass(frozen=True, eq=False)
class Span:
    """One sequence's part of a flat batch.

    start, length: its rows in the batch. past: tokens of it already in the cache, so its first row has position `past`.
    slots: int64 [past + length or more], the cache row of every position; the first `past + length` are used.
    """

    start: int
    length: int
    past: int
    slots: Tensor


@dataclass(frozen=True, eq=False)
class ForwardBatch:
    """Tokens of several sequences, flattened to N rows, and the cache they read and write.

    spans: disjoint, in order, covering all N rows; no two sequences share a slot they write.
    cache: one tensor [slots, kv_lora_rank + qk_rope_head_dim] for each attention (2 per double layer), written in place.
    """

    spans: tuple[Span, ...]
    cache: Sequence[Tensor] | Tensor

    @staticmethod
    def of(cache: Sequence[Tensor] | Tensor, parts: Iterable[tuple[int, int, Tensor]]) -> ForwardBatch:
        """A batch from (length, past, slots) of each sequence, laid one after another.

        Raises ValueError when a sequence has fewer slots than tokens, naming both numbers.
        """
        spans, start = [], 0
        for length, past, slots in parts:
            if slots.shape[0] < (need := past + length):
                raise ValueError(f"{past} past and {length} new tokens need {need} slots, got {slots.shape[0]}")
            spans.append(Span(start, length, past, slots))
            start += length
        return ForwardBatch(tuple(spans), cache)

    @property
    def rows(self) -> int:
        """N, the rows of the flat batch."""
        return sum(span.length for span in self.spans)

    def positions(self, device: torch.device) -> Tensor:
        """int64 [N]: the position of every row in its own sequence."""
        return torch.cat([torch.arange(s.past, s.past + s.length, device=device) for s in self.spans])

    def write_slots(self) -> Tensor:
        """int64 [N]: the cache row that every token's latent goes to."""
        return torch.cat([s.slots[s.past : s.past + s.length] for s in self.spans])

    def masks(self, device: torch.device) -> list[Tensor | None]:
        """For each span a bool [length, past + length] of the positions each row may see; None where it may see them all."""
        return [None if s.length == 1 else _causal(s.length, s.past, device) for s in self.spans]


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
        q = torch.cat(self._queries(x, cos, sin), dim=-1).transpose(1, 2)
        latent, key_rope = self._latents(x, cos, sin)
        expanded = self.kv_b_proj(latent).view(batch, length, cfg.num_attention_heads, -1)
        key_nope, value = torch.split(expanded, [cfg.qk_nope_head_dim, cfg.v_head_dim], dim=-1)
        shared = key_rope[:, :, None].expand(-1, -1, cfg.num_attention_heads, -1)
        k = torch.cat([key_nope, shared], dim=-1).transpose(1, 2)
        mixed = _attend(q, k, value.transpose(1, 2), mask, causal=mask is None, scale=self.softmax_scale)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out

    def step(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        batch: ForwardBatch,
        cache: Tensor,
        write: Tensor,
        masks: list[Tensor | None],
    ) -> Tensor:
        """[N, D] -> [N, D] for a flat batch; writes N rows of `cache` and reads each sequence's own rows."""
        cfg = self.config
        q_nope, q_rope = self._queries(x, cos, sin)
        latent, key_rope = self._latents(x, cos, sin)
        cache.index_copy_(0, write, torch.cat([latent, key_rope], dim=-1).to(cache.dtype))
        weight = self.kv_b_proj.weight.view(cfg.num_attention_heads, -1, cfg.kv_lora_rank)
        up_key, up_value = torch.split(weight, [cfg.qk_nope_head_dim, cfg.v_head_dim], dim=1)
        absorbed = torch.bmm(q_nope.transpose(0, 1), up_key)
        q = torch.cat([absorbed, q_rope.transpose(0, 1)], dim=-1)  # [heads, N, cache width]
        mixed = [self._read(q, span, cache, mask) for span, mask in zip(batch.spans, masks, strict=True)]
        values = torch.bmm(torch.cat(mixed, dim=1), up_value.transpose(1, 2))
        out: Tensor = self.o_proj(values.transpose(0, 1).flatten(1))
        return out

    def _read(self, q: Tensor, span: Span, cache: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of one sequence's rows over its own cache rows: [heads, length, kv_lora_rank] of mixed latents."""
        rows = cache.index_select(0, span.slots[: span.past + span.length]).to(q.dtype)
        rows = rows.expand(1, q.shape[0], -1, -1)
        mine = q[None, :, span.start : span.start + span.length]
        mixed = F.scaled_dot_product_attention(mine, rows, rows, attn_mask=mask, scale=self.softmax_scale)
        return mixed[0, ..., : self.config.kv_lora_rank]

    def _queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """[..., D] -> scaled (nope, rotated rope) queries, [..., heads, dim] each."""
        cfg = self.config
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))) * self.q_scale
        heads = q.unflatten(-1, (cfg.num_attention_heads, -1))
        nope, rope = torch.split(heads, [cfg.qk_nope_head_dim, cfg.qk_rope_head_dim], dim=-1)
        return nope, apply_rotary(rope, cos[..., None, :], sin[..., None, :])

    def _latents(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
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


def _causal(length: int, past: int, device: torch.device) -> Tensor:
    """bool [length, past + length]: row i sees positions 0 .. past + i."""
    seen = torch.arange(past + length, device=device)
    return seen[None] <= torch.arange(past, past + length, device=device)[:, None]
