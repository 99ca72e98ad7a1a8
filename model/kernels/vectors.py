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

from vivavoce.model.kernels.arrays import LANES

__all__ = ["address", "called", "copy", "gate", "product", "slot", "softmax"]


def _exponential(b: Any, x: Any) -> Any:
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
def gate(typing: Any, x: Any, gate_at: Any, up_at: Any, y: Any, y_at: Any) -> Any:
    """y[y_at:][:LANES] = silu(x[gate_at:][:LANES]) * x[up_at:][:LANES]."""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        gate = b.load(address(context, b, signature.args[0], args[0], args[1], vector), align=4)
        up = b.load(address(context, b, signature.args[0], args[0], args[2], vector), align=4)
        below = b.fadd(_exponential(b, b.fneg(gate)), ir.Constant(vector, [1.0] * LANES))
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
                odd = _exponential(b, b.fsub(b.load(at, align=4), spread[part]))
                b.store(odd, at, align=4)
                b.store(b.fadd(b.load(totals[part]), odd), totals[part])
        factor = _exponential(b, b.fsub(before, best))
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
def copy(typing: Any, source: Any, at: Any, target: Any, to: Any, count: Any) -> Any:
    """target[to:][:count] = source[at:][:count]."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        single = ir.FloatType()
        pointers = [address(context, b, signature.args[i], args[i], args[i + 1], single) for i in (0, 2)]
        cgutils.raw_memcpy(b, pointers[1], pointers[0], args[4], 4)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64, types.int64), codegen


@intrinsic
def slot(typing: Any, table: Any, position: Any) -> Any:
    """int64 number `position` at an address."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.load(b.gep(b.inttoptr(args[0], ir.IntType(64).as_pointer()), [args[1]]))

    return types.int64(types.int64, types.int64), codegen


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
