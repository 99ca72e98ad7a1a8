"""The backbone over a cache, as the engine runs it: a flat batch of new tokens of several conversations at a time.

The numbers are those of `backbone.py`; the way there is shorter. What is spent on a token of a small network is mostly the
starting of operations, not their arithmetic, so whatever can be multiplied out once is: projections that read the same input
are one matrix, the rotary turn of a key or query comes out of its projection, `kv_b_proj` is absorbed into the query and the
output, and everybody's single new token attends in one call. The latent is never expanded.

Who owns the cache, and which sequence lives where in it, is not known here: a `ForwardBatch` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.model.attention import LatentAttention
from vivavoce.model.backbone import Backbone, DoubleLayer
from vivavoce.model.config import BackboneConfig
from vivavoce.model.layers import RMSNorm, SwiGLU, laid_out, rotary_angles
from vivavoce.model.moe import MoE

__all__ = ["ForwardBatch", "Span", "Stepper", "absorbed", "absorbs"]

ABSORB_UP_TO = 2.0
"""A product of two projections replaces them if it is at most so many times their size: one operation for two."""


@dataclass(frozen=True, eq=False)
class Span:
    """One sequence's part of a flat batch.

    start, length: its rows in the batch. past: tokens of it already in the cache, so its first row has position `past`.
    slots: int64 [past + length or more], the cache row of every position; the first `past + length` are used.
    first: the first of them, if they follow one another.
    """

    start: int
    length: int
    past: int
    slots: Tensor
    first: int | None = None

    @property
    def end(self) -> int:
        """Tokens of the sequence once the batch has run."""
        return self.past + self.length


@dataclass(frozen=True, eq=False)
class ForwardBatch:
    """Tokens of several sequences, flattened to N rows, and the cache they read and write.

    spans: disjoint, in order, covering all N rows; no two sequences share a slot they write.
    cache: [attentions, slots, kv_lora_rank + qk_rope_head_dim], 2 attentions per double layer, written in place.
    """

    spans: tuple[Span, ...]
    cache: Tensor

    @staticmethod
    def of(
        cache: Tensor, parts: Iterable[tuple[int, int, Tensor] | tuple[int, int, Tensor, int | None]]
    ) -> ForwardBatch:
        """A batch from (length, past, slots[, first]) of each sequence, laid one after another.

        Raises ValueError when a sequence has fewer slots than tokens, naming both numbers.
        """
        spans, start = [], 0
        for length, past, slots, *first in parts:
            if slots.shape[0] < (need := past + length):
                raise ValueError(f"{past} past and {length} new tokens need {need} slots, got {slots.shape[0]}")
            spans.append(Span(start, length, past, slots, *first))
            start += length
        return ForwardBatch(tuple(spans), cache)

    @property
    def rows(self) -> int:
        """N, the rows of the flat batch."""
        return sum(span.length for span in self.spans)

    def positions(self, device: torch.device) -> Tensor:
        """int64 [N]: the position of every row in its own sequence."""
        return torch.cat([torch.arange(s.past, s.end, device=device) for s in self.spans])

    def write_slots(self) -> Tensor:
        """int64 [N]: the cache row that every token's latent goes to."""
        return torch.cat([s.slots[s.past : s.end] for s in self.spans])


class Stepper:
    """A backbone made ready for the engine. It reads the weights once: whoever changes them makes another.

    The joined matrices take the place of the backbone's own, which become parts of them, so nothing but the absorbed
    products is held twice.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        with torch.no_grad():
            self._layers = [_Layer(layer) for layer in backbone.model.layers]
            self._norm = _Norm(backbone.model.norm)
            backbone.lm_head.weight.data = laid_out(backbone.lm_head.weight)

    @property
    def given(self) -> list[int] | None:
        """FFN experts that each row of the latest step was given, over all layers; None before any."""
        counts = [layer.mlp.given for layer in self.backbone.model.layers]
        known = [count for count in counts if count is not None]
        return torch.stack(known).sum(dim=0).tolist() if len(known) == len(counts) else None

    @torch.no_grad()
    def step(self, embeds: Tensor, batch: ForwardBatch) -> Tensor:
        """New tokens of several conversations at once: prefill pieces and decoding steps alike.

        embeds: [N, D], N = batch.rows. Writes the N new rows of every cache tensor. Returns [N, D] after the final norm.
        Raises ValueError if the batch's rows and the embeddings disagree.
        """
        if embeds.shape[0] != batch.rows:
            raise ValueError(f"the batch has {batch.rows} rows, got {embeds.shape[0]} embeddings")
        config = self.backbone.config
        cos, sin = rotary_angles(batch.positions(embeds.device), config.qk_rope_head_dim, config.rope_theta)
        where = _Where(
            batch.write_slots(),
            _twice(cos).to(embeds.dtype),
            _twice(sin).to(embeds.dtype),
            _readings(batch.spans, embeds.device),
        )
        hidden = embeds
        for index, layer in enumerate(self._layers):
            hidden = layer.step(hidden, where, (batch.cache[2 * index], batch.cache[2 * index + 1]))
        return self._norm(hidden)


@dataclass(frozen=True, eq=False)
class _Reading:
    """Rows that attend in one call: one sequence's new rows, or the single new row of several sequences."""

    rows: Tensor | slice
    """Which rows of the batch."""
    slots: Tensor | slice
    """Cache rows [L], or [B, L] where several sequences read, short ones padded with their own first."""
    mask: Tensor | None
    """Which of them a row may see, bool [length, L] or [B, 1, 1, L]; None for all."""
    sequences: int = 1


@dataclass(frozen=True, eq=False)
class _Where:
    """What every layer must know of a batch."""

    write: Tensor
    cos: Tensor
    sin: Tensor
    """[N, rope]: both halves turn by the same angles."""
    readings: list[_Reading]

    def turned(self, both: Tensor) -> Tensor:
        """[N, (heads,) 2 * rope], dimensions and where they turn to -> the same dimensions, turned [N, (heads,) rope]."""
        here, there = both.chunk(2, dim=-1)
        cos, sin = (self.cos, self.sin) if both.ndim == 2 else (self.cos[:, None], self.sin[:, None])
        return torch.addcmul(here * cos, there, sin)


class _Layer:
    """A double layer; see `backbone.DoubleLayer`."""

    def __init__(self, layer: DoubleLayer) -> None:
        self.layer = layer
        self.before = [_Norm(norm) for norm in layer.input_layernorm]
        self.after = [_Norm(norm) for norm in layer.post_attention_layernorm]
        self.attentions = [_Attention(attention) for attention in layer.self_attn]
        self.dense = [_Gated(block) for block in layer.mlps]
        self.experts = [_Gated(expert) for expert in layer.mlp.experts]

    def step(self, x: Tensor, where: _Where, caches: tuple[Tensor, Tensor]) -> Tensor:
        before, after = self.before, self.after
        x = x + self.attentions[0].step(before[0](x), where, caches[0])
        normed = after[0](x)
        shortcut = self._mixture(self.layer.mlp, normed)
        x = x + self.dense[0](normed)
        x = x + self.attentions[1].step(before[1](x), where, caches[1])
        return x + self.dense[1](after[1](x)) + shortcut

    def _mixture(self, moe: MoE, x: Tensor) -> Tensor:
        if x.shape[0] > 1 or x.device.type != "cpu":
            return moe.mixed(x, self.experts)
        chosen, weights = moe.router(x)
        taken = list(zip(chosen[0].tolist(), weights[0].tolist(), strict=True))
        out = x * (sum(weight for expert, weight in taken if expert >= len(self.experts)) * moe.zero_scale)
        used = [(expert, weight) for expert, weight in taken if expert < len(self.experts)]
        for expert, weight in used:
            out.add_(self.experts[expert](x), alpha=weight)
        given = [0] * len(self.experts)
        for expert, _ in used:
            given[expert] = 1
        moe.count(given, 1)
        moe.given = torch.tensor([len(used)], device="cpu")
        return out


class _Gated:
    """`SwiGLU` with gate and up in one matrix."""

    def __init__(self, block: SwiGLU) -> None:
        self.gate_up = _joined(block.gate_proj, block.up_proj)
        self.down = block.down_proj.weight

    def __call__(self, x: Tensor) -> Tensor:
        gate, up = F.linear(x, self.gate_up).chunk(2, dim=-1)
        return F.linear(F.silu(gate) * up, self.down)


@dataclass(eq=False)
class _Attention:
    """`LatentAttention` on cached latents."""

    attention: LatentAttention
    down: Tensor = field(init=False)
    """[q_lora + kv_lora + 2 rope, D]: the query's and the key's latents, the shared key, and where it turns to."""
    queries: Tensor = field(init=False)
    """[heads * (nope or, absorbed, kv_lora, + 2 rope), q_lora]."""
    out: Tensor = field(init=False)
    """[D, heads * (v or, absorbed, kv_lora)]."""
    ups: tuple[Tensor, Tensor] | None = field(init=False)
    """What takes a query to latents [heads, nope, kv_lora] and mixed latents to values [heads, kv_lora, v]; None: absorbed."""

    def __post_init__(self) -> None:
        attention = self.attention
        cfg = attention.config
        latent = cfg.kv_lora_rank
        key = attention.kv_a_proj_with_mqa.weight
        self.down = torch.cat([attention.q_a_proj.weight, key[:latent], _turning(key[latent:])])
        if absorbs(cfg):
            self.ups = None
            queries, out = absorbed(attention)
        else:
            up_key, up_value = _ups(attention)
            self.ups = up_key, up_value.transpose(1, 2)
            queries, out = attention.q_b_proj.weight, attention.o_proj.weight
        heads = queries.view(cfg.num_attention_heads, -1, cfg.q_lora_rank)
        plain, turned = heads[:, : -cfg.qk_rope_head_dim], heads[:, -cfg.qk_rope_head_dim :]
        self.queries = laid_out(torch.cat([plain, _turning(turned)], dim=1).flatten(0, 1))
        self.out = laid_out(out)
        self.down = laid_out(self.down)
        self.q_norm = _Norm(attention.q_a_layernorm, attention.q_scale)
        self.latent_norm = _Norm(attention.kv_a_layernorm, attention.kv_scale)

    def step(self, x: Tensor, where: _Where, cache: Tensor) -> Tensor:
        """[N, D] -> [N, D]; writes N rows of the cache and reads each sequence's own rows."""
        cfg = self.attention.config
        low, latent, key = F.linear(x, self.down).split(
            [cfg.q_lora_rank, cfg.kv_lora_rank, 2 * cfg.qk_rope_head_dim], dim=-1
        )
        latent = self.latent_norm(latent)
        cache.index_copy_(0, where.write, torch.cat([latent, where.turned(key)], dim=-1).to(cache.dtype))
        q = F.linear(self.q_norm(low), self.queries)
        q = q.unflatten(-1, (cfg.num_attention_heads, -1))
        plain, turning = q.split([q.shape[-1] - 2 * cfg.qk_rope_head_dim, 2 * cfg.qk_rope_head_dim], dim=-1)
        if self.ups is not None:
            plain = torch.bmm(plain.transpose(0, 1), self.ups[0]).transpose(0, 1)
        q = torch.cat([plain, where.turned(turning)], dim=-1)  # [N, heads, cache width]
        mixed = self._read(q, cache, where.readings)
        if self.ups is not None:
            mixed = torch.bmm(mixed.transpose(0, 1), self.ups[1]).transpose(0, 1)
        return F.linear(mixed.flatten(1), self.out)

    def _read(self, q: Tensor, cache: Tensor, readings: list[_Reading]) -> Tensor:
        """[N, heads, cache width] -> [N, heads, kv_lora]: every row's mix of the latents it may see."""
        parts = [self._mix(q[reading.rows], cache, reading) for reading in readings]
        if len(parts) == 1 and isinstance(readings[0].rows, slice):
            return parts[0]
        mixed = q.new_empty(*q.shape[:2], self.attention.config.kv_lora_rank)
        for reading, part in zip(readings, parts, strict=True):
            mixed[reading.rows] = part
        return mixed

    def _mix(self, q: Tensor, cache: Tensor, reading: _Reading) -> Tensor:
        latent, scale = self.attention.config.kv_lora_rank, self.attention.softmax_scale
        if isinstance(reading.slots, slice):
            rows = cache[reading.slots]
        else:
            rows = cache.index_select(0, reading.slots.flatten())
        rows = rows.to(q.dtype).view(reading.sequences, 1, -1, q.shape[-1])
        if q.shape[0] == reading.sequences:
            # One new row a sequence: its heads share the latents, so they stand where a kernel expects rows.
            mixed = F.scaled_dot_product_attention(q[:, None], rows, rows, attn_mask=reading.mask, scale=scale)
            return mixed[:, 0, :, :latent]
        rows = rows.expand(-1, q.shape[1], -1, -1)
        mixed = F.scaled_dot_product_attention(q.transpose(0, 1)[None], rows, rows, attn_mask=reading.mask, scale=scale)
        return mixed[0, ..., :latent].transpose(0, 1)


def absorbs(config: BackboneConfig) -> bool:
    """Whether the keys' up-projection is multiplied into the queries' projection, and the values' into the output's."""
    c = config
    product = c.kv_lora_rank * (c.q_lora_rank + c.hidden_size)
    apart = c.qk_nope_head_dim * (c.q_lora_rank + c.kv_lora_rank) + c.v_head_dim * (c.kv_lora_rank + c.hidden_size)
    return product <= ABSORB_UP_TO * apart


def absorbed(attention: LatentAttention) -> tuple[Tensor, Tensor]:
    """What takes a query's latent to queries of latents [heads * (kv_lora + rope), q_lora], and mixed latents to the output
    [D, heads * kv_lora]."""
    c = attention.config
    queries = attention.q_b_proj.weight.view(c.num_attention_heads, -1, c.q_lora_rank)
    plain, turned = queries.split([c.qk_nope_head_dim, c.qk_rope_head_dim], 1)
    up_key, up_value = _ups(attention)
    out = attention.o_proj.weight.view(-1, c.num_attention_heads, c.v_head_dim).transpose(0, 1)
    plain = torch.bmm(up_key.transpose(1, 2), plain)
    return torch.cat([plain, turned], dim=1).flatten(0, 1), torch.bmm(out, up_value).transpose(0, 1).flatten(1)


def _ups(attention: LatentAttention) -> tuple[Tensor, Tensor]:
    """Of each head what takes its latents to keys [heads, nope, kv_lora] and to values [heads, v, kv_lora]."""
    c = attention.config
    both = attention.kv_b_proj.weight.view(c.num_attention_heads, -1, c.kv_lora_rank)
    up_key, up_value = both.split([c.qk_nope_head_dim, c.v_head_dim], 1)
    return up_key, up_value


def _readings(spans: Sequence[Span], device: torch.device) -> list[_Reading]:
    """Who attends together: single new rows of sequences of like length, with at most half of what is read padding."""
    readings = [
        _Reading(slice(s.start, s.start + s.length), _slots(s), _causal(s.length, s.past, device))
        for s in spans
        if s.length > 1
    ]
    alike: dict[int, list[Span]] = {}
    for span in spans:
        if span.length == 1:
            alike.setdefault(span.end.bit_length(), []).append(span)
    return readings + [_together(group, device) for group in alike.values()]


def _together(group: list[Span], device: torch.device) -> _Reading:
    first, *others = group
    if not others:
        return _Reading(slice(first.start, first.start + 1), _slots(first), None)
    longest = max(span.end for span in group)
    slots = torch.stack([F.pad(s.slots[: s.end], (0, longest - s.end), value=0) for s in group])
    ends = torch.tensor([span.end for span in group], device=device)
    mask = (torch.arange(longest, device=device) < ends[:, None])[:, None, None]
    starts = [span.start for span in group]
    consecutive = starts == list(range(starts[0], starts[0] + len(starts)))
    rows = slice(starts[0], starts[-1] + 1) if consecutive else torch.tensor(starts, device=device)
    return _Reading(rows, slots, None if all(span.end == longest for span in group) else mask, len(group))


def _slots(span: Span) -> Tensor | slice:
    """Where the sequence's latents lie; those that follow one another need not be gathered."""
    return span.slots[: span.end] if span.first is None else slice(span.first, span.first + span.end)


def _causal(length: int, past: int, device: torch.device) -> Tensor:
    """bool [length, past + length]: row i sees positions 0 .. past + i."""
    seen = torch.arange(past + length, device=device)
    return seen[None] <= torch.arange(past, past + length, device=device)[:, None]


def _turning(weight: Tensor) -> Tensor:
    """[..., rope, in] of interleaved pairs -> [..., 2 rope, in]: the dimensions in half-split order, and where they turn to.

    See `layers.apply_rotary`: its result is the first half times the cosines plus the second times the sines.
    """
    first, second = weight[..., 0::2, :], weight[..., 1::2, :]
    return torch.cat([first, second, -second, first], dim=-2)


def _twice(angles: Tensor) -> Tensor:
    return torch.cat([angles, angles], dim=-1)


def _joined(*linears: nn.Linear) -> Tensor:
    """The linears' weights below one another; each keeps its own as a part of that."""
    joined = laid_out(torch.cat([linear.weight for linear in linears]))
    for linear, part in zip(linears, joined.split([linear.out_features for linear in linears]), strict=True):
        linear.weight.data = part
    return joined


class _Norm:
    """`RMSNorm`, times a constant. In fp32 three short operations, in half precision cast back before the weight, as there."""

    def __init__(self, norm: RMSNorm, scale: float = 1.0) -> None:
        self.eps = norm.eps
        self.weight = norm.weight * scale
        width = norm.weight.shape[0]
        self.long = (self.weight * width**0.5).float()
        """The weight, for a division by the length of a row instead of by the root of its mean square."""
        self.least = torch.tensor((width * norm.eps) ** 0.5, dtype=torch.float32, device=norm.weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return (x * self.long).div_(torch.hypot(length, self.least))
        return F.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype) * self.weight
