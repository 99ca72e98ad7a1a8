"""A network on what the ear hears last: its files, and what it looks at."""

import pytest
import torch
from torch import nn

from vivavoce.model.aside import Aside
from vivavoce.model.judge import TOP, padded, spelled
from vivavoce.model.turn_end import TurnEnd


class Spells(nn.Module):
    """An encoder's CTC head that knows ten pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(6, 10)

    def ctc_logits(self, hidden):
        return self.output(hidden)


@pytest.fixture
def encoder() -> Spells:
    torch.manual_seed(1)
    return Spells()


def test_only_the_newest_frames_count(encoder):
    net, frames = TurnEnd([TurnEnd.member(6, 10)]).eval(), torch.randn(60, 6)
    assert net.completeness(frames, encoder) == net.completeness(frames[-TurnEnd.FRAMES :], encoder)
    assert padded(frames[:3], 8).shape == (8, 6)


def test_the_likeliest_pieces_come_first(encoder):
    pieces, shares = spelled(encoder, torch.randn(5, 6))
    assert pieces.shape == shares.shape == (5, TOP)
    assert bool((shares.diff(dim=-1) <= 0).all()) and bool((shares.sum(-1) <= 1).all())


@pytest.mark.parametrize("kind", [TurnEnd, Aside])
def test_it_is_the_same_when_it_is_read_again(tmp_path, encoder, kind):
    net, frames = kind([kind.member(6, 10, width=12, letters=5) for _ in range(2)]).eval(), torch.randn(9, 6)
    net.save(tmp_path)
    again = kind.load(tmp_path)
    assert torch.allclose(again.judge(frames, encoder), net.judge(frames, encoder), atol=1e-2)
    assert kind.load(tmp_path / "elsewhere") is None
