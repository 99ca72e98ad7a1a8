"""Two threads at one attention: the chunks of a past are taken by whoever is free, and nobody waits for long.

One thread runs the step and owns what comes of it. Another may help: it takes chunks by a counter that both count up, and writes
what comes of them to its own `Desk`. The owner takes the rest, waits a little for what the other still has in hand, and if that
does not come (somebody else may have been given the helper's core) does it once more. So the helper is never needed, and may come
late, leave, or be told of a round that is over: everything it reports carries the number of the round.

Which thread did a chunk changes nothing: chunks begin at fixed positions, and are joined in order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.model.kernels.arrays import CHUNK
from vivavoce.model.kernels.vectors import address

__all__ = ["CLOSED", "OVER", "TASK", "Share", "goes_on", "load_atomic", "nap", "offer", "store_atomic", "take"]

ROUND = 20
"""Bits of a ticket that number a chunk; those above number the round."""
CLOSED = 1 << (ROUND - 1)
"""More chunks than any past has."""
TICKET, OVER, TASK = 0, 16, 32
"""Where these stand in `Share.words`, far enough apart not to share a line of the caches."""
WORDS = 64


class Share(NamedTuple):
    """What the threads of one step tell each other. Made anew for each step: who is still at the last one has its own."""

    words: npt.NDArray[np.int64]
    """[WORDS]: the next ticket; whether the step is over; what the round is about."""
    owned: npt.NDArray[np.int64]
    """[chunks]: the round in which the owner did this chunk."""
    helped: npt.NDArray[np.int64]
    """[chunks]: the round in which the helper did it."""

    @classmethod
    def of(cls, positions: int) -> Share:
        """For pasts of so many positions."""
        chunks = -(-positions // CHUNK)
        return cls(np.zeros(WORDS, np.int64), np.zeros(chunks, np.int64), np.zeros(chunks, np.int64))


@intrinsic
def load_atomic(typing: Any, array: Any, at: Any) -> Any:
    """array[at], and of all that was written before it was."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        where = address(context, b, signature.args[0], args[0], args[1], ir.IntType(64))
        return b.load_atomic(where, "seq_cst", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def store_atomic(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value, after all that was written before."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        where = address(context, b, signature.args[0], args[0], args[1], ir.IntType(64))
        b.store_atomic(args[2], where, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@intrinsic
def add_atomic(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] before `value` is added to it."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        where = address(context, b, signature.args[0], args[0], args[1], ir.IntType(64))
        return b.atomic_rmw("add", where, args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def nap(typing: Any, microseconds: Any) -> Any:
    """Sleep so long."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
        b.call(cgutils.get_or_insert_function(b.module, kind, "usleep"), [b.trunc(args[0], ir.IntType(32))])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@compiled
def offer(share, task):
    """The owner begins a round about `task`, some int64; returns its number."""
    number = (load_atomic(share.words, TICKET) >> ROUND) + 1
    store_atomic(share.words, TICKET, (number << ROUND) + CLOSED)
    for i in range(len(task)):
        store_atomic(share.words, TASK + i, task[i])
    store_atomic(share.words, TICKET, number << ROUND)
    return number


@compiled
def take(share, chunks):
    """A round and a chunk of it, of so many; CLOSED if none is left."""
    ticket: int = load_atomic(share.words, TICKET)
    if ticket & (2 * CLOSED - 1) < chunks:
        ticket = add_atomic(share.words, TICKET, 1)
    chunk = ticket & (2 * CLOSED - 1)
    return ticket >> ROUND, chunk if chunk < chunks else np.int64(CLOSED)


@compiled
def goes_on(share, number):
    """Whether this is still the round, so that all that was read of its task belongs together."""
    return load_atomic(share.words, TICKET) >> ROUND == number
