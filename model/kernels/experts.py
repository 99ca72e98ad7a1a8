"""The router and the mixture of experts; see `moe.py`."""

import numpy as np

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.model.kernels.arrays import MATRICES, UNSEEN
from vivavoce.model.kernels.products import feed_forward, multiply
from vivavoce.model.kernels.vectors import called

__all__ = ["mixture"]


@compiled
def _route(shape, packed, layer, rows, room):
    """The choices of every row of `room.normed` and their weights; see `moe.Router`."""
    called()
    multiply(packed, packed.matrices[layer, 2 * len(MATRICES)], room.normed, 0, rows, room.scores, 0)
    for n in range(rows):
        scores = room.scores[n]
        highest, total = scores[0], np.float32(0)
        for e in range(shape.choices):
            highest = max(highest, scores[e])
        for e in range(shape.choices):
            scores[e] = np.exp(scores[e] - highest)
            total += scores[e]
        for e in range(shape.choices):
            scores[e] /= total
        for k in range(shape.topk):
            best, most = -1, np.float32(UNSEEN)
            for e in range(shape.choices):
                wanted = scores[e] + packed.bias[layer, e]
                if wanted > most:
                    taken = False
                    for i in range(k):
                        taken |= room.chosen[n, i] == e
                    if not taken:
                        best, most = e, wanted
            room.chosen[n, k] = best
            room.weights[n, k] = scores[best] * shape.routed_scale


@compiled
def mixture(shape, packed, layer, rows, room, load, used):
    """room.shortcut = the mixture of experts of the rows of `room.normed`; see `moe.MoE`."""
    called()
    _route(shape, packed, layer, rows, room)
    for n in range(rows):
        identity = np.float32(0)
        for k in range(shape.topk):
            if room.chosen[n, k] >= shape.experts:
                identity += room.weights[n, k]
        identity *= shape.zero_scale
        for j in range(shape.width):
            room.shortcut[n, j] = identity * room.normed[n, j]
    first = 2 * len(MATRICES) + 1
    for e in range(shape.experts):
        count = np.int64(0)
        for n in range(rows):
            for k in range(shape.topk):
                if room.chosen[n, k] == e:
                    room.given[count, 0], room.given[count, 1] = n, k
                    for j in range(shape.width):
                        room.gathered[count, j] = room.normed[n, j]
                    used[n] += 1
                    count += 1
        if count == 0:
            continue
        load[layer, e] += count
        gate_up, down = packed.matrices[layer, first + 2 * e], packed.matrices[layer, first + 2 * e + 1]
        feed_forward(packed, gate_up, down, room.gathered, count, shape.expert_inner, room, room.added)
        for i in range(count):
            n, weight = room.given[i, 0], room.weights[room.given[i, 0], room.given[i, 1]]
            for j in range(shape.width):
                room.shortcut[n, j] += weight * room.added[i, j]
