"""Products with packed weights, norms and the gated feed-forward block."""

import numpy as np

from vivavoce.model.kernels.arrays import LANES, NEAR
from vivavoce.model.kernels.compiling import compiled, summed
from vivavoce.model.kernels.vectors import called, gate, product

__all__ = ["add", "feed_forward", "multiply", "normalise"]

_ROWS = ((6, 1), (4, 1), (2, 2), (1, 4))
"""Rows multiplied at once, and sums of each kept apart: some eight additions have to be under way."""
_six, _four, _two, _one = (product(rows, LANES, apart=apart) for rows, apart in _ROWS)
_six_half, _four_half, _two_half, _one_half = (product(rows, LANES, half=True, apart=apart) for rows, apart in _ROWS)


@compiled
def _half_panel(w, w_at, depth, x, x_at, count, y, y_at):
    """`count` rows times one panel of bfloat16."""
    x_row, y_row, left = x.shape[1], y.shape[1], count
    while left >= 6:
        _six_half(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 6 * x_row, y_at + 6 * y_row, left - 6
    if left >= 4:
        _four_half(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 4 * x_row, y_at + 4 * y_row, left - 4
    if left >= 2:
        _two_half(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 2 * x_row, y_at + 2 * y_row, left - 2
    if left:
        _one_half(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)


@compiled
def _full_panel(w, w_at, depth, x, x_at, count, y, y_at):
    """`count` rows times one panel."""
    x_row, y_row, left = x.shape[1], y.shape[1], count
    while left >= 6:
        _six(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 6 * x_row, y_at + 6 * y_row, left - 6
    if left >= 4:
        _four(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 4 * x_row, y_at + 4 * y_row, left - 4
    if left >= 2:
        _two(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
        x_at, y_at, left = x_at + 2 * x_row, y_at + 2 * y_row, left - 2
    if left:
        _one(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)


@compiled
def multiply(packed, matrix, x, at, rows, y, to):
    """y[:rows, to:][:outputs] = x[:rows, at:][:depth] @ matrix.T; what follows in y up to a whole panel is overwritten."""
    called()
    offset, depth, outputs, half = matrix[0], matrix[1], matrix[2], matrix[3]
    together = max(6, NEAR // depth // 6 * 6)
    for first in range(0, rows, together):
        count = min(rows - first, together)
        for panel in range((outputs + LANES - 1) // LANES):
            w_at, x_at, y_at = (
                offset + panel * depth * LANES,
                first * x.shape[1] + at,
                first * y.shape[1] + to + panel * LANES,
            )
            if half:
                _half_panel(packed.half, w_at, depth, x, x_at, count, y, y_at)
            else:
                _full_panel(packed.full, w_at, depth, x, x_at, count, y, y_at)


@summed
def normalise(x, rows, width, weight, eps, y):
    """y[:rows, :width] = the rows x[:, :width] over the root of their mean square, times a weight."""
    called()
    for n in range(rows):
        square = np.float32(0)
        for j in range(width):
            square += x[n, j] * x[n, j]
        factor = np.float32(1.0 / np.sqrt(square / width + eps))
        for j in range(width):
            y[n, j] = x[n, j] * factor * weight[j]


@summed
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
