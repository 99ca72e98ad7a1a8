"""Scores: the products of latents with queries, row after row of the cache. In LLVM's own language, as `vectors.py`."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vivavoce.model.kernels.arrays import LANES
from vivavoce.model.kernels.vectors import address

__all__ = ["dots"]

KEPT, WRITTEN_OUT = 5, 10
"""Vectors of a query that stay in registers, of four queries at once; and up to how many there is no loop over them."""


@intrinsic
def dots(
    typing: Any, x: Any, x_at: Any, rows: Any, y: Any, y_at: Any, width: Any, out: Any, out_at: Any, out_row: Any
) -> Any:
    """out[out_at + i * out_row:][:4] = the products of row i of x with four of y; `width` of both is a multiple of LANES.

    Row by row, so that x is read in order, and with as few instructions to a row as can be: while the memory brings a row, a
    processor looks only some hundred instructions ahead for the next.
    """
    once, others = ("contract",), 4
    vector, narrow = ir.VectorType(ir.FloatType(), LANES), ir.IntType(32)

    def picked(b: Any, left: Any, right: Any, which: list[int]) -> Any:
        return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(narrow, len(which)), which))

    def summed(b: Any, four: list[Any]) -> Any:
        """The sums of four vectors, as a vector: halves, then neighbours, are added until one number of each is left."""
        for half in (LANES // 2, LANES // 4):
            low, high = [*range(half)], [*range(half, 2 * half)]
            four = [b.fadd(picked(b, v, v, low), picked(b, v, v, high), flags=once) for v in four]
        while len(four) > 1:
            pairs = list(zip(four[::2], four[1::2], strict=True))
            four = [b.fadd(picked(b, v, w, [0, 2, 4, 6]), picked(b, v, w, [1, 3, 5, 7]), flags=once) for v, w in pairs]
        return four[0]

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        x, x_at, rows, y, y_at, width, out, out_at, out_row = args
        whole = width.type

        def of_x(row: Any, at: Any) -> Any:
            there = b.add(b.add(x_at, b.mul(row, width)), at)
            return b.load(address(context, b, signature.args[0], x, there, vector), align=4)

        def of_y(other: int, at: Any) -> Any:
            there = b.add(b.add(y_at, b.mul(width, whole(other))), at)
            return b.load(address(context, b, signature.args[3], y, there, vector), align=4)

        def write(row: Any, sums: list[Any]) -> None:
            total, here = summed(b, sums), b.add(out_at, b.mul(row, out_row))
            b.store(total, address(context, b, signature.args[6], out, here, total.type), align=4)

        def more(sum_: Any, ours: Any, theirs: Any) -> Any:
            return b.fadd(sum_, b.fmul(ours, theirs, flags=once), flags=once)

        nothing, otherwise, done = ir.Constant(vector, None), b.append_basic_block("any"), b.append_basic_block("done")
        choice = b.switch(width, otherwise)
        for vectors in range(1, WRITTEN_OUT + 1):
            here = b.append_basic_block(f"of{vectors}")
            choice.add_case(whole(vectors * LANES), here)
            b.position_at_end(here)
            places = [whole(part * LANES) for part in range(vectors)]
            kept = [[of_y(other, at) for other in range(others)] for at in places if vectors <= KEPT]
            with cgutils.for_range(b, rows, intp=whole) as loop:
                sums = [nothing] * others
                for part, at in enumerate(places):
                    ours = of_x(loop.index, at)
                    theirs = kept[part] if kept else [of_y(other, at) for other in range(others)]
                    sums = [more(*three) for three in zip(sums, [ours] * others, theirs, strict=True)]
                write(loop.index, sums)
            b.branch(done)
        b.position_at_end(otherwise)
        totals = [cgutils.alloca_once(b, vector) for _ in range(others)]
        with cgutils.for_range(b, rows, intp=whole) as loop:
            for total in totals:
                b.store(nothing, total)
            with cgutils.for_range(b, b.sdiv(width, whole(LANES)), intp=whole) as parts:
                at = b.mul(parts.index, whole(LANES))
                ours = of_x(loop.index, at)
                for other, total in enumerate(totals):
                    b.store(more(b.load(total), ours, of_y(other, at)), total)
            write(loop.index, [b.load(total) for total in totals])
        b.branch(done)
        b.position_at_end(done)
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, y, i, i, out, i, i), codegen
