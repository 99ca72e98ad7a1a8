"""The audio encoder, some new frames of some streams at a time; see `audio_encoder.py`."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.products import multiply
from vivavoce.codecs.kernels.vectors import called, row_squares, row_sum

__all__ = ["Packed", "Room", "Shape", "hear", "read"]

EPS = 1e-5
"""Of torch's LayerNorm."""


class Shape(NamedTuple):
    """The numbers of the encoder that the loops need."""

    input: int
    inner: int
    width: int
    layers: int
    left: int
    most: int
    """Look-ahead of the layers that have any."""
    cap: float
    """Where an activation ends."""
    scale: float
    """Of the embeddings."""


class Packed(NamedTuple):
    """The weights."""

    full: npt.NDArray[np.float32]
    half: npt.NDArray[np.uint16]
    matrices: npt.NDArray[np.int64]
    """[.., FIELDS]: the two before the layers, two of each layer, two behind them, letters, the two of the projector."""
    biases: npt.NDArray[np.float32]
    """[as many, widest]."""
    norms: npt.NDArray[np.float32]
    """[layers, 2, 2, width]: weight and bias before the memory and before the feed-forward block."""
    taps: npt.NDArray[np.float32]
    """[layers, left + 1 + most, width]."""
    rights: npt.NDArray[np.int64]
    """[layers]."""


class Room(NamedTuple):
    """What is between; rows are padded to whole panels."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    window: npt.NDArray[np.float32]
    """[rows of one stream, width]."""
    inner: npt.NDArray[np.float32]
    outer: npt.NDArray[np.float32]


@compiled
def _centred(x, row, width, norm, y, to):
    """y[to] = LayerNorm of x[row]."""
    called()
    first = row * x.shape[1]
    mean = row_sum(x, first, width, np.float32(0)) / np.float32(width)
    square = row_squares(x, first, width, mean)
    factor = np.float32(1.0 / np.sqrt(square / width + EPS))
    for j in range(width):
        y[to, j] = (x[row, j] - mean) * factor * norm[0, j] + norm[1, j]


@compiled
def _linear(packed, index, x, rows, y, low, high):
    """y[:rows] = matrix number `index` of x[:rows], with its bias, held between two numbers."""
    called()
    matrix, bias = packed.matrices[index], packed.biases[index]
    multiply(packed, matrix, x, 0, rows, y, 0)
    for n in range(rows):
        for j in range(matrix[2]):
            y[n, j] = min(max(y[n, j] + bias[j], low), high)


@compiled
def _remember(shape, packed, layer, room, counts, states, pendings, last):
    """room.y = the frames whose future is now known, with what the layer's memory adds. counts [N], states and pendings go on.

    A stream keeps of each layer its newest normalised frames, then `most` frames that may still be waiting.
    """
    called()
    right, width, size = packed.rights[layer], shape.width, shape.left + 2 * shape.most
    keep, base = shape.left + right, layer * size * width
    pending_at = base + (shape.left + shape.most) * width
    given, made = np.int64(0), np.int64(0)
    for i in range(counts.shape[0]):
        new, waited, state, window = counts[i], pendings[i, layer], states[i], room.window
        for t in range(keep):
            for j in range(width):
                window[t, j] = state[base + t * width + j]
        for t in range(new):
            _centred(room.x, given + t, width, packed.norms[layer, 0], window, keep + t)
        end = keep + new
        if last:
            for t in range(right):
                for j in range(width):
                    window[end + t, j] = 0
            end += right
        ready = waited + new if last else max(0, waited + new - right)
        for t in range(ready):
            at = end - keep - ready + t
            for j in range(width):
                before = state[pending_at + t * width + j] if t < waited else room.x[given + t - waited, j]
                room.y[made + t, j] = before
            for tap in range(shape.left + 1 + right):
                for j in range(width):
                    room.y[made + t, j] += packed.taps[layer, tap, j] * window[at + tap, j]
        for t in range(keep):
            for j in range(width):
                state[base + t * width + j] = window[end - keep + t, j]
        left = waited + new - ready
        for t in range(left):
            for j in range(width):
                if ready + t < waited:
                    state[pending_at + t * width + j] = state[pending_at + (ready + t) * width + j]
                else:
                    state[pending_at + t * width + j] = room.x[given + ready + t - waited, j]
        pendings[i, layer] = left
        given, made, counts[i] = given + new, made + ready, ready
    return made


@compiled
def hear(shape, packed, room, frames, counts, states, pendings, last):
    """The rows of room.y that are final of spliced frames [R, input], of which each of N streams has so many behind the other's.

    counts int64 [N] becomes how many are final of each; states [N, ...] and pendings [N, layers] go on. last: silence follows.
    """
    low, none, high = np.float32(0), np.float32(-3e38), np.float32(3e38)
    _linear(packed, 0, frames, frames.shape[0], room.inner, low, np.float32(shape.cap))
    _linear(packed, 1, room.inner, frames.shape[0], room.x, none, high)
    rows = np.int64(0)
    for layer in range(shape.layers):
        rows = _remember(shape, packed, layer, room, counts, states, pendings, last)
        for n in range(rows):
            _centred(room.y, n, shape.width, packed.norms[layer, 1], room.x, n)
        _linear(packed, 2 + 2 * layer, room.x, rows, room.inner, low, np.float32(shape.cap))
        _linear(packed, 3 + 2 * layer, room.inner, rows, room.x, none, high)
        for n in range(rows):
            for j in range(shape.width):
                room.x[n, j] += room.y[n, j]
    behind = 2 + 2 * shape.layers
    _linear(packed, behind, room.x, rows, room.inner, low, np.float32(shape.cap))
    _linear(packed, behind + 1, room.inner, rows, room.outer, low, np.float32(shape.cap))
    return rows


@compiled
def read(shape, packed, hidden, inner, letters, rows):
    """rows [M, D, padded] = the embeddings of hidden [M, inner], and letters [M] the best CTC id of each, if any are wanted."""
    none, high, behind = np.float32(-3e38), np.float32(3e38), 4 + 2 * shape.layers
    for n in range(letters.shape[0]):
        best = 0
        if n == 0:
            _linear(packed, behind, hidden, letters.shape[0], inner, none, high)
        for j in range(packed.matrices[behind, 2]):
            if inner[n, j] > inner[n, best]:
                best = j
        letters[n] = best
    _linear(packed, behind + 1, hidden, hidden.shape[0], inner, none, high)
    for n in range(hidden.shape[0]):
        for j in range(packed.matrices[behind + 1, 2]):
            x = inner[n, j]
            inner[n, j] = np.float32(0.5) * x * np.float32(1 + math.erf(x * 0.7071067811865476))
    _linear(packed, behind + 2, inner, hidden.shape[0], rows, none, high)
    for n in range(hidden.shape[0]):
        for j in range(rows.shape[1]):
            rows[n, j] *= np.float32(shape.scale)
