"""What the ear asks of the audio encoder, and the two that answer: compiled for a CPU, and PyTorch for everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vivavoce.codecs.packing import Shelf, behind_one_another, padded
from vivavoce.model.audio_encoder import FsmnEncoder, FsmnLayer, FsmnState
from vivavoce.model.config import AudioConfig
from vivavoce.model.fused import fits
from vivavoce.model.kernels import hearing as compiled
from vivavoce.model.omni import Omni

__all__ = ["CompiledHearing", "Hearing", "TorchHearing", "hearing_of"]

Float32 = npt.NDArray[np.float32]
State: TypeAlias = Any
"""Where a stream of sound is; a value."""
Sensed: TypeAlias = tuple[Tensor, State]
"""[m, H], the frames now final, and the stream after them."""
CAPS = {"relu": 3e38, "relu6": 6.0}


class Hearing(Protocol):
    """An audio encoder made ready for streams."""

    def start(self) -> State:
        """A stream that has heard nothing."""

    def step(self, pieces: Sequence[Float32], states: Sequence[State]) -> list[Sensed]:
        """Spliced frames [k, input] more of each stream; k may be 0."""

    def finish(self, piece: Float32, state: State) -> Tensor:
        """[k, input], the last of a stream -> all frames not yet final [m, H]."""

    def read(self, hidden: Tensor, spells: bool) -> tuple[Tensor, list[int]]:
        """[M, H] -> embeddings [M, D], and the best CTC id of each frame; none unless it `spells`."""


def hearing_of(omni: Omni) -> Hearing:
    """The fastest that can run this encoder where it is."""
    return CompiledHearing(omni) if fits(omni) else TorchHearing(omni)


class TorchHearing:
    """Any device, any type."""

    def __init__(self, omni: Omni) -> None:
        self._omni = omni

    def start(self) -> FsmnState:
        return self._omni.audio_encoder.initial_state()

    def step(self, pieces: Sequence[Float32], states: Sequence[FsmnState]) -> list[Sensed]:
        return [*self._omni.audio_encoder.step_many([self._tensor(piece) for piece in pieces], states)]

    def finish(self, piece: Float32, state: FsmnState) -> Tensor:
        hidden, after = self._omni.audio_encoder.step(self._tensor(piece)[None], state)
        return torch.cat([hidden, self._omni.audio_encoder.flush(after)], dim=1)[0]

    def read(self, hidden: Tensor, spells: bool) -> tuple[Tensor, list[int]]:
        rows = self._omni.audio_projector(hidden)
        if not spells or not hidden.shape[0]:
            return rows, []
        return rows, self._omni.audio_encoder.ctc_logits(hidden).argmax(dim=-1).tolist()

    def _tensor(self, piece: Float32) -> Tensor:
        # A copy: PyTorch's memory lies where its products like it, numpy's anywhere, and they round by where it lies.
        return torch.tensor(piece).to(self._omni.device, self._omni.dtype)


@dataclass(frozen=True, eq=False)
class Past:
    """What a stream remembers: of each layer its newest normalised frames, and inputs whose future has not arrived."""

    numbers: Float32
    pending: npt.NDArray[np.int64]
    """[layers]: how many inputs wait."""


class CompiledHearing:
    """An encoder made ready, fp32 on a CPU; who else is heard changes no number. It reads the weights once."""

    @torch.no_grad()
    def __init__(self, omni: Omni) -> None:
        config, encoder = omni.config.audio, omni.audio_encoder
        layers = list(encoder.fsmn_layers)
        self._shape = _shape(config, layers, omni.audio_projector.emb_mult)
        self._packed = _packed(encoder, layers, omni.audio_projector)
        self._width = omni.config.backbone.hidden_size
        self._room = _room(self._shape, 1)
        self._call_all()

    def _call_all(self) -> None:
        """A first call compiles, or reads what was compiled before, and now nobody waits for that."""
        ((_, past),) = self.step([np.zeros((1, self._shape.input), np.float32)], [self.start()])
        self.read(self.finish(np.zeros((0, self._shape.input), np.float32), past), True)

    def start(self) -> Past:
        shape = self._shape
        kept = shape.layers * (shape.left + 2 * shape.most) * shape.width
        return Past(np.zeros(kept, np.float32), np.zeros(shape.layers, np.int64))

    def step(self, pieces: Sequence[Float32], states: Sequence[Past]) -> list[Sensed]:
        return self._hear(pieces, states, last=False)

    def finish(self, piece: Float32, state: Past) -> Tensor:
        return self._hear([piece], [state], last=True)[0][0]

    def _hear(self, pieces: Sequence[Float32], pasts: Sequence[Past], last: bool) -> list[Sensed]:
        counts = np.array([len(piece) for piece in pieces])
        numbers, pendings = np.stack([past.numbers for past in pasts]), np.stack([past.pending for past in pasts])
        rows = int(counts.sum() + pendings.sum()) + len(pieces)
        if rows > len(self._room.x):
            self._room = _room(self._shape, rows)
        frames = np.concatenate(pieces)
        made = compiled.hear(self._shape, self._packed, self._room, frames, counts, numbers, pendings, last)
        hidden = torch.from_numpy(self._room.outer[:made, : self._shape.inner].copy()).split(counts.tolist())
        after = [Past(one.copy(), waits.copy()) for one, waits in zip(numbers, pendings, strict=True)]
        return [*zip((part.clone() for part in hidden), after, strict=True)]

    def read(self, hidden: Tensor, spells: bool) -> tuple[Tensor, list[int]]:
        count, outputs = hidden.shape[0], self._packed.matrices[4 + 2 * self._shape.layers :, 2].tolist()
        inner = np.empty((count, padded(max(outputs))), np.float32)
        letters, rows = np.zeros(count * spells, np.int64), np.empty((count, padded(outputs[2])), np.float32)
        compiled.read(self._shape, self._packed, hidden.contiguous().numpy(), inner, letters, rows)
        said: list[int] = letters.tolist()
        return torch.from_numpy(rows[:, : self._width]), said


def _shape(c: AudioConfig, layers: Sequence[FsmnLayer], scale: float) -> compiled.Shape:
    return compiled.Shape(
        input=c.input_size, inner=c.ffn_hidden, width=c.width, layers=len(layers), left=c.left_order,
        most=max(layer.right for layer in layers), cap=CAPS.get(c.activation, 2.0), scale=scale,
    )  # fmt: skip


def _packed(encoder: FsmnEncoder, layers: Sequence[FsmnLayer], projector: nn.Sequential) -> compiled.Packed:
    shelf, order = Shelf(), [encoder.ffn[0], encoder.ffn[2]]
    for layer in layers:
        order += [layer.ffn[1], layer.ffn[3]]
    order += [encoder.dnn[0], encoder.dnn[2], encoder.output, projector[0], projector[2]]
    linears = [cast(nn.Linear, linear) for linear in order]
    matrices = np.array([shelf.put(linear.weight) for linear in linears])
    biases = np.zeros((len(linears), max(linear.out_features for linear in linears)), np.float32)
    for row, linear in zip(biases, linears, strict=True):
        if linear.bias is not None:
            row[: linear.out_features] = linear.bias.numpy()
    width, most = layers[0].memory.in_channels, max(layer.right for layer in layers)
    taps = np.zeros((len(layers), layers[0].left + 1 + most, width), np.float32)
    norms = np.zeros((len(layers), 2, 2, width), np.float32)
    for number, layer in enumerate(layers):
        taps[number, : layer.left + 1 + layer.right] = layer.memory.weight[:, 0].t().numpy()
        for which, norm in enumerate((layer.memory_ln, cast(nn.LayerNorm, layer.ffn[0]))):
            norms[number, which, 0], norms[number, which, 1] = norm.weight.numpy(), norm.bias.numpy()
    return compiled.Packed(
        full=behind_one_another(shelf.full, np.float32),
        half=behind_one_another(shelf.half, np.uint16),
        matrices=matrices, biases=biases, norms=norms, taps=taps, rights=np.array([layer.right for layer in layers]),
    )  # fmt: skip


def _room(shape: compiled.Shape, rows: int) -> compiled.Room:
    """Room for so many rows, whoever's they are."""
    width, inner = padded(shape.width), padded(shape.inner)
    window = shape.left + 2 * shape.most + rows
    return compiled.Room(
        x=np.zeros((rows, width), np.float32), y=np.zeros((rows, width), np.float32),
        window=np.zeros((window, shape.width), np.float32), inner=np.zeros((rows, inner), np.float32),
        outer=np.zeros((rows, inner), np.float32),
    )  # fmt: skip
