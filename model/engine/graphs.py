"""Decoding in steps of static shapes, which a GPU records once and then replays: `torch.cuda.CUDAGraph`.

A step of decoding is hundreds of small operations, and to start each takes a processor longer than a GPU needs for it. A replay
starts all of them at once, but of the same shapes, at the same addresses, and with nothing that the processor must know in
between. So conversations and positions are filled up to the next size of few (idle rows write to a slot that is nobody's), the
past is gathered by tables in fixed tensors and masked, and experts multiply rows sorted by expert, whoever chose them.

Steps with pieces of prompts have no fixed shape and go through `Stepper`, whose weights these share. Choosing ids comes after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vivavoce.model.engine.network import TorchNetwork
from vivavoce.model.layers import rotary_angles
from vivavoce.model.moe import MoE
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch, Span, Stepper, _Layer, _Reading, _twice, _Where

__all__ = ["GraphNetwork", "StaticStep"]

ROWS = (1, 2, 4, 8, 16, 32, 64)
"""Conversations of a recorded step; more are not recorded."""
SHORTEST = 256
"""Positions of the shortest recorded step; the next have twice as many each."""
PADDING = 4
"""A step of static shapes reads at most so many times the positions that there are; less even ones have no such shape."""
TRIES = 3
"""Steps before one is recorded: libraries set themselves up in the first ones."""


class GraphNetwork(TorchNetwork):
    """`TorchNetwork` with steps of decoding replayed on a GPU. Anywhere else they are of the same shapes, and run as they are.

    The last slot of every cache is nobody's: idle rows write there.
    """

    def __init__(self, omni: Omni) -> None:
        super().__init__(omni)
        self.spare_slots = 1
        self._experts = [Experts(layer) for layer in self._stepper._layers]
        self._steps: dict[tuple[int, int, int], StaticStep] = {}
        self._given: list[int] | None = None
        self._memory: Any = None
        """Of all recorded steps together: one runs at a time."""

    @property
    def given(self) -> list[int] | None:
        return self._given

    @torch.no_grad()
    def step(self, embeds: Tensor, batch: ForwardBatch) -> Tensor:
        """See `Stepper.step`."""
        if embeds.shape[0] != batch.rows:
            raise ValueError(f"the batch has {batch.rows} rows, got {embeds.shape[0]} embeddings")
        size = size_of(batch)
        if size is None:
            hidden = self._stepper.step(embeds, batch)
            self._given = self._stepper.given
            return hidden
        hidden, given = self._of_size(*size, batch).run(embeds, batch.spans)
        self._count(given)
        return hidden

    def _of_size(self, rows: int, longest: int, batch: ForwardBatch) -> StaticStep:
        """The step of this size; of another cache than before it is made anew."""
        key = rows, longest, batch.cache.data_ptr()
        if key not in self._steps:
            self._steps = {known: step for known, step in self._steps.items() if known[2] == key[2]}
            made = StaticStep(self._stepper, self._experts, batch.cache, rows, longest)
            if batch.cache.device.type == "cuda":
                self._memory = made.record(self._memory)
            self._steps[key] = made
        return self._steps[key]

    def _count(self, given: Tensor) -> None:
        """given: int64 [layers, N, experts], 1 where a row was given an expert."""
        self._given = given.sum(dim=(0, 2)).tolist()
        for layer, load in zip(self._stepper._layers, given.sum(dim=1).tolist(), strict=True):
            layer.layer.mlp.count(load, given.shape[1])


def size_of(batch: ForwardBatch) -> tuple[int, int] | None:
    """Rows and positions of the smallest step of static shapes for a batch; None if it is for a step of any shape."""
    if batch.rows != len(batch.spans) or batch.rows > ROWS[-1]:
        return None
    ends = [max(span.end, SHORTEST) for span in batch.spans]
    rows, longest = next(size for size in ROWS if size >= batch.rows), 1 << (max(ends) - 1).bit_length()
    return (rows, longest) if rows * longest <= PADDING * sum(ends) else None


class Experts:
    """A layer's FFN experts one behind the other, of which those of its `Stepper` become parts."""

    def __init__(self, layer: _Layer) -> None:
        self.moe: MoE = layer.layer.mlp
        self.gate_up = torch.stack([expert.gate_up for expert in layer.experts])
        self.down = torch.stack([expert.down for expert in layer.experts])
        for i, (expert, block) in enumerate(zip(layer.experts, self.moe.experts, strict=True)):
            expert.gate_up, expert.down = self.gate_up[i], self.down[i]
            block.gate_proj.weight.data, block.up_proj.weight.data = expert.gate_up.chunk(2)
            block.down_proj.weight.data = expert.down

    def mixed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`MoE.mixed` of rows [N, D], and which experts each was given, int64 [N, experts]: all of shapes known before."""
        chosen, weights = self.moe.router(x)
        count, topk = len(self.down), chosen.shape[1]
        names = torch.arange(count, device=x.device)
        identity = (weights * (chosen >= count)).sum(-1, keepdim=True) * self.moe.zero_scale
        ids, order = chosen.flatten().sort(stable=True)  # those that cost nothing have the highest ids: they come last
        ends = torch.searchsorted(ids, names, right=True).int()
        rows = x.index_select(0, order.div(topk, rounding_mode="floor"))
        gate, up = grouped(rows, self.gate_up, ids, ends).chunk(2, dim=-1)
        done = grouped(F.silu(gate) * up, self.down, ids, ends)
        scaled = done * weights.flatten().index_select(0, order)[:, None]
        scaled = torch.where((ids < count)[:, None], scaled, 0.0)
        apart = torch.empty_like(scaled).index_copy_(0, order, scaled).view(-1, topk, x.shape[1])
        out = apart.sum(dim=1).to(x.dtype) + (identity * x).to(x.dtype)
        return out, (chosen[:, :, None] == names).sum(dim=1)


def grouped(rows: Tensor, weights: Tensor, ids: Tensor, ends: Tensor) -> Tensor:
    """Rows [N, in], sorted by expert, each times its expert's [experts, out, in] -> [N, out]; of no use behind the last end."""
    if rows.dtype == torch.bfloat16:
        product: Tensor = F.grouped_mm(rows, weights.transpose(1, 2), offs=ends)
        return product
    return torch.bmm(weights.index_select(0, ids.clamp(max=len(weights) - 1)), rows[:, :, None])[:, :, 0]


class StaticStep:
    """A step of decoding for so many rows over pasts of up to so many positions, over one cache."""

    def __init__(self, stepper: Stepper, experts: Sequence[Experts], cache: Tensor, rows: int, longest: int) -> None:
        self._stepper, self._experts, self._cache = stepper, experts, cache
        device, spare = cache.device, cache.shape[1] - 1
        with torch.inference_mode(False):
            self.embeds = torch.zeros(rows, stepper.backbone.config.hidden_size, dtype=cache.dtype, device=device)
            self.positions = torch.zeros(rows, dtype=torch.long, device=device)
            self.write = torch.full((rows,), spare, device=device)
            self.slots = torch.full((rows, longest), spare, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._made: tuple[Tensor, Tensor] | None = None

    def record(self, memory: Any) -> Any:
        """Record the step on its GPU, while all rows are idle; returns the memory that it uses, for others to share."""
        side = torch.cuda.Stream(self._cache.device)
        side.wait_stream(torch.cuda.current_stream(self._cache.device))
        with torch.cuda.stream(side):
            for _ in range(TRIES):
                self.compute()
        torch.cuda.current_stream(self._cache.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=memory):
            self._made = self.compute()
        return self._graph.pool()

    def run(self, embeds: Tensor, spans: Sequence[Span]) -> tuple[Tensor, Tensor]:
        """The next row [N, D] of each conversation -> hidden vectors [N, D], and given int64 [layers, N, experts]."""
        count, device = len(spans), self._cache.device
        self.embeds[:count].copy_(embeds)
        pasts = torch.tensor([span.past for span in spans], pin_memory=device.type == "cuda")
        self.positions[:count].copy_(pasts, non_blocking=True)
        self.positions[count:].zero_()
        self.write[count:].fill_(self._cache.shape[1] - 1)
        self.slots[count:, :1].fill_(self._cache.shape[1] - 1)
        for row, span in enumerate(spans):
            self.slots[row, : span.end].copy_(span.slots[: span.end], non_blocking=True)
            self.write[row : row + 1].copy_(span.slots[span.past : span.end], non_blocking=True)
        if self._graph is None:
            hidden, given = self.compute()
        else:
            assert self._made is not None
            self._graph.replay()
            hidden, given = self._made
        return hidden[:count].clone(), given[:, :count].clone()

    def compute(self) -> tuple[Tensor, Tensor]:
        """The step itself, from what lies in the fixed tensors. Nothing in here may ask the device for a number."""
        config = self._stepper.backbone.config
        cos, sin = rotary_angles(self.positions, config.qk_rope_head_dim, config.rope_theta)
        rows, longest = self.slots.shape
        seen = torch.arange(longest, device=self.slots.device) <= self.positions[:, None]
        reading = _Reading(slice(0, rows), self.slots, seen[:, None, None], rows)
        where = _Where(self.write, _twice(cos).to(self.embeds.dtype), _twice(sin).to(self.embeds.dtype), [reading])
        hidden, given = self.embeds, []
        for index, (layer, experts) in enumerate(zip(self._stepper._layers, self._experts, strict=True)):
            x = hidden + layer.attentions[0].step(layer.before[0](hidden), where, self._cache[2 * index])
            normed = layer.after[0](x)
            shortcut, taken = experts.mixed(normed)
            x = x + layer.dense[0](normed)
            x = x + layer.attentions[1].step(layer.before[1](x), where, self._cache[2 * index + 1])
            hidden = x + layer.dense[1](layer.after[1](x)) + shortcut
            given.append(taken)
        return self._stepper._norm(hidden), torch.stack(given)
