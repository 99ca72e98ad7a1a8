"""A network learns what there is to learn; and with how many mistakes is counted right."""

import pytest
import torch

from vivavoce.model.aside import Aside
from vivavoce.model.judge import TOP
from vivavoce.model.train import judging
from vivavoce.model.train.listener import Excerpts
from vivavoce.model.turn_end import TurnEnd


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(judging, "EPOCHS", 8)
    monkeypatch.setattr(judging, "BATCH", 64)
    monkeypatch.setattr(judging, "RATE_OF_LEARNING", 1e-2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def excerpts(kind, told_by: str) -> Excerpts:
    """What is so stands in the last frame, or in its likeliest piece."""
    dice = torch.Generator().manual_seed(1)
    frames = torch.randn(256, kind.FRAMES, 8, generator=dice).half()
    pieces = torch.randint(0, 20, (256, kind.FRAMES, TOP), generator=dice).short()
    labels = (frames[:, -1, 0] > 0 if told_by == "voice" else pieces[:, -1, 0] > 9).long()
    shares = torch.tensor([1.0, 0, 0, 0]).half().expand(256, kind.FRAMES, TOP).clone()
    return Excerpts(frames, pieces, shares, labels * (kind.OUTPUTS - 1 or 1), torch.zeros(256))


@pytest.mark.parametrize("kind", [TurnEnd, Aside])
@pytest.mark.parametrize("told_by", ["voice", "words"])
def test_a_network_learns_what_there_is_to_learn(kind, told_by):
    taught = excerpts(kind, told_by)
    net = judging.fit(kind, 20, taught)
    figures = judging.examine(judging.logits(net, taught)[:, -1], taught.labels > 0)
    assert figures["area"] > 0.9
    assert figures["n"] == 256


def test_words_that_nobody_says_teach_it_too():
    taught, written = excerpts(TurnEnd, "voice"), excerpts(TurnEnd, "words")
    net = judging.fit(TurnEnd, 20, taught, written)
    silent = Excerpts(
        net.members[0].mean.expand(256, TurnEnd.FRAMES, 8),
        written.pieces,
        written.shares,
        written.labels,
        written.at_ms,
    )
    assert judging.examine(judging.logits(net, silent)[:, 0], written.labels > 0)["area"] > 0.85


def test_what_is_counted():
    scores, truth = torch.tensor([0.9, 0.8, 0.2, 0.1]), torch.tensor([True, True, False, False])
    assert judging.examine(scores, truth) == {"n": 4, "area": 1.0, "found at 3 %": 1.0}
    assert judging.examine(-scores, truth)["area"] == 0
