"""Latent attention over the paged cache, without expanding a latent; see `attention.py`."""

import numpy as np

from vivavoce.model.kernels.arrays import BLOCK, LANES, MATRICES, UNSEEN
from vivavoce.model.kernels.compiling import compiled
from vivavoce.model.kernels.products import multiply, normalise
from vivavoce.model.kernels.vectors import called, copy, dots, product, slot, softmax

__all__ = ["attention"]

_scores_8, _scores_16 = product(8, 8), product(4, 16)
_softmax_4, _softmax_8, _softmax_16 = softmax(4), softmax(8), softmax(16)
_sum_4, _sum_1 = product(4, LANES, add=True), product(1, LANES, add=True, apart=4)


@compiled
def _remember(shape, rows, count, room, cache, base, norm):
    """Write the latents and turned keys of the rows of `room.low` to the cache."""
    called()
    width, half = shape.latent + shape.rope, shape.rope // 2
    for n in range(count):
        square = np.float32(0)
        for j in range(shape.latent):
            square += room.low[n, shape.low + j] ** 2
        factor = np.float32(1.0 / np.sqrt(square / shape.latent + shape.low_eps))
        at = base + rows.write[n] * width
        for j in range(shape.latent):
            cache[at + j] = room.low[n, shape.low + j] * factor * norm[j]
        for j in range(half):
            first, second = (
                room.low[n, shape.low + shape.latent + 2 * j],
                room.low[n, shape.low + shape.latent + 2 * j + 1],
            )
            cache[at + shape.latent + j] = first * rows.cos[n, j] - second * rows.sin[n, j]
            cache[at + shape.latent + half + j] = second * rows.cos[n, j] + first * rows.sin[n, j]


@compiled
def _line_up(shape, rows, first, column, columns, lanes, room):
    """The queries of `columns` (row, head) pairs from number `column` on, turned, and zeros for lanes that are left over.

    They stand side by side, number by number; four of them behind one another.
    """
    called()
    width, half, scale = shape.latent + shape.rope, shape.rope // 2, np.float32(shape.softmax_scale)
    flat, step, apart = room.columns, 1 if lanes == 4 else lanes, width if lanes == 4 else 1
    for c in range(lanes):
        if c >= columns:
            for j in range(width):
                flat[j * step + c * apart] = 0
            continue
        n, head = first + (column + c) // shape.heads, (column + c) % shape.heads
        query = room.queries[n, head * width : (head + 1) * width]
        for j in range(shape.latent):
            flat[j * step + c * apart] = scale * query[j]
        for j in range(half):
            one, two = query[shape.latent + 2 * j], query[shape.latent + 2 * j + 1]
            flat[(shape.latent + j) * step + c * apart] = scale * (one * rows.cos[n, j] - two * rows.sin[n, j])
            flat[(shape.latent + half + j) * step + c * apart] = scale * (two * rows.cos[n, j] + one * rows.sin[n, j])


@compiled
def _bring(room, cache, base, width, table, start, count):
    """Copy the latents of `count` positions from `start` on behind one another, where they are near."""
    called()
    j = 0
    while j < count:
        first, run = slot(table, start + j), 1
        while j + run < count and slot(table, start + j + run) == first + run:
            run += 1
        copy(cache, base + first * width, room.latents, j * width, run * width)
        j += run


@compiled
def _score(room, width, count, lanes):
    """room.odds = the scores of `count` positions, for all columns."""
    called()
    j = 0
    if lanes == 4:
        while j < count:
            dots(room.latents, j * width, room.columns, 0, width, room.odds, j * 4)
            j += 2
    elif lanes == 8:
        while j < count:
            _scores_8(room.latents, j * width, width, 1, room.columns, 0, 8, width, room.odds, j * 8, 8)
            j += 8
    else:
        while j < count:
            _scores_16(room.latents, j * width, width, 1, room.columns, 0, 16, width, room.odds, j * 16, 16)
            j += 4


@compiled
def _attend(shape, rows, first, column, columns, room, cache, base):
    """room.mixed of some (row, head) pairs of one sequence, whose rows begin at `first`: their mix of the latents they may see.

    One pass over the cache, with the scores of a block at a time: the highest so far is taken off before the exponential, and what
    was summed up is made smaller when a higher one comes.
    """
    called()
    width, wide = shape.latent + shape.rope, room.sums.shape[1]
    lanes = 4 if columns <= 4 and width % 8 == 0 else 8 if columns <= 8 else 16
    table, longest = rows.tables[first], rows.seen[first + (column + columns - 1) // shape.heads]
    _line_up(shape, rows, first, column, columns, lanes, room)
    for c in range(columns):
        room.state[0, c], room.state[1, c] = UNSEEN, 0
        for j in range(shape.latent):
            room.sums[c, j] = 0
    for start in range(0, longest, BLOCK):
        count = min(BLOCK, longest - start)
        _bring(room, cache, base, width, table, start, count)
        _score(room, width, count, lanes)
        for c in range(columns):
            for j in range(max(0, rows.seen[first + (column + c) // shape.heads] - start), count):
                room.odds[j * lanes + c] = UNSEEN
        if lanes == 4:
            _softmax_4(room.odds, count, room.state)
        elif lanes == 8:
            _softmax_8(room.odds, count, room.state)
        else:
            _softmax_16(room.odds, count, room.state)
        for c in range(columns):
            if room.state[2, c] != 1:
                for j in range(shape.latent):
                    room.sums[c, j] *= room.state[2, c]
        for panel in range(0, shape.latent, LANES):
            c = 0
            while c + 4 <= columns:
                _sum_4(room.odds, c, 1, lanes, room.latents, panel, width, count, room.sums, c * wide + panel, wide)
                c += 4
            while c < columns:
                _sum_1(room.odds, c, 1, lanes, room.latents, panel, width, count, room.sums, c * wide + panel, wide)
                c += 1
    for c in range(columns):
        n, head = first + (column + c) // shape.heads, (column + c) % shape.heads
        for j in range(shape.latent):
            room.mixed[n, head * shape.latent + j] = room.sums[c, j] / room.state[1, c]


@compiled
def _ask(shape, packed, layer, half, count, room):
    """room.queries of the rows of `room.low`, each head's as wide as a latent and its key; not yet turned."""
    called()
    matrix = packed.matrices[layer, half * len(MATRICES) + 1]
    if shape.nope == 0:
        multiply(packed, matrix, room.low, 0, count, room.queries, 0)
        return
    multiply(packed, matrix, room.low, 0, count, room.plain, 0)
    up_keys = len(MATRICES) * 2 + 1 + 2 * shape.experts + 2 * half * shape.heads
    width, apart = shape.latent + shape.rope, shape.nope + shape.rope
    for head in range(shape.heads):
        multiply(
            packed, packed.matrices[layer, up_keys + head], room.plain, head * apart, count, room.queries, head * width
        )
        for n in range(count):
            for j in range(shape.rope):
                room.queries[n, head * width + shape.latent + j] = room.plain[n, head * apart + shape.nope + j]


@compiled
def attention(shape, packed, layer, half, rows, count, room, cache, base):
    """room.added = what an attention makes of the rows of `room.normed`; see `attention.LatentAttention`."""
    called()
    first = half * len(MATRICES)
    norms = packed.norms[layer, half]
    multiply(packed, packed.matrices[layer, first], room.normed, 0, count, room.low, 0)
    _remember(shape, rows, count, room, cache, base, norms[2])
    normalise(room.low, count, shape.low, norms[1], shape.low_eps, room.low)
    _ask(shape, packed, layer, half, count, room)
    n = np.int64(0)
    while n < count:
        end = n
        while end < count and rows.tables[end] == rows.tables[n]:
            end += 1
        pairs = (end - n) * shape.heads
        for column in range(0, pairs, LANES):
            _attend(shape, rows, n, column, min(LANES, pairs - column), room, cache, base)
        n = end
    if shape.nope:
        up_values = len(MATRICES) * 2 + 1 + 2 * shape.experts + (2 * half + 1) * shape.heads
        for head in range(shape.heads):
            matrix = packed.matrices[layer, up_values + head]
            multiply(packed, matrix, room.mixed, head * shape.latent, count, room.plain, head * shape.value)
        multiply(packed, packed.matrices[layer, first + 2], room.plain, 0, count, room.added, 0)
    else:
        multiply(packed, packed.matrices[layer, first + 2], room.mixed, 0, count, room.added, 0)
