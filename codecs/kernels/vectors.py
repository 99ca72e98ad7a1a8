"""The few operations that are written for vector registers, in LLVM's own language: everything else is plain loops.

numba would find most of them in a loop by itself, but not keep sums in registers from one turn of a loop to the next, which is
where a small matrix product is won. Vectors are as wide as panels; LLVM divides them into what the machine has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LANES", "address", "called", "copy", "exponential", "product", "row_squares", "row_sum"]

LANES = 16
"""Outputs of a panel."""


def exponential(b: Any, x: Any) -> Any:
    """exp of a vector of floats in IR, to 2e-7 of it (Cephes' expf); below -87 it stays at 1e-38."""
    vector, once = x.type, ("contract",)
    wide = ir.VectorType(ir.IntType(32), vector.count)

    def number(value: float) -> Any:
        return ir.Constant(vector, [value] * vector.count)

    x = b.select(b.fcmp_ordered("<", x, number(-87.0)), number(-87.0), x)
    x = b.select(b.fcmp_ordered(">", x, number(88.0)), number(88.0), x)
    floor = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(vector, [vector]), f"llvm.floor.v{vector.count}f32"
    )
    power = b.call(floor, [b.fadd(b.fmul(x, number(1.44269504088896341)), number(0.5))])
    rest = b.fsub(x, b.fmul(power, number(0.693359375)))
    rest = b.fsub(rest, b.fmul(power, number(-2.12194440e-4)))
    sum_ = number(1.9875691500e-4)
    for term in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        sum_ = b.fadd(b.fmul(sum_, rest, flags=once), number(term), flags=once)
    sum_ = b.fadd(b.fadd(b.fmul(b.fmul(sum_, rest), rest), rest), number(1.0))
    bits = b.shl(
        b.add(b.fptosi(power, wide), ir.Constant(wide, [127] * vector.count)), ir.Constant(wide, [23] * vector.count)
    )
    return b.fmul(sum_, b.bitcast(bits, vector))


def address(context: Any, b: Any, kind: Any, array: Any, at: Any, vector: Any) -> Any:
    """A pointer to the vector that begins at number `at` of an array."""
    data = context.make_array(kind)(context, b, value=array).data
    return b.bitcast(b.gep(data, [at]), vector.as_pointer())


@intrinsic
def copy(typing: Any, source: Any, at: Any, target: Any, to: Any, count: Any) -> Any:
    """target[to:][:count] = source[at:][:count]."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        single = ir.FloatType()
        pointers = [address(context, b, signature.args[i], args[i], args[i + 1], single) for i in (0, 2)]
        cgutils.raw_memcpy(b, pointers[1], pointers[0], args[4], 4)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64, types.int64), codegen


def _folded(squares: bool) -> Callable[..., float]:
    """(x, at, width, less) -> the sum of x[at:][:width] - less, or of the squares of that, always in the same order.

    LANES sums stand side by side, their halves are added, and what did not fill a vector comes last. Left to the compiler ("in any
    order"), a sum was another one in the last bit when it had been compiled just now than when it was read from the disk.
    """
    vector, once = ir.VectorType(ir.FloatType(), LANES), ("contract",)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        x, at, width, less = args
        whole, row = width.type, b.gep(context.make_array(signature.args[0])(context, b, value=x).data, [at])
        nothing, index = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), LANES)
        everywhere = b.shuffle_vector(
            b.insert_element(nothing, less, ir.IntType(32)(0)), nothing, ir.Constant(index, [0] * LANES)
        )

        def more(before: Any, numbers: Any, away: Any) -> Any:
            apart = b.fsub(numbers, away)
            return b.fadd(before, b.fmul(apart, apart, flags=once) if squares else apart, flags=once)

        sums, vectors = cgutils.alloca_once_value(b, ir.Constant(vector, None)), b.sdiv(width, whole(LANES))
        with cgutils.for_range(b, vectors, intp=whole) as loop:
            here = b.bitcast(b.gep(row, [b.mul(loop.index, whole(LANES))]), vector.as_pointer())
            b.store(more(b.load(sums), b.load(here, align=4), everywhere), sums)
        total, left = b.load(sums), LANES
        while left > 1:
            left //= 2
            halves = ([*range(first, first + left)] for first in (0, left))
            lanes = ir.VectorType(ir.IntType(32), left)
            total = b.fadd(*(b.shuffle_vector(total, total, ir.Constant(lanes, half)) for half in halves))
        last = cgutils.alloca_once_value(b, b.extract_element(total, ir.IntType(32)(0)))
        done = b.mul(vectors, whole(LANES))
        with cgutils.for_range(b, b.sub(width, done), intp=whole) as loop:
            b.store(more(b.load(last), b.load(b.gep(row, [b.add(done, loop.index)]), align=4), less), last)
        return b.load(last)

    def typed(typing: Any, x: Any, at: Any, width: Any, less: Any) -> Any:
        return types.float32(x, types.int64, types.int64, types.float32), codegen

    made: Callable[..., float] = intrinsic(typed)
    return made


row_sum, row_squares = _folded(squares=False), _folded(squares=True)


@intrinsic
def called(typing: Any) -> Any:
    """Makes the function it stands in one that is called, not copied into its callers: they would take long to compile."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        b.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


def product(rows: int, panels: int = 1, *, half: bool = False, add: bool = False) -> Callable[..., None]:
    """A product that stays in registers: y[r, :] (+)= sum over k of x[r, k] * w[k, :], for some rows and panels of LANES.

    Panels lie one behind the other. half: w is bfloat16. add: y is added to. Whatever the number of rows and panels, every sum is
    taken in order, so that a row's numbers do not depend, to the last bit, on who is multiplied beside it.
    """
    vector, once = ir.VectorType(ir.FloatType(), LANES), ("contract",)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

    def widened(b: Any, source: Any) -> Any:
        if not half:
            return b.load(b.bitcast(source, vector.as_pointer()), align=4)
        narrow, wide = ir.VectorType(ir.IntType(16), LANES), ir.VectorType(ir.IntType(32), LANES)
        stored = b.load(b.bitcast(source, narrow.as_pointer()), align=2)
        return b.bitcast(b.shl(b.zext(stored, wide), ir.Constant(wide, [16] * LANES)), vector)

    def everywhere(b: Any, number: Any) -> Any:
        nothing = ir.Constant(vector, ir.Undefined)
        return b.shuffle_vector(b.insert_element(nothing, number, ir.IntType(32)(0)), nothing, zeros)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        x, x_at, x_row, x_next, w, w_at, w_next, depth, y, y_at, y_row = args
        whole = depth.type

        def data(index: int, array: Any, at: Any) -> Any:
            return b.gep(context.make_array(signature.args[index])(context, b, value=array).data, [at])

        inputs = [data(0, x, b.add(x_at, b.mul(x_row, whole(r)))) for r in range(rows)]
        behind = b.mul(depth, w_next)
        weights = [data(4, w, b.add(w_at, b.mul(behind, whole(panel)))) for panel in range(panels)]
        places = [(row, panel) for row in range(rows) for panel in range(panels)]
        outputs, sums = {}, {}
        for row, panel in places:
            at = b.add(y_at, b.add(b.mul(y_row, whole(row)), whole(panel * LANES)))
            outputs[row, panel] = b.bitcast(data(8, y, at), vector.as_pointer())
            first = b.load(outputs[row, panel], align=4) if add else ir.Constant(vector, None)
            sums[row, panel] = cgutils.alloca_once_value(b, first)
        with cgutils.for_range(b, depth, intp=whole) as loop:
            numbers = [everywhere(b, b.load(b.gep(row, [b.mul(loop.index, x_next)]), align=4)) for row in inputs]
            vectors = [widened(b, b.gep(panel, [b.mul(loop.index, w_next)])) for panel in weights]
            for row, panel in places:
                more = b.fmul(numbers[row], vectors[panel], flags=once)
                b.store(b.fadd(b.load(sums[row, panel]), more, flags=once), sums[row, panel])
        for place in places:
            b.store(b.load(sums[place]), outputs[place], align=4)
        return context.get_dummy_value()

    def typed(
        typing: Any, x: Any, x_at: Any, x_row: Any, x_next: Any,
        w: Any, w_at: Any, w_next: Any, depth: Any, y: Any, y_at: Any, y_row: Any,
    ) -> Any:  # fmt: skip
        i = types.int64
        return types.void(x, i, i, i, w, i, i, i, y, i, i), codegen

    made: Callable[..., None] = intrinsic(typed)
    return made
