"""The network on a CPU with its steps compiled: packs the weights for `kernels/` and takes batches through it.

The same numbers as `stepping.py` and `omni.py`, without an operation of PyTorch in between.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vivavoce.codecs.packing import Shelf, aligned, behind_one_another, padded
from vivavoce.model.attention import LORA_EPS
from vivavoce.model.backbone import DoubleLayer
from vivavoce.model.config import BackboneConfig
from vivavoce.model.helping import helper
from vivavoce.model.kernels import step as compiled
from vivavoce.model.kernels.arrays import (
    BLOCK,
    BLOCK_NUMBERS,
    CHUNK,
    FIELDS,
    LANES,
    Desk,
    Packed,
    Room,
    Rows,
    Shape,
)
from vivavoce.model.kernels.sharing import OVER, Share
from vivavoce.model.omni import Omni
from vivavoce.model.packing import matrices_of, norms_of, stacked
from vivavoce.model.stepping import ForwardBatch, absorbs

__all__ = ["Fused", "fits", "fits_on"]

THREADS = 2
"""With more, PyTorch's products, which share them, are faster than these, which take one."""


HELPED_FROM = 8192
"""Positions of the longest past from which on a second thread is asked to help: to wake it costs as much as some thousand."""


def fits(omni: Omni) -> bool:
    """Whether `Fused` can run this network, and is the fastest that can."""
    return fits_on(omni.device, omni.dtype)


def fits_on(device: torch.device, dtype: torch.dtype) -> bool:
    """The same of a network that is not there yet."""
    return device.type == "cpu" and dtype == torch.float32 and torch.get_num_threads() <= THREADS


class Fused:
    """A network made ready, fp32 on a CPU. It reads the weights once: whoever changes them makes another."""

    @torch.no_grad()
    def __init__(self, omni: Omni) -> None:
        self.omni = omni
        self.config = config = omni.config.backbone
        self._layers = list(omni.backbone.model.layers)
        shelf, heads = Shelf(), omni.audio_output_layers
        self._text_head = np.array(shelf.put(omni.backbone.lm_head.weight))
        self._speech_heads = np.array([shelf.put(head.weight) for head in heads.audio_output_layers])
        joint = [shelf.put(heads.linear.weight)] if heads.linear is not None else []
        self._joint = np.array(joint, np.int64).reshape(-1, len(FIELDS))
        matrices = np.array([[shelf.put(matrix) for matrix in matrices_of(layer)] for layer in self._layers])
        self._packed = Packed(
            full=behind_one_another(shelf.full, np.float32),
            half=behind_one_another(shelf.half, np.uint16),
            matrices=matrices,
            norms=norms_of(self._layers, config),
            last_norm=omni.backbone.model.norm.weight.numpy().copy(),
            bias=np.stack([layer.mlp.router.e_score_correction_bias.numpy() for layer in self._layers]),
        )
        self._shape = _shape(config, self._layers[0])
        self._said = stacked(heads.embedding)
        self._legal = np.stack([heads.legal(stream).numpy() for stream in range(omni.config.speech.n_codebooks)])
        self._spoken = stacked(omni.audio_embeddings.audio_embeddings)
        self._written = omni.backbone.model.embed_tokens.weight.detach().numpy()
        exponents = torch.arange(0, config.qk_rope_head_dim, 2, dtype=torch.float32) / config.qk_rope_head_dim
        self._turns = (config.rope_theta**-exponents).numpy()
        self._room = _room(config, 1)
        self._desks = _desk(config, CHUNK), _desk(config, CHUNK)
        self._alone = torch.get_num_threads() < THREADS
        self.spare_slots = 0
        self.given: list[int] | None = None
        """FFN experts that each row of the latest step was given, over all layers."""
        self._call_all()

    def _call_all(self) -> None:
        """Call every compiled function once: a first call compiles it, or reads it from the disk, and now nobody waits for that."""
        rows = self.embed([0], [[0] * len(self._legal)])
        cache = torch.zeros(2 * len(self._layers), 1, self.config.kv_lora_rank + self.config.qk_rope_head_dim)
        batch = ForwardBatch.of(cache, [(1, 0, torch.zeros(1, dtype=torch.long))])
        hidden = self.step(rows, batch)
        if not self._alone:
            over = Share.of(1)
            over.words[OVER] = 1
            compiled.assist(*self._job(self._rows(batch), cache.view(-1).numpy(), over))
        self.logits(hidden)
        self.codes(hidden, np.full((1, len(self._legal), 1), -1), [1.0])
        for layer in self._layers:
            layer.mlp.reset_load()

    @property
    def weight_bytes(self) -> float:
        """Bytes of one of its weights in memory, on average."""
        full, half = self._packed.full, self._packed.half
        return (full.nbytes + half.nbytes) / (full.size + half.size)

    def step(self, embeds: Tensor, batch: ForwardBatch) -> Tensor:
        """See `stepping.Stepper.step`."""
        count = embeds.shape[0]
        if count != batch.rows:
            raise ValueError(f"the batch has {batch.rows} rows, got {count} embeddings")
        if count > self._room.normed.shape[0]:
            self._room = _room(self.config, count)
        x = np.zeros((count, padded(self.config.hidden_size)), np.float32)
        x[:, : self.config.hidden_size] = embeds.numpy()
        load = np.zeros((len(self._layers), self.config.n_routed_experts), np.int64)
        used = np.zeros(count, np.int64)
        flat, slots = batch.cache.view(-1).numpy(), batch.cache.shape[1]
        rows = self._rows(batch)
        share = self._shared(batch, rows, flat)
        try:
            compiled.step(self._shape, self._packed, self._room, share, *self._desks, rows, x, flat, slots, load, used)
        finally:
            share.words[OVER] = 1
        for layer, given in zip(self._layers, load.tolist(), strict=True):
            layer.mlp.count(given, count)
        self.given = used.tolist()
        return torch.from_numpy(x[:, : self.config.hidden_size])

    def _rows(self, batch: ForwardBatch) -> Rows:
        positions = np.concatenate([np.arange(span.past, span.end) for span in batch.spans])
        tables = [span.slots.numpy() for span in batch.spans]
        angles = positions[:, None].astype(np.float32) * self._turns
        return Rows(
            cos=np.cos(angles),
            sin=np.sin(angles),
            write=np.concatenate([t[s.past : s.end] for s, t in zip(batch.spans, tables, strict=True)]),
            seen=positions + 1,
            tables=np.repeat([t.ctypes.data for t in tables], [span.length for span in batch.spans]),
        )

    def _shared(self, batch: ForwardBatch, rows: Rows, cache: npt.NDArray[np.float32]) -> Share:
        """What the step may be shared by; whoever helps is told, if there is a long past."""
        longest = max(span.end for span in batch.spans)
        if longest > self._desks[0].kept.shape[0] * CHUNK:
            self._desks = _desk(self.config, 2 * longest), _desk(self.config, 2 * longest)
        share = Share.of(longest)
        if longest >= HELPED_FROM and not self._alone:
            helper(os.getpid()).help(_assist, self._job(rows, cache, share), batch)
        return share

    def _job(self, rows: Rows, cache: npt.NDArray[np.float32], share: Share) -> tuple[Any, ...]:
        """What `attending.assist` is given."""
        return self._shape, rows, self._room.columns, cache, share, self._desks[1]

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, D] -> fp32 [N, V]: the text head."""
        made = np.empty((hidden.shape[0], padded(self.config.vocab_size)), np.float32)
        compiled.project(self._packed, self._text_head, hidden.contiguous().numpy(), hidden.shape[0], made)
        return torch.from_numpy(made[:, : self.config.vocab_size])

    def codes(self, hidden: Tensor, recent: npt.NDArray[np.int64], penalties: Sequence[float]) -> list[list[int]]:
        """[N, D] -> N times the four codes, each the best legal one after its penalty; see `kernels.step.chain`."""
        x = hidden.numpy().copy(order="C")
        chosen = np.zeros((x.shape[0], len(self._legal)), np.int64)
        compiled.chain(
            self._packed, self._speech_heads, self._joint, self._said, self._legal, recent, np.array(penalties, np.float32),
            x, np.empty((x.shape[0], padded(x.shape[1])), np.float32),
            np.empty((x.shape[0], padded(self._legal.shape[1])), np.float32), chosen,
        )  # fmt: skip
        said: list[list[int]] = chosen.tolist()
        return said

    def embed(self, texts: Sequence[int], codes: Sequence[Sequence[int]]) -> Tensor:
        """N text ids and N times four codes, negative for none -> [N, D]; see `omni.Omni.embed_step`."""
        rows = np.empty((len(texts), self.config.hidden_size), np.float32)
        compiled.embed(self._written, self._spoken, np.array(texts), np.array(codes), rows)
        return torch.from_numpy(rows)


def _assist(job: tuple[Any, ...], batch: ForwardBatch) -> None:
    """On the helper's thread, which holds the batch, for its tables are known by their addresses alone."""
    compiled.assist(*job)


def _shape(c: BackboneConfig, layer: DoubleLayer) -> Shape:
    apart = not absorbs(c)
    return Shape(
        width=c.hidden_size, layers=c.num_layers, heads=c.num_attention_heads, low=c.q_lora_rank, latent=c.kv_lora_rank,
        rope=c.qk_rope_head_dim, nope=c.qk_nope_head_dim * apart, value=c.v_head_dim * apart, inner=c.ffn_hidden_size,
        expert_inner=c.expert_ffn_hidden_size, experts=c.n_routed_experts, choices=c.n_experts, topk=c.moe_topk,
        eps=c.rms_norm_eps, low_eps=LORA_EPS, softmax_scale=layer.self_attn[0].softmax_scale,
        zero_scale=layer.mlp.zero_scale, routed_scale=float(c.routed_scaling_factor),
    )  # fmt: skip


def _room(c: BackboneConfig, rows: int) -> Room:
    """Room for so many rows. What is read in whole panels has one panel to spare."""

    heads, inner = c.num_attention_heads, max(c.ffn_hidden_size, c.expert_ffn_hidden_size)
    model, cached = padded(c.hidden_size), c.kv_lora_rank + c.qk_rope_head_dim
    apart, some = heads * max(c.qk_nope_head_dim + c.qk_rope_head_dim, c.v_head_dim), aligned
    return Room(
        normed=some(rows, model), low=some(rows, padded(c.q_lora_rank + cached)), queries=some(rows, heads * cached + LANES),
        mixed=some(rows, heads * c.kv_lora_rank), plain=some(rows, apart + LANES), gate_up=some(rows, 2 * inner + LANES),
        added=some(rows, model), shortcut=some(rows, model), gathered=some(rows, model), inner=some(rows, padded(inner)),
        scores=some(rows, padded(c.n_experts)), chosen=np.zeros((rows, c.moe_topk), np.int64), weights=some(rows, c.moe_topk),
        given=np.zeros((rows, 2), np.int64), columns=some(LANES, padded(cached)),
    )  # fmt: skip


def _desk(c: BackboneConfig, positions: int) -> Desk:
    """For pasts of so many positions."""
    wide, latent, chunks = padded(c.cache_width), padded(c.kv_lora_rank), -(-positions // CHUNK)
    block, some = min(BLOCK, max(4, BLOCK_NUMBERS // wide // 4 * 4)), aligned

    return Desk(
        latents=some(block * wide + LANES - 1), odds=some(BLOCK * LANES), sums=some(LANES, latent), state=some(3, LANES),
        kept=some(chunks, LANES, latent), tops=some(chunks, 2, LANES),
    )  # fmt: skip
