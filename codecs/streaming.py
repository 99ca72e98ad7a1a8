"""The contract of every layer that can run on a stream, and how layers in a row keep it.

A streaming layer has, beside `forward` for the whole signal, `step(x, state) -> (y, state)` for the next piece of it.
The outputs of the pieces, joined, equal the output of the whole. The state is a value: `step` leaves the one it was
given as it was, so keeping a reference to a state is a copy of the stream, and two streams may go on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import torch
from torch import Tensor, nn

State: TypeAlias = Any
"""A tensor whose first axis is the batch, a tuple of states, or None for a layer that remembers nothing. Never written to."""


@runtime_checkable
class Streaming(Protocol):
    """A layer that remembers something between the pieces of a stream."""

    def initial_state(self, batch: int, like: Tensor) -> State:
        """The start of `batch` streams, on the device and in the type of `like`."""
        ...

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """[B, C, n] -> the next piece of output, and the next state."""
        ...


def stacked(states: Sequence[State]) -> State:
    """The states of several streams as one batch. They must agree in everything but the first axis."""
    first = states[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(list(states))
    return tuple(stacked(parts) for parts in zip(*states, strict=True))


def parted(state: State, count: int) -> list[State]:
    """The other way round: a batch of `count` streams as one state each."""
    if state is None:
        return [None] * count
    if isinstance(state, Tensor):
        return list(state.split(1))
    return list(zip(*(parted(part, count) for part in state), strict=True)) if state else [()] * count


class Chain(nn.Sequential):
    """Layers in a row: those that remember take and give their part of the state, the others have None in it."""

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A tuple with one state a layer."""
        return tuple(layer.initial_state(batch, like) if isinstance(layer, Streaming) else None for layer in self)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """[B, C, n] -> the next piece of output, and the next state."""
        following: list[State] = []
        for layer, past in zip(self, state, strict=True):
            if past is None:
                x = layer(x)
            else:
                x, past = cast(Streaming, layer).step(x, past)
            following.append(past)
        return x, tuple(following)
