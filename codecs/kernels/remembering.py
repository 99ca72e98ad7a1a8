"""LSTM and LayerNorm, and the logistic function that they share with tanh."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.codecs.kernels.products import multiply
from vivavoce.codecs.kernels.vectors import LANES, address, called, exponential, row_squares, row_sum

__all__ = ["centred", "lstm", "squash"]


def _logistic(b: Any, x: Any) -> Any:
    one = ir.Constant(x.type, [1.0] * x.type.count)
    return b.fdiv(one, b.fadd(one, exponential(b, b.fneg(x))))


def _tanh(b: Any, x: Any) -> Any:
    """2 logistic(2 x) - 1."""
    twice = _logistic(b, b.fadd(x, x))
    return b.fsub(b.fadd(twice, twice), ir.Constant(x.type, [1.0] * x.type.count))


@intrinsic
def _cells(typing: Any, gates: Any, at: Any, apart: Any, state: Any, hidden_at: Any, cell_at: Any) -> Any:
    """LANES cells of an LSTM: their gates (input, forget, candidate, output) lie `apart`; hidden and cell state are replaced."""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        def gate(index: int) -> Any:
            there = b.add(args[1], b.mul(args[2], args[2].type(index)))
            return b.load(address(context, b, signature.args[0], args[0], there, vector), align=4)

        hidden, cell = (address(context, b, signature.args[3], args[3], args[i], vector) for i in (4, 5))
        kept = b.fmul(_logistic(b, gate(1)), b.load(cell, align=4))
        now = b.fadd(kept, b.fmul(_logistic(b, gate(0)), _tanh(b, gate(2))))
        b.store(now, cell, align=4)
        b.store(b.fmul(_logistic(b, gate(3)), _tanh(b, now)), hidden, align=4)
        return context.get_dummy_value()

    i = types.int64
    return types.void(gates, i, i, state, i, i), codegen


@intrinsic
def squash(typing: Any, x: Any, at: Any) -> Any:
    """x[at:][:LANES] = tanh of them, to 2e-7."""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        there = address(context, b, signature.args[0], args[0], args[1], vector)
        b.store(_tanh(b, b.load(there, align=4)), there, align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64), codegen


@compiled
def lstm(packed, matrix, x, width, gates, states, state_at, rows):
    """One step of `rows` streams. x: their inputs [rows, width], behind which there is room for their hidden states and a one.

    states: [rows, ...]; hidden and cell state are in it from `state_at` on, each padded to whole vectors; they are replaced.
    """
    called()
    across = matrix[2] // 4
    for n in range(rows):
        for j in range(width):
            x[n, width + j] = states[n, state_at + j]
        x[n, 2 * width] = 1
    multiply(packed, matrix, x, 0, rows, gates, 0)
    for n in range(rows):
        first = n * states.shape[1] + state_at
        for j in range(0, across, LANES):
            _cells(gates, n * gates.shape[1] + j, across, states, first + j, first + across + j)


@compiled
def centred(x, x_at, rows, width, norm, eps, y):
    """y = LayerNorm of x[:, x_at:], rows of some width. norm: [2, width], weight and bias."""
    called()
    for n in range(rows):
        first = n * x.shape[1] + x_at
        mean = row_sum(x, first, width, np.float32(0)) / np.float32(width)
        square = row_squares(x, first, width, mean)
        factor = np.float32(1.0 / np.sqrt(square / width + eps))
        for j in range(width):
            y[n, j] = (x[n, x_at + j] - mean) * factor * norm[0, j] + norm[1, j]
