"""Norms and the gated feed-forward block."""

import numpy as np

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.products import multiply
from vivavoce.codecs.kernels.vectors import row_squares
from vivavoce.model.kernels.arrays import LANES
from vivavoce.model.kernels.vectors import called, gate

__all__ = ["add", "feed_forward", "multiply", "normalise"]


@compiled
def normalise(x, rows, width, weight, eps, y):
    """y[:rows, :width] = the rows x[:, :width] over the root of their mean square, times a weight."""
    called()
    for n in range(rows):
        square = row_squares(x, n * x.shape[1], width, np.float32(0))
        factor = np.float32(1.0 / np.sqrt(square / width + eps))
        for j in range(width):
            y[n, j] = x[n, j] * factor * weight[j]


@compiled
def add(x, y, rows, width):
    called()
    for n in range(rows):
        for j in range(width):
            x[n, j] += y[n, j]


@compiled
def feed_forward(packed, gate_up, down, x, rows, inner, room, y):
    """y = down(silu(gate(x)) * up(x)), for rows."""
    called()
    multiply(packed, gate_up, x, 0, rows, room.gate_up, 0)
    both, width = room.gate_up.shape[1], room.inner.shape[1]
    for n in range(rows):
        for j in range(0, inner, LANES):
            gate(room.gate_up, n * both + j, n * both + inner + j, room.inner, n * width + j)
    multiply(packed, down, room.inner, 0, rows, y, 0)
