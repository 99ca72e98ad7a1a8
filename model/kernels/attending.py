"""Latent attention over the paged cache, without expanding a latent; see `attention.py`."""

import numpy as np

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.model.kernels.arrays import BLOCK, FEW, LANES, MATRICES, UNSEEN
from vivavoce.model.kernels.products import multiply, normalise
from vivavoce.model.kernels.vectors import called, copy, dots, product, slot, softmax

__all__ = ["attention"]

_softmax_few, _softmax_all = softmax(FEW), softmax(LANES)
_sum = product(FEW, add=True)


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
def _line_up(shape, rows, first, column, columns, wide, room):
    """The queries of `columns` (row, head) pairs from number `column` on, turned, behind one another; zeros to a whole FEW."""
    called()
    width, half, scale = shape.latent + shape.rope, shape.rope // 2, np.float32(shape.softmax_scale)
    lined_up = room.columns
    for c in range((columns + FEW - 1) // FEW * FEW):
        for j in range(wide):
            lined_up[c, j] = 0
        if c >= columns:
            continue
        n, head = first + (column + c) // shape.heads, (column + c) % shape.heads
        query = room.queries[n, head * width : (head + 1) * width]
        for j in range(shape.latent):
            lined_up[c, j] = scale * query[j]
        for j in range(half):
            one, two = query[shape.latent + 2 * j], query[shape.latent + 2 * j + 1]
            lined_up[c, shape.latent + j] = scale * (one * rows.cos[n, j] - two * rows.sin[n, j])
            lined_up[c, shape.latent + half + j] = scale * (two * rows.cos[n, j] + one * rows.sin[n, j])


@compiled
def _run(table, start, most):
    """How many positions from `start` on, at most so many, follow one another in the cache."""
    first: int = slot(table, start)
    run = 1
    while run < most and slot(table, start + run) == first + run:
        run += 1
    return run


@compiled
def _bring(room, cache, base, width, wide, table, start, count):
    """Copy the latents of `count` positions from `start` on behind one another, `wide` apart."""
    called()
    j = 0
    while j < count:
        run = _run(table, start + j, count - j if wide == width else 1)
        copy(cache, base + slot(table, start + j) * width, room.latents, j * wide, run * width)
        j += run


@compiled
def _attend(shape, rows, first, column, columns, room, cache, base):
    """room.mixed of some (row, head) pairs of one sequence, whose rows begin at `first`: their mix of the latents they may see.

    One pass over the cache, with the scores of a block at a time: the highest so far is taken off before the exponential, and what
    was summed up is made smaller when a higher one comes. Nothing here depends on which pairs are taken together.
    """
    called()
    width, wide, out = shape.latent + shape.rope, room.columns.shape[1], room.sums.shape[1]
    lanes = FEW if columns <= FEW else LANES
    table, longest = rows.tables[first], rows.seen[first + (column + columns - 1) // shape.heads]
    _line_up(shape, rows, first, column, columns, wide, room)
    for c in range(lanes):
        room.state[0, c], room.state[1, c] = UNSEEN, 0
        for j in range(shape.latent):
            room.sums[c, j] = 0
    for start in range(0, longest, BLOCK):
        count = min(BLOCK, longest - start)
        latents, at = cache, base + slot(table, start) * width
        if wide != width or out > width or count % 2 or _run(table, start, count) < count:
            _bring(room, cache, base, width, wide, table, start, count)
            latents, at = room.latents, 0
        for few in range(0, columns, FEW):
            for j in range(0, count, 2):
                dots(latents, at + j * wide, room.columns, few * wide, wide, room.odds, j * lanes + few, lanes)
        for c in range(columns):
            for j in range(max(0, rows.seen[first + (column + c) // shape.heads] - start), count):
                room.odds[j * lanes + c] = UNSEEN
        for j in range(count * lanes, (count + 3) // 4 * 4 * lanes):
            room.odds[j] = UNSEEN
        if lanes == FEW:
            _softmax_few(room.odds, count, room.state)
        else:
            _softmax_all(room.odds, count, room.state)
        for c in range(columns):
            if room.state[2, c] != 1:
                for j in range(shape.latent):
                    room.sums[c, j] *= room.state[2, c]
        for panel in range(0, shape.latent, LANES):
            for few in range(0, columns, FEW):
                _sum(room.odds, few, 1, lanes, latents, at + panel, wide, count, room.sums, few * out + panel, out)
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
