"""Products with packed weights."""

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.vectors import LANES, called, product

__all__ = ["FIELDS", "multiply"]

FIELDS = ("offset", "depth", "outputs", "half")
"""Of a matrix: where its panels lie, its inputs and outputs, and whether they are bfloat16."""
NEAR = 6144
"""Numbers of an input block that are multiplied with all panels before the next: they stay in the nearest cache."""
_six, _four, _two, _one = product(6), product(4), product(2, 2), product(1, 4)
_half_six, _half_four, _half_two, _half_one = (product(*size, half=True) for size in ((6,), (4,), (2, 2), (1, 4)))
_two_last, _one_last = product(2), product(1)
_half_two_last, _half_one_last = product(2, half=True), product(1, half=True)
TOGETHER = 4
"""Panels that are gone through together: some eight sums must be under way at once, and few rows have too few of one panel."""


@compiled
def _full_panels(w, w_at, depth, x, x_at, count, y, y_at, panels):
    """`count` rows times up to TOGETHER panels."""
    x_row, y_row, size = x.shape[1], y.shape[1], depth * LANES
    many = count // 6 * 6
    many += 4 if count - many >= 4 else 0
    for panel in range(panels):
        row = 0
        while row + 6 <= many:
            _six(
                x,
                x_at + row * x_row,
                x_row,
                1,
                w,
                w_at + panel * size,
                LANES,
                depth,
                y,
                y_at + row * y_row + panel * LANES,
                y_row,
            )
            row += 6
        if row < many:
            _four(
                x,
                x_at + row * x_row,
                x_row,
                1,
                w,
                w_at + panel * size,
                LANES,
                depth,
                y,
                y_at + row * y_row + panel * LANES,
                y_row,
            )
    x_at, y_at, left, panel = x_at + many * x_row, y_at + many * y_row, count - many, 0
    if left >= 2:
        while panel + 2 <= panels:
            _two(x, x_at, x_row, 1, w, w_at + panel * size, LANES, depth, y, y_at + panel * LANES, y_row)
            panel += 2
        if panel < panels:
            _two_last(x, x_at, x_row, 1, w, w_at + panel * size, LANES, depth, y, y_at + panel * LANES, y_row)
        x_at, y_at, left, panel = x_at + 2 * x_row, y_at + 2 * y_row, left - 2, 0
    if left and panels == TOGETHER:
        _one(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
    elif left:
        for last in range(panels):
            _one_last(x, x_at, x_row, 1, w, w_at + last * size, LANES, depth, y, y_at + last * LANES, y_row)


@compiled
def _half_panels(w, w_at, depth, x, x_at, count, y, y_at, panels):
    """The same for panels of bfloat16: which product it is must stand in the text, for it is written into it."""
    x_row, y_row, size = x.shape[1], y.shape[1], depth * LANES
    many = count // 6 * 6
    many += 4 if count - many >= 4 else 0
    for panel in range(panels):
        row = 0
        while row + 6 <= many:
            _half_six(
                x,
                x_at + row * x_row,
                x_row,
                1,
                w,
                w_at + panel * size,
                LANES,
                depth,
                y,
                y_at + row * y_row + panel * LANES,
                y_row,
            )
            row += 6
        if row < many:
            _half_four(
                x,
                x_at + row * x_row,
                x_row,
                1,
                w,
                w_at + panel * size,
                LANES,
                depth,
                y,
                y_at + row * y_row + panel * LANES,
                y_row,
            )
    x_at, y_at, left, panel = x_at + many * x_row, y_at + many * y_row, count - many, 0
    if left >= 2:
        while panel + 2 <= panels:
            _half_two(x, x_at, x_row, 1, w, w_at + panel * size, LANES, depth, y, y_at + panel * LANES, y_row)
            panel += 2
        if panel < panels:
            _half_two_last(x, x_at, x_row, 1, w, w_at + panel * size, LANES, depth, y, y_at + panel * LANES, y_row)
        x_at, y_at, left, panel = x_at + 2 * x_row, y_at + 2 * y_row, left - 2, 0
    if left and panels == TOGETHER:
        _half_one(x, x_at, x_row, 1, w, w_at, LANES, depth, y, y_at, y_row)
    elif left:
        for last in range(panels):
            _half_one_last(x, x_at, x_row, 1, w, w_at + last * size, LANES, depth, y, y_at + last * LANES, y_row)


@compiled
def multiply(packed, matrix, x, at, rows, y, to):
    """y[:rows, to:][:outputs] = x[:rows, at:][:depth] @ matrix.T; what follows in y up to a whole panel is overwritten."""
    called()
    offset, depth, outputs, half = matrix[0], matrix[1], matrix[2], matrix[3]
    together, panels = max(6, NEAR // depth // 6 * 6), (outputs + LANES - 1) // LANES
    for first in range(0, rows, together):
        count, x_at = min(rows - first, together), first * x.shape[1] + at
        for panel in range(0, panels, TOGETHER):
            w_at, y_at = offset + panel * depth * LANES, first * y.shape[1] + to + panel * LANES
            if half:
                _half_panels(packed.half, w_at, depth, x, x_at, count, y, y_at, min(TOGETHER, panels - panel))
            else:
                _full_panels(packed.full, w_at, depth, x, x_at, count, y, y_at, min(TOGETHER, panels - panel))
