"""A training run that is stopped and resumed is the run that was not."""

import json

import pytest
import torch
from torch import nn

from vivavoce.model.train.run import Recipe, batches_by_length, learning_rate, train


def line():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def loss_of(module):
    def loss_at(step):
        torch.manual_seed(step)
        x = torch.randn(8, 3)
        return ((module(x)[:, 0] - x.sum(1)) ** 2).mean(), {}

    return loss_at


def losses(folder):
    return {r["step"]: r["loss"] for r in map(json.loads, (folder / "fit.jsonl").read_text().splitlines())}


@pytest.mark.parametrize("orthogonal", [(), ("weight",)], ids=["AdamW", "with Muon"])
def test_resumed_equals_uninterrupted(tmp_path, orthogonal):
    recipe = Recipe("fit", 40, 1e-2, save_every=10, orthogonal=orthogonal)
    whole = line()
    train(recipe, tmp_path / "whole", whole, loss_of(whole))

    class Stopped(Exception):
        pass

    def stop_at_25(step):
        if step == 25:
            raise Stopped

    first = line()
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "parts", first, loss_of(first), after=stop_at_25)
    second = line()
    train(recipe, tmp_path / "parts", second, loss_of(second))

    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert torch.equal(second.weight, whole.weight)


def test_the_rate_rises_to_its_peak_and_falls_to_two_percent():
    recipe = Recipe("r", 1000, 1.0)
    rates = [learning_rate(recipe, s) for s in range(1000)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 49
    assert rates[-1] == pytest.approx(0.02, abs=1e-3)


def test_batches_hold_everything_once_within_their_budget():
    lengths = [5, 9, 30, 12, 7, 7, 21, 3] * 5
    batches = batches_by_length(lengths, 60, seed=3)
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    assert all(max(lengths[i] for i in b) * len(b) <= 60 for b in batches)
    assert batches != batches_by_length(lengths, 60, seed=4)
