"""Convolutions over time, and Snake. Columns of a channel lie side by side, and vectors go along them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.vectors import address, called

__all__ = ["CONVOLUTION", "EIGHT", "convolve", "rows_of", "snaked"]

EIGHT = 8
"""Numbers that Snake is taken of at once."""
CONVOLUTION = ("offset", "taps", "dilation", "depth", "outputs", "rows")
"""Where the weights of a convolution lie: of every `rows` outputs, which are made together, their biases, then for each tap and
each input a weight of each of them."""
FEW = 8
"""So few columns are made of twice as many outputs at once."""
MANY = 64
"""Columns of a single output: there are no other sums to be under way with it."""


def rows_of(outputs: int, columns: int) -> int:
    """How many outputs are made together: some twelve vectors of sums are under way then."""
    return 1 if outputs == 1 else 12 if columns <= FEW else 6


def _tile(rows: int, lanes: int, *, add: bool = False) -> Callable[..., None]:
    """y[r, :lanes] (+)= bias[r] + sum over taps and channels of weight[tap, c, r] * x[c, tap * dilation:][:lanes], in registers.

    A channel of x is `x_row` numbers behind the last, a row of y `y_row`. Sums are taken in order, whatever the number of lanes.
    """
    vector, once = ir.VectorType(ir.FloatType(), lanes), ("contract",)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        w, w_at, taps, dilation, depth, x, x_at, x_row, y, y_at, y_row = args
        whole = depth.type
        numbers = context.make_array(signature.args[0])(context, b, value=w).data

        def everywhere(at: Any) -> Any:
            nothing = ir.Constant(vector, ir.Undefined)
            number = b.load(b.gep(numbers, [at]), align=4)
            return b.shuffle_vector(b.insert_element(nothing, number, ir.IntType(32)(0)), nothing, zeros)

        outputs, sums = [], []
        for row in range(rows):
            at = b.add(y_at, b.mul(y_row, whole(row)))
            outputs.append(address(context, b, signature.args[8], y, at, vector))
            first = everywhere(b.add(w_at, whole(row)))
            if add:
                first = b.fadd(first, b.load(outputs[row], align=4), flags=once)
            sums.append(cgutils.alloca_once_value(b, first))
        behind = b.add(w_at, whole(rows))
        with cgutils.for_range(b, taps, intp=whole) as tap:
            from_here = b.add(x_at, b.mul(tap.index, dilation))
            weights = b.add(behind, b.mul(b.mul(tap.index, depth), whole(rows)))
            with cgutils.for_range(b, depth, intp=whole) as channel:
                at = b.add(from_here, b.mul(channel.index, x_row))
                columns = b.load(address(context, b, signature.args[5], x, at, vector), align=4)
                first = b.add(weights, b.mul(channel.index, whole(rows)))
                for row in range(rows):
                    more = b.fmul(everywhere(b.add(first, whole(row))), columns, flags=once)
                    b.store(b.fadd(b.load(sums[row]), more, flags=once), sums[row])
        for row in range(rows):
            b.store(b.load(sums[row]), outputs[row], align=4)
        return context.get_dummy_value()

    def typed(
        typing: Any, w: Any, w_at: Any, taps: Any, dilation: Any, depth: Any,
        x: Any, x_at: Any, x_row: Any, y: Any, y_at: Any, y_row: Any,
    ) -> Any:  # fmt: skip
        i = types.int64
        return types.void(w, i, i, i, i, x, i, i, y, i, i), codegen

    made: Callable[..., None] = intrinsic(typed)
    return made


_six, _six_more = _tile(6, 16), _tile(6, 16, add=True)
_twelve, _twelve_more = _tile(12, FEW), _tile(12, FEW, add=True)
_one = _tile(1, MANY)


@compiled
def convolve(w, conv, x, x_row, x_apart, y, y_row, y_apart, columns, streams, add):
    """y = (y +) bias + the convolution of x, for some streams, `x_apart` and `y_apart` numbers behind one another.

    The first tap reads from a row's first column on. Up to a whole vector of columns more is written.
    """
    called()
    offset, taps, dilation, depth, outputs, rows = conv[0], conv[1], conv[2], conv[3], conv[4], conv[5]
    size = rows * (1 + taps * depth)
    for row in range(0, outputs, rows):
        w_at = offset + row // rows * size
        for stream in range(streams):
            x_at, y_at = stream * x_apart, stream * y_apart + row * y_row
            if rows == 12:
                for j in range(0, columns, FEW):
                    if add:
                        _twelve_more(w, w_at, taps, dilation, depth, x, x_at + j, x_row, y, y_at + j, y_row)
                    else:
                        _twelve(w, w_at, taps, dilation, depth, x, x_at + j, x_row, y, y_at + j, y_row)
            elif rows == 6:
                for j in range(0, columns, 16):
                    if add:
                        _six_more(w, w_at, taps, dilation, depth, x, x_at + j, x_row, y, y_at + j, y_row)
                    else:
                        _six(w, w_at, taps, dilation, depth, x, x_at + j, x_row, y, y_at + j, y_row)
            else:
                for j in range(0, columns, MANY):
                    _one(w, w_at, taps, dilation, depth, x, x_at + j, x_row, y, y_at + j, y_row)


@intrinsic
def _snake(typing: Any, x: Any, x_at: Any, y: Any, y_at: Any, alpha: Any, inverse: Any) -> Any:
    """y[y_at:][:EIGHT] = x + sin(alpha x)^2 inverse of x[x_at:][:EIGHT], to 1e-7 of the sine."""
    vector, once = ir.VectorType(ir.FloatType(), EIGHT), ("contract",)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), [0] * EIGHT)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        def number(value: float) -> Any:
            return ir.Constant(vector, [value] * EIGHT)

        def everywhere(value: Any) -> Any:
            nothing = ir.Constant(vector, ir.Undefined)
            return b.shuffle_vector(b.insert_element(nothing, value, ir.IntType(32)(0)), nothing, zeros)

        x = b.load(address(context, b, signature.args[0], args[0], args[1], vector), align=4)
        angle = b.fmul(x, everywhere(args[4]))
        floor = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector]), f"llvm.floor.v{EIGHT}f32")
        turns = b.call(floor, [b.fadd(b.fmul(angle, number(0.3183098861837907)), number(0.5))])
        for part in PI:  # the square of the sine comes again after half a turn
            angle = b.fsub(angle, b.fmul(turns, number(part), flags=once), flags=once)
        square = b.fmul(angle, angle)
        sum_ = number(SINE[0])
        for term in (*SINE[1:], 1.0):
            sum_ = b.fadd(b.fmul(sum_, square, flags=once), number(term), flags=once)
        sine = b.fmul(sum_, angle)
        y = b.fadd(x, b.fmul(b.fmul(sine, sine), everywhere(args[5]), flags=once), flags=once)
        b.store(y, address(context, b, signature.args[2], args[2], args[3], vector), align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64, y, types.int64, types.float32, types.float32), codegen


PI = (3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7)
"""In three parts, of which the first two have few bits (Cephes)."""
SINE = (2.5992711e-06, -1.9806199e-04, 8.3330103e-03, -1.6666657e-01)
"""sin(r) / r by powers of r^2, the highest first, for half a turn around 0: to 5e-9 by least squares."""


@compiled
def snaked(x, x_at, x_row, y, y_at, y_row, channels, columns, alphas, alpha):
    """y = Snake(x) of some channels, which are `x_row` and `y_row` numbers behind one another.

    alphas: fp32 [all channels, 2], from number `alpha` on those of these channels and their inverses.
    """
    called()
    for c in range(channels):
        for j in range(0, columns, EIGHT):
            _snake(x, x_at + c * x_row + j, y, y_at + c * y_row + j, alphas[alpha + c, 0], alphas[alpha + c, 1])
