"""What attention and the gated block need of vector registers beside `codecs/kernels/vectors.py`, in LLVM's own language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vivavoce.codecs.kernels.vectors import LANES, address, called, copy, exponential, product

__all__ = ["address", "called", "copy", "gate", "product", "slot", "softmax"]


@intrinsic
def gate(typing: Any, x: Any, gate_at: Any, up_at: Any, y: Any, y_at: Any) -> Any:
    """y[y_at:][:LANES] = silu(x[gate_at:][:LANES]) * x[up_at:][:LANES]."""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        gate = b.load(address(context, b, signature.args[0], args[0], args[1], vector), align=4)
        up = b.load(address(context, b, signature.args[0], args[0], args[2], vector), align=4)
        below = b.fadd(exponential(b, b.fneg(gate)), ir.Constant(vector, [1.0] * LANES))
        out = address(context, b, signature.args[3], args[3], args[4], vector)
        b.store(b.fdiv(b.fmul(gate, up), below), out, align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, y, types.int64), codegen


def softmax(lanes: int) -> Callable[..., None]:
    """The odds of `count` more positions of some columns, in place of their scores, and what they change; see `Room.state`.

    Positions are taken four at a time: of few columns they fill a vector together. Behind the last there must be none, or UNSEEN.
    """
    four = 4
    small, vector = ir.VectorType(ir.FloatType(), lanes), ir.VectorType(ir.FloatType(), LANES)
    vectors = four * lanes // LANES

    def pick(b: Any, x: Any, which: list[int]) -> Any:
        return b.shuffle_vector(x, x, ir.Constant(ir.VectorType(ir.IntType(32), len(which)), which))

    def parts(b: Any, some: list[Any]) -> list[Any]:
        """Of each of the four positions its columns."""
        each = LANES // lanes
        places = [(part // each, part % each * lanes) for part in range(four)]
        return [some[index] if each == 1 else pick(b, some[index], [*range(at, at + lanes)]) for index, at in places]

    def folded(b: Any, some: list[Any], join: Callable[[Any, Any], Any]) -> Any:
        first, second, third, fourth = parts(b, some)
        return join(join(first, second), join(third, fourth))

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        odds, count, state = args
        whole = count.type
        groups = b.sdiv(b.add(count, whole(four - 1)), whole(four))

        def larger(x: Any, y: Any) -> Any:
            return b.select(b.fcmp_ordered(">", x, y), x, y)

        def of_state(index: int) -> Any:
            return address(context, b, signature.args[2], state, whole(index * LANES), small)

        def of_group(index: Any, part: int) -> Any:
            at = b.add(b.mul(index, whole(four * lanes)), whole(part * LANES))
            return address(context, b, signature.args[0], odds, at, vector)

        before = b.load(of_state(0), align=4)
        spread = [pick(b, before, [*range(lanes)] * (LANES // lanes))] * vectors
        highest = [cgutils.alloca_once_value(b, x) for x in spread]
        totals = [cgutils.alloca_once_value(b, ir.Constant(vector, None)) for _ in range(vectors)]
        with cgutils.for_range(b, groups, intp=whole) as loop:
            for part in range(vectors):
                b.store(larger(b.load(of_group(loop.index, part), align=4), b.load(highest[part])), highest[part])
        best = folded(b, [b.load(x) for x in highest], larger)
        spread = [pick(b, best, [*range(lanes)] * (LANES // lanes))] * vectors
        with cgutils.for_range(b, groups, intp=whole) as loop:
            for part in range(vectors):
                at = of_group(loop.index, part)
                odd = exponential(b, b.fsub(b.load(at, align=4), spread[part]))
                b.store(odd, at, align=4)
                b.store(b.fadd(b.load(totals[part]), odd), totals[part])
        factor = exponential(b, b.fsub(before, best))
        more = folded(b, [b.load(x) for x in totals], b.fadd)
        total = b.fadd(b.fmul(b.load(of_state(1), align=4), factor), more)
        for index, value in enumerate((best, total, factor)):
            b.store(value, of_state(index), align=4)
        return context.get_dummy_value()

    def typed(typing: Any, odds: Any, count: Any, state: Any) -> Any:
        return types.void(odds, types.int64, state), codegen

    made: Callable[..., None] = intrinsic(typed)
    return made


@intrinsic
def slot(typing: Any, table: Any, position: Any) -> Any:
    """int64 number `position` at an address."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.load(b.gep(b.inttoptr(args[0], ir.IntType(64).as_pointer()), [args[1]]))

    return types.int64(types.int64, types.int64), codegen
