"""Practise more of what lags behind: shares of the kinds of dialogues follow the gap of their perplexities to a reference's.

LongCat-Flash-Omni report, stage 3, samples subsets by the gap to a reference model's perplexity. Here the ratio of the two, within
bounds, multiplies a kind's share. It is told anew at every `EVERY`-th step, from the `EVERY` steps before as the training log has
them, and by nothing else: a run that was stopped and one that was not practise the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from vivavoce.model.train import curves

EVERY = 100
"""Steps between two looks at the log."""
MOST = 2.0
"""A share is at most so many times its own, or a part of it, before all are made to add up to one."""
PLACES = 5
"""Decimals of the log."""


def followed(
    shares: Mapping[str, float], lost: Mapping[str, float], reference: Mapping[str, float]
) -> dict[str, float]:
    """Shares that add up to one, by the losses in nats (logarithms of perplexities) and those of the reference.

    A kind that nothing is known of keeps its weight.
    """
    ratio = {
        kind: math.exp(min(9.0, lost[kind] - reference[kind])) for kind in shares if kind in lost and kind in reference
    }
    weights = {kind: share * min(MOST, max(1 / MOST, ratio.get(kind, 1.0))) for kind, share in shares.items()}
    whole = sum(weights.values())
    return {kind: weight / whole for kind, weight in weights.items()}


class Lagging:
    """The log of one run, as the shares are told from it."""

    def __init__(self, log: Path, reference: Mapping[str, float]) -> None:
        """`log`: what a stopped run has left, if anything. `reference`: kind to nats."""
        self.reference = reference
        steps = curves.read(log) if log.exists() else []
        self._lost = {int(f["step"]): {kind: f[key] for kind in reference if (key := figure(kind)) in f} for f in steps}

    def shares(self, step: int, shares: Mapping[str, float]) -> Mapping[str, float]:
        """What takes the place of `shares` at a step; themselves for the first `EVERY`."""
        end = step // EVERY * EVERY
        before = [self._lost.get(s, {}) for s in range(end - EVERY, end)]
        lost: dict[str, float] = {}
        for kind in self.reference:
            some = [figures[kind] for figures in before if kind in figures]
            if some:
                lost[kind] = sum(some) / len(some)
        return followed(shares, lost, self.reference) if lost else shares

    def note(self, step: int, lost: Mapping[str, float]) -> dict[str, float]:
        """Remember a step's losses by kind, as the log will have them; returns them by their names there."""
        self._lost[step] = {kind: round(value, PLACES) for kind, value in lost.items()}
        return {figure(kind): value for kind, value in lost.items()}


def figure(kind: str) -> str:
    """The name of a kind's loss in the log."""
    return f"nats of {kind}"
