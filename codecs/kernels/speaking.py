"""The speech decoder, a frame of some streams at a time; see `decoder.py`."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.convolving import EIGHT, convolve, snaked
from vivavoce.codecs.kernels.products import multiply
from vivavoce.codecs.kernels.remembering import centred, lstm, squash
from vivavoce.codecs.kernels.vectors import LANES, called

__all__ = ["AHEAD", "BLOCK", "GROUP", "Packed", "Room", "UNIT", "remember", "sound"]

AHEAD = 3
"""Frames the first convolution reads ahead, and as many behind."""
GROUP = 4
"""Streams that go through the upsampling together: what they keep on the way still fits the near caches."""
EPS = 1e-5
"""Of torch's LayerNorm."""
BLOCK = ("channels", "columns", "stride", "alphas")
"""Of an upsampling block: what it gives, and where the alphas of its first Snake are."""
UNIT = ("past", "state", "alphas")
"""Of a residual unit: columns its first convolution remembers, where a stream keeps them, its first alphas."""


class Packed(NamedTuple):
    """The weights. In the order of use: blocks, each with three units; their convolutions, upsampling first; the last one."""

    full: npt.NDArray[np.float32]
    half: npt.NDArray[np.uint16]
    matrices: npt.NDArray[np.int64]
    """[4, FIELDS]: both LSTMs, the first convolution, the first upsampling, all with their biases as the last input."""
    norms: npt.NDArray[np.float32]
    """[2, 2, width]: weight and bias."""
    weights: npt.NDArray[np.float32]
    """Of the convolutions."""
    convolutions: npt.NDArray[np.int64]
    """[all, CONVOLUTION]."""
    alphas: npt.NDArray[np.float32]
    """[channels of all Snakes, 2]: alpha and its inverse."""
    blocks: npt.NDArray[np.int64]
    """[blocks, BLOCK]."""
    units: npt.NDArray[np.int64]
    """[blocks * 3 + 1, UNIT]; the last stands for the last convolution."""


class Room(NamedTuple):
    """What is between; rows are padded to whole vectors."""

    inputs: npt.NDArray[np.float32]
    """[rows, ...]: of the matrices."""
    gates: npt.NDArray[np.float32]
    """[rows, ...]: their outputs."""
    x: npt.NDArray[np.float32]
    """[GROUP * ...]: the signal."""
    past: npt.NDArray[np.float32]
    """[GROUP * ...]: what a convolution reads, its past before the new."""
    y: npt.NDArray[np.float32]
    """[GROUP * ...]."""


@compiled
def remember(packed, room, width, latents, states, frames):
    """frames [N, width] = what the two LSTMs make of latents [N, width]. states [N, ...] go on."""
    rows, first, across = latents.shape[0], np.int64(0), packed.matrices[0, 2] // 4
    for n in range(rows):
        for j in range(width):
            room.inputs[n, j] = latents[n, j]
    lstm(packed, packed.matrices[0], room.inputs, width, room.gates, states, first, rows)
    centred(states, first, rows, width, packed.norms[0], EPS, room.inputs)
    lstm(packed, packed.matrices[1], room.inputs, width, room.gates, states, 2 * across, rows)
    centred(states, 2 * across, rows, width, packed.norms[1], EPS, frames)


@compiled
def _line_up(packed, room, unit, channels, columns, row, size, states, speaking):
    """room.past = behind the past of a unit Snake of room.x; the streams keep its last columns."""
    called()
    past, kept, alpha = packed.units[unit, 0], packed.units[unit, 1], packed.units[unit, 2]
    apart, wide = room.past.shape[0] // GROUP, past + row
    for i in range(len(speaking)):
        state, at = states[speaking[i]], i * apart
        for c in range(channels):
            for j in range(past):
                room.past[at + c * wide + j] = state[kept + c * past + j]
            snaked(
                room.x,
                i * size + c * row,
                row,
                room.past,
                at + c * wide + past,
                wide,
                1,
                columns,
                packed.alphas,
                alpha + c,
            )
            for j in range(past):
                state[kept + c * past + j] = room.past[at + c * wide + columns + j]


@compiled
def _unit(packed, room, unit, conv, channels, columns, row, size, states, speaking):
    """room.x += a residual unit of it, of the streams `speaking`."""
    called()
    past, alpha, apart = packed.units[unit, 0], packed.units[unit, 2] + channels, room.past.shape[0] // GROUP
    wide, narrow, count = packed.convolutions[conv], packed.convolutions[conv + 1], len(speaking)
    _line_up(packed, room, unit, channels, columns, row, size, states, speaking)
    convolve(packed.weights, wide, room.past, past + row, apart, room.y, row, size, columns, count, False)
    for i in range(count):
        snaked(room.y, i * size, row, room.y, i * size, row, channels, columns, packed.alphas, alpha)
    convolve(packed.weights, narrow, room.y, row, size, room.x, row, size, columns, count, True)


@compiled
def _upsample(packed, room, block, conv, row, size, count):
    """room.x = twice as few channels of it and `stride` times the columns."""
    called()
    channels, columns, stride = packed.blocks[block, 0], packed.blocks[block, 1], packed.blocks[block, 2]
    before, apart = columns // stride, room.past.shape[0] // GROUP
    was = _row(before)
    for i in range(count):
        snaked(
            room.x,
            i * size,
            was,
            room.past,
            i * apart,
            was,
            2 * channels,
            before,
            packed.alphas,
            packed.blocks[block, 3],
        )
    convolve(packed.weights, packed.convolutions[conv], room.past, was, apart, room.y, was, size, before, count, False)
    for i in range(count):
        for c in range(channels):
            for k in range(stride):
                made = i * size + (c * stride + k) * was
                for t in range(before):
                    room.x[i * size + c * row + t * stride + k] = room.y[made + t]


@compiled
def _row(columns):
    """Numbers from one channel to the next."""
    return columns if columns <= EIGHT and columns % EIGHT == 0 else (columns + LANES - 1) // LANES * LANES


@compiled
def _first(packed, room, width, frames, states):
    """room.gates [rows, ...] = the first upsampling of the frame three back of some streams, whose windows go on.

    The window is the last of a stream's numbers: 2 * AHEAD frames.
    """
    called()
    rows, before = frames.shape[0], states.shape[1] - 2 * AHEAD * width
    for n in range(rows):
        for t in range(2 * AHEAD * width):
            room.inputs[n, t] = states[n, before + t]
        for j in range(width):
            room.inputs[n, 2 * AHEAD * width + j] = frames[n, j]
        for t in range(2 * AHEAD * width):
            states[n, before + t] = room.inputs[n, width + t]
        room.inputs[n, (2 * AHEAD + 1) * width] = 1
    multiply(packed, packed.matrices[2], room.inputs, 0, rows, room.gates, 0)
    channels = packed.matrices[2, 2]
    for n in range(rows):
        for c in range(channels):
            x, alpha = room.gates[n, c], packed.alphas[c, 0]
            sine = np.sin(alpha * x)
            room.inputs[n, c] = x + sine * sine * packed.alphas[c, 1]
        room.inputs[n, channels] = 1
    multiply(packed, packed.matrices[3], room.inputs, 0, rows, room.gates, 0)


@compiled
def _last(packed, room, conv, channels, columns, row, size, states, speaking, wave):
    """wave [..., samples] = the last convolution of room.x, squashed, of the streams `speaking`."""
    called()
    unit, apart = packed.units.shape[0] - 1, room.past.shape[0] // GROUP
    _line_up(packed, room, unit, channels, columns, row, size, states, speaking)
    last, wide = packed.convolutions[conv], packed.units[unit, 0] + row
    convolve(packed.weights, last, room.past, wide, apart, room.y, row, size, columns, len(speaking), False)
    for i in range(len(speaking)):
        for j in range(0, columns, LANES):
            squash(room.y, i * size + j)
        for j in range(columns):
            wave[i, j] = room.y[i * size + j]


@compiled
def sound(packed, room, width, frames, states, speaking, wave):
    """wave [M, samples] = the frame three before frames [N, width], of the M streams whose numbers stand in `speaking`.

    states [N, ...] go on, those of the others too.
    """
    size, blocks, row = room.x.shape[0] // GROUP, packed.blocks.shape[0], np.int64(0)
    _first(packed, room, width, frames, states)
    for first in range(0, len(speaking), GROUP):
        some = speaking[first : first + GROUP]
        channels, columns = packed.blocks[0, 0], packed.blocks[0, 1]
        for i in range(len(some)):
            for c in range(channels):
                for t in range(columns):
                    room.x[i * size + c * _row(columns) + t] = room.gates[some[i], c * columns + t]
        conv = np.int64(0)
        for block in range(blocks):
            channels, columns = packed.blocks[block, 0], packed.blocks[block, 1]
            row = _row(columns)
            if block > 0:
                _upsample(packed, room, block, conv, row, size, len(some))
                conv += 1
            for unit in range(3 * block, 3 * block + 3):
                _unit(packed, room, unit, conv, channels, columns, row, size, states, some)
                conv += 2
        _last(packed, room, conv, channels, columns, row, size, states, some, wave[first : first + GROUP])
