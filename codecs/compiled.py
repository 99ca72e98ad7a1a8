"""The speech decoder on a CPU with its steps compiled: packs the weights for `kernels/` and takes streams through it.

The same numbers as `decoder.py` to 1e-4, without an operation of PyTorch. A stream's are the same to the last bit whoever is
decoded beside it, and wherever its numbers lie in memory: every sum is taken in one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vivavoce.codecs.decoder import KERNEL, LOOKAHEAD, Memory, ResidualUnit, SpeechDecoderNet, UpBlock
from vivavoce.codecs.kernels import speaking as compiled
from vivavoce.codecs.kernels.convolving import EIGHT, rows_of
from vivavoce.codecs.kernels.vectors import LANES
from vivavoce.codecs.layers import SNAKE_EPS, CausalPad, Snake, WeightNormed, WNConv1d
from vivavoce.codecs.packing import Shelf, behind_one_another, padded
from vivavoce.codecs.quantizer import ProductQuantizer

__all__ = ["CompiledDecoder", "Past", "fits"]

Float32 = npt.NDArray[np.float32]

THREADS = 2
"""With more, PyTorch's convolutions, which share them, are faster than these, which take one."""
WEIGHTS = 16 * 2**20
"""Of larger decoders PyTorch makes use as well: their products are long, and hold the weights once."""


def fits(net: SpeechDecoderNet) -> bool:
    """Whether `CompiledDecoder` can run this decoder, and is the fastest that can."""
    weight = net.semantic_dequantizer.dequant.weight
    few = sum(parameter.numel() for parameter in net.decoder.parameters()) <= WEIGHTS
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and few and torch.get_num_threads() <= THREADS


@dataclass(frozen=True, eq=False)
class Past:
    """What a stream of speech remembers between steps. A value: keeping it is a copy of the stream."""

    numbers: Float32
    """The states of the LSTMs, the past of every convolution, and the latest six frames between them."""

    frames: int = 0
    """How many there have been, counted to three: so many give no sound yet."""


class CompiledDecoder:
    """A decoder made ready, fp32 on a CPU. It reads the weights once: whoever changes them makes another."""

    @torch.no_grad()
    def __init__(self, net: SpeechDecoderNet) -> None:
        self._width, self._samples = net.cfg.latent_dim, net.cfg.frame_samples
        self._semantic, self._acoustic = _entries(net)
        self._packed, self._kept = _packed(net)
        self._room = _room(self._packed, self._width, 1)
        self._window = 2 * LOOKAHEAD * self._width
        self._call_all()

    def _call_all(self) -> None:
        """Call every compiled function once: a first call compiles it, or reads it from the disk, and now nobody waits for that."""
        past = self.start()
        for _ in range(LOOKAHEAD + 1):
            _, (past,) = self.step(np.zeros((1, 1 + len(self._acoustic)), np.int64), [past])

    def start(self) -> Past:
        """A stream that has said nothing: zeros everywhere."""
        return Past(np.zeros(self._kept + self._window, np.float32))

    def step(self, codes: npt.NDArray[np.int64], pasts: Sequence[Past]) -> tuple[list[Float32], list[Past]]:
        """int64 [N, 1 + n], the next frame of N streams -> of each float32 [samples], none in its first three, and its state."""
        self._make_room(len(pasts))
        numbers = np.stack([past.numbers for past in pasts])
        frames = np.empty((len(pasts), self._width), np.float32)
        compiled.remember(self._packed, self._room, self._width, self._latents(codes), numbers, frames)
        return self._sound(frames, numbers, [past.frames for past in pasts])

    def _latents(self, codes: npt.NDArray[np.int64]) -> Float32:
        """See `SpeechDecoderNet.latents`; here [N, C]."""
        acoustic = np.zeros((len(codes), self._width - self._semantic.shape[1]), np.float32)
        for table, said in zip(self._acoustic, codes[:, 1:].T, strict=False):
            acoustic += np.concatenate([table[0, said // table.shape[1]], table[1, said % table.shape[1]]], 1)
        return np.concatenate([self._semantic[codes[:, 0]], acoustic], 1)

    def flush(self, past: Past) -> Float32:
        """The sound still held back, at most three frames."""
        silence = np.zeros((1, self._width), np.float32)
        said: list[Float32] = []
        for _ in range(LOOKAHEAD):
            (sound,), (past,) = self._sound(silence, past.numbers[None].copy(), [past.frames])
            said.append(sound)
        return np.concatenate(said)

    def _sound(self, frames: Float32, numbers: Float32, heard: Sequence[int]) -> tuple[list[Float32], list[Past]]:
        """What the frames behind the LSTMs [N, C] give; `numbers` [N, ...] are the streams' own, and change."""
        speaking = np.array([n for n, count in enumerate(heard) if count == LOOKAHEAD], np.int64)
        wave = np.empty((len(speaking), self._samples), np.float32)
        compiled.sound(self._packed, self._room, self._width, frames, numbers, speaking, wave)
        sounds = [np.zeros(0, np.float32)] * len(heard)
        for n, sound in zip(speaking.tolist(), wave, strict=True):
            sounds[n] = sound.copy()
        after = [Past(row.copy(), min(LOOKAHEAD, count + 1)) for row, count in zip(numbers, heard, strict=True)]
        return sounds, after

    def _make_room(self, rows: int) -> None:
        if rows > self._room.inputs.shape[0]:
            self._room = _room(self._packed, self._width, rows)


class _Packer:
    """Goes through the decoder in the order of use."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.matrices: list[tuple[int, int, int, int]] = []
        self.weights: list[Float32] = []
        self.convolutions: list[tuple[int, int, int, int, int, int]] = []
        self.alphas: list[Float32] = []
        self.blocks: list[tuple[int, int, int, int]] = []
        self.units: list[tuple[int, int, int]] = []
        self.kept = 0
        self._size = self._snakes = 0

    def matrix(self, weight: Tensor, bias: Tensor) -> None:
        """[out, in] with its bias as one input more."""
        self.matrices.append(self.shelf.put(torch.cat([weight, bias[:, None]], 1)))

    def lstm(self, lstm: nn.Module) -> None:
        """Each gate padded to whole panels."""
        width = cast(nn.LSTM, lstm).hidden_size
        parts = [getattr(lstm, name).detach() for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
        whole = torch.cat([parts[0], parts[1], (parts[2] + parts[3])[:, None]], 1).view(4, width, -1)
        spread = whole.new_zeros(4, padded(width), whole.shape[2])
        spread[:, :width] = whole
        self.matrices.append(self.shelf.put(spread.flatten(0, 1)))

    def snake(self, snake: nn.Module) -> int:
        """Returns the number of its first channel."""
        alpha = cast(Snake, snake).alpha.detach().flatten()
        self.alphas.append(torch.stack([alpha, (alpha + SNAKE_EPS).reciprocal()], 1).numpy())
        self._snakes += len(alpha)
        return self._snakes - len(alpha)

    def convolution(self, weight: Tensor, bias: Tensor, dilation: int, columns: int) -> None:
        """weight [out, in, taps]; columns that it makes at once."""
        outputs, depth, taps = weight.shape
        rows = rows_of(outputs, columns)
        whole = np.zeros((-(-outputs // rows) * rows, 1 + taps * depth), np.float32)
        whole[:outputs, 0] = bias.numpy()
        whole[:outputs, 1:] = weight.transpose(1, 2).reshape(outputs, -1).numpy()
        tiles = np.ascontiguousarray(whole.reshape(-1, rows, whole.shape[1]).transpose(0, 2, 1)).ravel()
        self.convolutions.append((self._size, taps, dilation, depth, len(whole), rows))
        self.weights.append(tiles)
        self._size += tiles.size

    def past(self, length: int, channels: int, alphas: int) -> None:
        """Of a residual unit, or of the last convolution."""
        self.units.append((length, self.kept, alphas))
        self.kept += length * channels


def _packed(net: SpeechDecoderNet) -> tuple[compiled.Packed, int]:
    """The weights, and how much a stream keeps of LSTMs and convolutions."""
    into, memory, layers = _Packer(), net.decoder.memory, list(net.decoder.model)
    for lstm in (memory.lstm_list1[0], memory.lstm_list2[0]):
        into.lstm(lstm)
        into.kept += 2 * padded(net.cfg.latent_dim)
    first = cast(WNConv1d, layers[0])
    into.matrix(first.weight().transpose(1, 2).flatten(1), first.bias)
    columns = 1
    for number, stride in enumerate(net.cfg.ratios):
        _pack_block(into, list(cast(UpBlock, layers[1 + number]).block), stride, columns)
        columns *= stride
    snake, _, last, _ = layers[1 + len(net.cfg.ratios) :]
    last = cast(WNConv1d, last)
    into.past(KERNEL - 1, last.weight().shape[1], into.snake(snake))
    into.convolution(last.weight(), last.bias.detach(), 1, columns)
    return compiled.Packed(
        full=behind_one_another(into.shelf.full, np.float32),
        half=behind_one_another(into.shelf.half, np.uint16),
        matrices=np.array(into.matrices),
        norms=_norms(memory),
        weights=np.concatenate(into.weights),
        convolutions=np.array(into.convolutions),
        alphas=np.concatenate(into.alphas),
        blocks=np.array(into.blocks),
        units=np.array(into.units),
    ), into.kept


def _pack_block(into: _Packer, parts: list[nn.Module], stride: int, columns: int) -> None:
    """Snake, upsampling, three units; `columns` come in. The first block's is a product: it gets one column."""
    snake, up, *units = parts
    weight, bias = cast(WeightNormed, up).weight(), cast(WeightNormed, up).bias.detach()
    channels = weight.shape[1]
    into.blocks.append((channels, columns * stride, stride, into.snake(snake)))
    spread, biases = weight.flatten(1).t(), bias.repeat_interleave(stride)
    if columns == 1:
        into.matrix(spread, biases)
    else:
        into.convolution(spread[:, :, None], biases, 1, columns)
    for unit in units:
        before, pad, wide, after, narrow = cast(ResidualUnit, unit).block
        alphas = into.snake(before)
        into.snake(after)
        into.past(cast(CausalPad, pad).length, channels, alphas)
        for conv in (cast(WNConv1d, wide), cast(WNConv1d, narrow)):
            into.convolution(conv.weight(), conv.bias.detach(), conv.dilation, columns * stride)


def _entries(net: SpeechDecoderNet) -> tuple[Float32, list[Float32]]:
    """The latents of each semantic code [codes, C], and of each acoustic stage its halves' entries [2, entries, C / 2]."""
    stages = []
    for quantizer in net.acoustic_quantizer.quantizers:
        stage = cast(ProductQuantizer, quantizer)
        halves = ((stage.out_proj_a, stage.codebook_a), (stage.out_proj_b, stage.codebook_b))
        stages.append(
            torch.stack([projection(entries.weight.t()[None])[0].t() for projection, entries in halves]).numpy()
        )
    return net.semantic_dequantizer.dequant.weight.detach().numpy().copy(), stages


def _norms(memory: Memory) -> Float32:
    return np.stack([torch.stack([norm.weight, norm.bias]).numpy() for norm in (memory.ln1, memory.ln2)])


def _room(packed: compiled.Packed, width: int, rows: int) -> compiled.Room:
    """Room for so many streams. What is read or written in whole vectors has some to spare."""
    spare = 64 + LANES
    size = past = 0
    for (channels, columns, stride, _), units in zip(
        packed.blocks.tolist(), np.split(packed.units[:-1], len(packed.blocks)), strict=True
    ):
        row = padded(columns) + EIGHT
        before = padded(columns // stride) + EIGHT
        outputs = -(-channels // 12) * 12
        size = max(size, outputs * row, (channels * stride + 12) * before)
        past = max(past, channels * (row + int(units[:, 0].max())), 2 * channels * before)
    group = compiled.GROUP
    inputs = max((2 * LOOKAHEAD + 1) * width, 2 * width, int(packed.matrices[:, 1].max())) + 1
    outputs = padded(int(packed.matrices[:, 2].max()))
    return compiled.Room(
        inputs=np.zeros((rows, inputs), np.float32), gates=np.zeros((rows, outputs), np.float32),
        x=np.zeros(group * (size + spare), np.float32), past=np.zeros(group * (past + spare), np.float32),
        y=np.zeros(group * (size + spare), np.float32),
    )  # fmt: skip
