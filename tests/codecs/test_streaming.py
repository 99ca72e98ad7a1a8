"""Layers in a row on a stream: the pieces joined are the whole, and a kept state is a copy of the stream."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.codecs.layers import CausalPad, Snake, WNConv1d, WNUpsample
from vivavoce.codecs.streaming import Chain, Streaming


def chain() -> Chain:
    torch.manual_seed(0)
    return Chain(
        CausalPad(2, 4), WNConv1d(2, 4, 3, 2), WNUpsample(4, 3, 3), Snake(3), CausalPad(3, 6), WNConv1d(3, 1, 7)
    )


def run(layers: Chain, pieces: list[Tensor]) -> Tensor:
    state, out = layers.initial_state(1, pieces[0]), []
    for piece in pieces:
        y, state = layers.step(piece, state)
        out.append(y)
    return torch.cat(out, dim=-1)


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6))
@torch.no_grad()
def test_the_pieces_joined_are_the_whole(sizes: list[int]) -> None:
    layers, x = chain(), torch.randn(1, 2, sum(sizes))
    torch.testing.assert_close(run(layers, list(x.split(sizes, dim=-1))), layers(x), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_kept_state_is_a_copy_of_the_stream() -> None:
    layers, x = chain(), torch.randn(1, 2, 12)
    _, mark = layers.step(x[..., :5], layers.initial_state(1, x))
    first, _ = layers.step(x[..., 5:], mark)
    layers.step(torch.randn(1, 2, 3), mark)
    again, _ = layers.step(x[..., 5:], mark)
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_a_layer_that_remembers_nothing_has_no_state() -> None:
    states = chain().initial_state(2, torch.zeros(1))
    assert [state is None for state in states] == [False, True, True, True, False, True]
    assert states[4].shape == (2, 3, 6)


def test_a_chain_is_itself_a_streaming_layer() -> None:
    assert isinstance(chain(), Streaming)
    assert not isinstance(Snake(2), Streaming)
