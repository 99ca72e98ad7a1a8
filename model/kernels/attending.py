"""Latent attention over the paged cache, without expanding a latent; see `attention.py`."""

import numpy as np

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.model.kernels.arrays import CHUNK, FEW, LANES, MATRICES, UNSEEN
from vivavoce.model.kernels.products import multiply, normalise
from vivavoce.model.kernels.scores import dots
from vivavoce.model.kernels.sharing import CLOSED, OVER, TASK, goes_on, load_atomic, nap, offer, store_atomic, take
from vivavoce.model.kernels.vectors import called, copy, product, slot, softmax

__all__ = ["assist", "attention"]

PATIENT = 4
"""Of the products of a chunk one in so many is how often the owner looks whether the helper has done it, before it does it itself:
a few times as long as that takes."""
RESTLESS, NAP = 200_000, 20
"""So often a helper looks for work without a break; then it sleeps so many microseconds in between."""

_softmax_four, _softmax_eight, _softmax_all = softmax(FEW), softmax(2 * FEW), softmax(LANES)
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
def _bring(desk, cache, base, width, wide, table, start, count):
    """Copy the latents of `count` positions from `start` on behind one another, `wide` apart."""
    called()
    j = 0
    while j < count:
        run = _run(table, start + j, count - j if wide == width else 1)
        copy(cache, base + slot(table, start + j) * width, desk.latents, j * wide, run * width)
        j += run


@compiled
def _attend(shape, rows, first, column, columns, queries, cache, base, start, end, desk):
    """desk.sums and desk.state of some (row, head) pairs of one sequence, whose rows begin at `first`: their mix of the latents of
    the positions from `start` to `end`, as far as they may see them.

    One pass over the cache, with the scores of a block at a time: the highest so far is taken off before the exponential, and what
    was summed up is made smaller when a higher one comes. Nothing here depends on which pairs are taken together.
    """
    called()
    width, wide, out = shape.latent + shape.rope, queries.shape[1], desk.sums.shape[1]
    block, lanes = desk.latents.shape[0] // wide, FEW
    while lanes < columns:
        lanes *= 2
    table = rows.tables[first]
    for c in range(lanes):
        desk.state[0, c], desk.state[1, c] = UNSEEN, 0
        for j in range(shape.latent):
            desk.sums[c, j] = 0
    for at in range(start, end, block):
        count = min(block, end - at)
        latents, here = cache, base + slot(table, at) * width
        if wide != width or out > width or _run(table, at, count) < count:
            _bring(desk, cache, base, width, wide, table, at, count)
            latents, here = desk.latents, 0
        for few in range(0, columns, FEW):
            dots(latents, here, count, queries, few * wide, wide, desk.odds, few, lanes)
        for c in range(columns):
            for j in range(max(0, rows.seen[first + (column + c) // shape.heads] - at), count):
                desk.odds[j * lanes + c] = UNSEEN
        for j in range(count * lanes, (count + 3) // 4 * 4 * lanes):
            desk.odds[j] = UNSEEN
        if lanes == FEW:
            _softmax_four(desk.odds, count, desk.state)
        elif lanes == 2 * FEW:
            _softmax_eight(desk.odds, count, desk.state)
        else:
            _softmax_all(desk.odds, count, desk.state)
        for c in range(columns):
            if desk.state[2, c] != 1:
                for j in range(shape.latent):
                    desk.sums[c, j] *= desk.state[2, c]
        for panel in range(0, shape.latent, LANES):
            for few in range(0, columns, FEW):
                _sum(desk.odds, few, 1, lanes, latents, here + panel, wide, count, desk.sums, few * out + panel, out)


@compiled
def _attend_to_chunk(shape, rows, first, column, columns, queries, cache, base, longest, chunk, desk):
    """`_attend` to a chunk, and keep what comes of it."""
    called()
    start = chunk * CHUNK
    _attend(shape, rows, first, column, columns, queries, cache, base, start, min(longest, start + CHUNK), desk)
    for c in range(columns):
        desk.tops[chunk, 0, c], desk.tops[chunk, 1, c] = desk.state[0, c], desk.state[1, c]
        for j in range(shape.latent):
            desk.kept[chunk, c, j] = desk.sums[c, j]


@compiled
def _join(shape, rows, first, column, columns, chunks, number, share, ours, theirs):
    """ours.sums and ours.state of all chunks, from what the two threads have kept of each in this round."""
    called()
    for c in range(columns):
        seen = rows.seen[first + (column + c) // shape.heads]
        for chunk in range(min(chunks, (seen + CHUNK - 1) // CHUNK)):
            desk = ours if share.owned[chunk] == number else theirs
            top, total = desk.tops[chunk, 0, c], desk.tops[chunk, 1, c]
            if chunk == 0:
                ours.state[0, c], ours.state[1, c] = top, total
                for j in range(shape.latent):
                    ours.sums[c, j] = desk.kept[chunk, c, j]
                continue
            highest = max(ours.state[0, c], top)
            before, now = np.exp(ours.state[0, c] - highest), np.exp(top - highest)
            ours.state[0, c], ours.state[1, c] = highest, ours.state[1, c] * before + total * now
            for j in range(shape.latent):
                ours.sums[c, j] = ours.sums[c, j] * before + desk.kept[chunk, c, j] * now


@compiled
def _attend_together(shape, rows, first, column, columns, queries, cache, base, longest, share, ours, theirs):
    """The same as `_attend` to all positions up to `longest`, chunk by chunk, with whoever helps."""
    called()
    chunks = (longest + CHUNK - 1) // CHUNK
    number = offer(share, (first, column, columns, base, longest))
    while True:
        _, chunk = take(share, chunks)
        if chunk == CLOSED:
            break
        _attend_to_chunk(shape, rows, first, column, columns, queries, cache, base, longest, chunk, ours)
        share.owned[chunk] = number
    patience = columns * queries.shape[1] * CHUNK // PATIENT
    for chunk in range(chunks):
        if share.owned[chunk] == number:
            continue
        while patience > 0 and load_atomic(share.helped, chunk) != number:
            patience -= 1
        if load_atomic(share.helped, chunk) != number:
            _attend_to_chunk(shape, rows, first, column, columns, queries, cache, base, longest, chunk, ours)
            share.owned[chunk] = number
    _join(shape, rows, first, column, columns, chunks, number, share, ours, theirs)


@compiled
def assist(shape, rows, queries, cache, share, desk):
    """Help the owner of a step until it is over; see `sharing.py`. `queries` are those of `Room.columns`."""
    idle = 0
    while load_atomic(share.words, OVER) == 0:
        longest = load_atomic(share.words, TASK + 4)
        number, chunk = take(share, (longest + CHUNK - 1) // CHUNK)
        first, column = load_atomic(share.words, TASK), load_atomic(share.words, TASK + 1)
        columns, base = load_atomic(share.words, TASK + 2), load_atomic(share.words, TASK + 3)
        longest = load_atomic(share.words, TASK + 4)
        if chunk * CHUNK >= longest or not goes_on(share, number):
            idle += 1
            if idle > RESTLESS:
                nap(NAP)
            continue
        idle = 0
        _attend_to_chunk(shape, rows, first, column, columns, queries, cache, base, longest, chunk, desk)
        store_atomic(share.helped, chunk, number)


@compiled
def _mix(shape, rows, first, column, columns, room, cache, base, share, ours, theirs):
    """room.mixed of some (row, head) pairs of one sequence, whose rows begin at `first`."""
    called()
    longest = rows.seen[first + (column + columns - 1) // shape.heads]
    _line_up(shape, rows, first, column, columns, room.columns.shape[1], room)
    if longest <= CHUNK:
        _attend(shape, rows, first, column, columns, room.columns, cache, base, 0, longest, ours)
    else:
        _attend_together(shape, rows, first, column, columns, room.columns, cache, base, longest, share, ours, theirs)
    for c in range(columns):
        n, head = first + (column + c) // shape.heads, (column + c) % shape.heads
        for j in range(shape.latent):
            room.mixed[n, head * shape.latent + j] = ours.sums[c, j] / ours.state[1, c]


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
def attention(shape, packed, layer, half, rows, count, room, cache, base, share, ours, theirs):
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
            _mix(shape, rows, n, column, min(LANES, pairs - column), room, cache, base, share, ours, theirs)
        n = end
    if shape.nope:
        up_values = len(MATRICES) * 2 + 1 + 2 * shape.experts + (2 * half + 1) * shape.heads
        for head in range(shape.heads):
            matrix = packed.matrices[layer, up_values + head]
            multiply(packed, matrix, room.mixed, head * shape.latent, count, room.plain, head * shape.value)
        multiply(packed, packed.matrices[layer, first + 2], room.plain, 0, count, room.added, 0)
    else:
        multiply(packed, packed.matrices[layer, first + 2], room.mixed, 0, count, room.added, 0)
