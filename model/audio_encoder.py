"""Hearing: spliced fbank frames in, one embedding every 80 ms out. FSMN encoder, CTC head and projector.

The same weights run offline (`forward`, whole clips) and streaming (`step` / `flush` with a state that is a plain value). The
two agree to float rounding, whatever the sizes of the pieces.

A layer is `y = x + conv(LN(x))`, `z = y + FFN(LN(y))`. The convolution is depthwise over time: `left_order` past frames, the
present one and, in the last `layers_lookahead` layers, `right_order` future frames. So an output is final `config.lookahead`
frames (6 x 80 ms in the release) after its input. Nothing encodes position, so a stream may go on for ever.

Parameter names are those of the release's `audio_encoder.pt` and `audio_projector.pt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.model.config import AudioConfig
from vivavoce.model.layers import ModuleList

__all__ = ["AudioProjector", "FsmnEncoder", "FsmnState", "LayerState"]


@dataclass(frozen=True)
class LayerState:
    """What one layer remembers of its stream.

    memory: [B, left + right, width], the newest normalised frames (zeros before the stream began).
    pending: [B, 0..right, width], inputs whose future has not arrived yet.
    """

    memory: Tensor
    pending: Tensor


@dataclass(frozen=True)
class FsmnState:
    """A stream's whole past. A value: `step` never writes into it, so keeping it *is* copying it."""

    layers: tuple[LayerState, ...]

    def copy(self) -> FsmnState:
        """An independent copy, sharing no memory."""
        return FsmnState(tuple(LayerState(s.memory.clone(), s.pending.clone()) for s in self.layers))


class FsmnLayer(nn.Module):
    """One memory block and one feed-forward block, both residual. `right` is its look-ahead in frames."""

    def __init__(self, config: AudioConfig, right: int) -> None:
        super().__init__()
        width, inner = config.width, config.ffn_hidden
        self.left, self.right = config.left_order, right
        self.memory_ln = nn.LayerNorm(width)
        self.memory = nn.Conv1d(width, width, self.left + 1 + right, groups=width, bias=False)
        self.ffn = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            _activation(config),
            nn.Linear(inner, width),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, width] -> [B, T, width]. Normalised frames beyond a clip's end count as zero, as they do for a clip alone."""
        normed = self.memory_ln(x)
        if mask is not None:
            normed = normed * mask
        y = x + self._remember(F.pad(normed, (0, 0, self.left, self.right)))
        more: Tensor = self.ffn(y)
        return y + more

    def initial_state(self, like: Tensor) -> LayerState:
        batch, _, width = like.shape
        return LayerState(like.new_zeros(batch, self.left + self.right, width), like.new_zeros(batch, 0, width))

    def step(self, x: Tensor, state: LayerState, last: bool = False) -> tuple[Tensor, LayerState]:
        """[B, k, width] -> the m frames whose future is now known, and the state after them. `last`: the future is silence."""
        normed = self.memory_ln(x)
        if last:
            normed = F.pad(normed, (0, 0, 0, self.right))
        if normed.shape[1] == 0:
            return x, state
        window = torch.cat([state.memory, normed], dim=1)
        waiting = torch.cat([state.pending, x], dim=1)
        ready = waiting.shape[1] if last else max(0, waiting.shape[1] - self.right)
        remembered = self._remember(window)
        y = waiting[:, :ready] + remembered[:, remembered.shape[1] - ready :]
        keep = self.left + self.right
        return y + self.ffn(y), LayerState(window[:, window.shape[1] - keep :], waiting[:, ready:])

    def step_many(self, x: Tensor, lengths: list[int], state: LayerState) -> tuple[Tensor, list[int], LayerState]:
        """`step` of several streams at once: [B, K, width], of which the first `lengths[i]` frames are stream i's.

        No length may be under the layer's look-ahead. Returns the frames whose future is now known, how many of them are each
        stream's, and the state.
        """
        window = torch.cat([state.memory, self.memory_ln(x)], dim=1)
        waiting = torch.cat([state.pending, x], dim=1)
        missing = self.right - state.pending.shape[1]
        y = waiting[:, : x.shape[1] - missing] + self._remember(window)[:, missing:]
        ready = [length - missing for length in lengths]
        after = LayerState(_from(window, lengths, self.left + self.right), _from(waiting, ready, self.right))
        return y + self.ffn(y), ready, after

    def _remember(self, window: Tensor) -> Tensor:
        """Depthwise convolution over time without padding, [B, n, width] -> [B, n - left - right, width]."""
        return F.conv1d(window.transpose(1, 2), self.memory.weight, groups=self.memory.groups).transpose(1, 2)


class FsmnEncoder(nn.Module):
    """The speech encoder. Output width is `config.ffn_hidden`."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.width, config.ffn_hidden
        self.ffn = nn.Sequential(
            nn.Linear(config.input_size, inner), _activation(config), nn.Linear(inner, width, bias=False)
        )
        rights = [0] * config.layers_causal + [config.right_order] * config.layers_lookahead
        self.fsmn_layers = ModuleList([FsmnLayer(config, right) for right in rights])
        self.dnn = nn.Sequential(
            nn.Linear(width, inner), _activation(config), nn.Linear(inner, inner), _activation(config)
        )
        self.output = nn.Linear(inner, config.ctc_vocab)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode whole clips.

        x: [B, T, input_size] spliced features, padded on the right with anything finite.
        lengths: [B] frames of each clip; None when all are T long.
        Returns [B, T, ffn_hidden]. A clip's frames do not depend on the clips beside it; frames beyond its end mean nothing.
        """
        if x.shape[1] == 0:
            return x.new_zeros(x.shape[0], 0, self.config.ffn_hidden)
        mask = None if lengths is None else _mask(lengths, x)
        hidden = self.ffn(x)
        for layer in self.fsmn_layers:
            hidden = layer(hidden if mask is None else hidden * mask, mask)
        out: Tensor = self.dnn(hidden if mask is None else hidden * mask)
        return out

    def ctc_logits(self, hidden: Tensor) -> Tensor:
        """[B, T, ffn_hidden] -> [B, T, ctc_vocab] logits over characters and the blank."""
        logits: Tensor = self.output(hidden)
        return logits

    def initial_state(self, batch: int = 1) -> FsmnState:
        """The state of `batch` streams that have heard nothing, on the weights' device and in their type."""
        like = self.output.weight.new_zeros(batch, 0, self.config.width)
        return FsmnState(tuple(layer.initial_state(like) for layer in self.fsmn_layers))

    def step(self, x: Tensor, state: FsmnState) -> tuple[Tensor, FsmnState]:
        """Hear [B, k, input_size] more; returns the m frames now final, [B, m, ffn_hidden], and the new state. k may be 0."""
        return self._run(self.ffn(x), state, last=False)

    def step_many(self, pieces: Sequence[Tensor], states: Sequence[FsmnState]) -> list[tuple[Tensor, FsmnState]]:
        """`step` of several streams, each by itself or together, as fits: [k, input_size] and a state of one stream each.

        Returns for each the frames now final [m, ffn_hidden] and the new state, which share no stream's past but its own.
        """
        made: dict[int, tuple[Tensor, FsmnState]] = {}
        groups: dict[tuple[int, ...] | int, list[int]] = {}
        for index, (piece, state) in enumerate(zip(pieces, states, strict=True)):
            # Streams go together that wait for as much future, and get at least that; the others are few and short.
            waiting = tuple(layer.pending.shape[1] for layer in state.layers)
            groups.setdefault(waiting if piece.shape[0] >= self.config.lookahead else index, []).append(index)
        for group in groups.values():
            if len(group) == 1:
                (index,) = group
                hidden, after = self.step(pieces[index][None], states[index])
                made[index] = hidden[0], after
            else:
                together = self._together([pieces[i] for i in group], [states[i] for i in group])
                made |= zip(group, together, strict=True)
        return [made[index] for index in range(len(pieces))]

    def _together(self, pieces: list[Tensor], states: list[FsmnState]) -> list[tuple[Tensor, FsmnState]]:
        lengths = [piece.shape[0] for piece in pieces]
        hidden: Tensor = self.ffn(pad_sequence(pieces, batch_first=True))
        after: list[LayerState] = []
        for index, layer in enumerate(self.fsmn_layers):
            before = [state.layers[index] for state in states]
            stacked = LayerState(torch.cat([s.memory for s in before]), torch.cat([s.pending for s in before]))
            hidden, lengths, state = layer.step_many(hidden, lengths, stacked)
            after.append(state)
        hidden = self.dnn(hidden)
        return [
            (hidden[i, :length], FsmnState(tuple(_of_one(state, i) for state in after)))
            for i, length in enumerate(lengths)
        ]

    def flush(self, state: FsmnState) -> Tensor:
        """The frames still waiting when the stream ends, [B, m, ffn_hidden]; m is at most `config.lookahead`."""
        nothing = state.layers[0].pending.new_zeros(state.layers[0].memory.shape[0], 0, self.config.width)
        return self._run(nothing, state, last=True)[0]

    def _run(self, hidden: Tensor, state: FsmnState, last: bool) -> tuple[Tensor, FsmnState]:
        states = []
        for layer, before in zip(self.fsmn_layers, state.layers, strict=True):
            hidden, after = layer.step(hidden, before, last)
            states.append(after)
        return self.dnn(hidden), FsmnState(tuple(states))


class AudioProjector(nn.Sequential):
    """Encoder frames to backbone embeddings: [..., ffn_hidden] -> [..., hidden_size]."""

    def __init__(self, config: AudioConfig, hidden_size: int) -> None:
        super().__init__(
            nn.Linear(config.ffn_hidden, config.projector_hidden),
            nn.GELU(),
            nn.Linear(config.projector_hidden, hidden_size),
        )
        self.emb_mult = config.emb_mult

    def forward(self, hidden: Tensor) -> Tensor:
        rows: Tensor = super().forward(hidden)  # type: ignore[no-untyped-call]
        return rows * self.emb_mult


def _activation(config: AudioConfig) -> nn.Module:
    if config.activation == "relu":
        return nn.ReLU()
    return nn.Hardtanh(0.0, 6.0 if config.activation == "relu6" else 2.0)


def _from(rows: Tensor, starts: list[int], count: int) -> Tensor:
    """[B, T, width] -> [B, count, width], of each stream from where it starts."""
    if min(starts) == max(starts):
        return rows[:, starts[0] : starts[0] + count]
    at = torch.tensor(starts, device=rows.device)[:, None] + torch.arange(count, device=rows.device)
    return rows[torch.arange(rows.shape[0], device=rows.device)[:, None], at]


def _of_one(state: LayerState, stream: int) -> LayerState:
    """One stream's part of a batch, in memory of its own: a state is kept longer than the batch."""
    one = slice(stream, stream + 1)
    return LayerState(state.memory[one].clone(), state.pending[one].clone())


def _mask(lengths: Tensor, x: Tensor) -> Tensor:
    """[B] -> [B, T, 1] ones inside the clips, zeros beyond."""
    positions = torch.arange(x.shape[1], device=x.device)
    return (positions < lengths.to(x.device)[:, None]).to(x.dtype)[..., None]
