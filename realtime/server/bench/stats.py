"""Figures of many measurements: percentiles with their uncertainty, shares, slopes. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LEAST = 20
"""Measurements below which there is no percentile: of ten, the 95th is the worst, and says nothing of the rest."""
RESAMPLES = 2_000
PERCENTILES = (50, 90, 95, 99)
CONFIDENCE = 95
Z = 1.959964
"""Of the normal distribution, for `CONFIDENCE`."""

Json = dict[str, Any]


def summary(values: Sequence[float], unit: str = "ms") -> Json:
    """n, smallest, mean, largest, and from `LEAST` values on the percentiles, each with its bootstrap 95 % interval."""
    made: Json = {"unit": unit, "n": len(values)}
    if not values:
        return made
    numbers = np.asarray(values, float)
    made |= {name: short(value) for name, value in (("min", numbers.min()), ("mean", numbers.mean()))}
    made["max"] = short(numbers.max())
    if len(values) >= LEAST:
        made |= {
            f"p{q}": {"value": short(np.percentile(numbers, q)), "low": short(low), "high": short(high)}
            for q, (low, high) in zip(PERCENTILES, intervals(numbers), strict=True)
        }
    return made


def intervals(numbers: np.ndarray) -> list[tuple[float, float]]:
    """Bootstrap: the same percentiles of `RESAMPLES` draws with repetition, the middle 95 % of each; the same dice every time."""
    dice = np.random.default_rng(0)
    drawn = numbers[dice.integers(0, len(numbers), (RESAMPLES, len(numbers)))]
    tails = ((100 - CONFIDENCE) / 2, (100 + CONFIDENCE) / 2)
    found = np.percentile(np.percentile(drawn, PERCENTILES, axis=1), tails, axis=1)
    return [(float(low), float(high)) for low, high in found.T]


def share(count: int, of: int) -> Json:
    """A rate with its Wilson 95 % interval, which holds for none and for all of a few, where a bootstrap has no width."""
    made: Json = {"unit": "share", "count": count, "n": of}
    if of:
        p, scale = count / of, 1 + Z**2 / of
        middle = (p + Z**2 / (2 * of)) / scale
        half = Z * math.sqrt(p * (1 - p) / of + Z**2 / (4 * of**2)) / scale
        made |= {
            "value": round(p, 4),
            "low": round(max(0.0, middle - half), 4),
            "high": round(min(1, middle + half), 4),
        }
    return made


def difference(some: Sequence[float], others: Sequence[float]) -> Json:
    """By how much the median of `some` is above that of `others`, with its bootstrap 95 % interval; none under `LEAST` values."""
    made: Json = {"unit": "ms", "n": min(len(some), len(others))}
    if made["n"] < LEAST:
        return made
    dice = np.random.default_rng(0)
    medians = [
        np.median(dice.choice(np.asarray(values, float), (RESAMPLES, len(values))), axis=1) for values in (some, others)
    ]
    low, high = np.percentile(medians[0] - medians[1], [2.5, 97.5])
    return made | {"value": short(np.median(some) - np.median(others)), "low": short(low), "high": short(high)}


def slope(times_min: Sequence[float], values: Sequence[float]) -> Json:
    """Of values over minutes, a least squares line, with its bootstrap 95 % interval; nothing under `LEAST` points."""
    made: Json = {"unit": "ms/min", "n": len(values)}
    if len(values) < LEAST:
        return made
    x, y = np.asarray(times_min, float), np.asarray(values, float)
    drawn = np.random.default_rng(0).integers(0, len(x), (RESAMPLES, len(x)))
    slopes = [steepness(x[rows], y[rows]) for rows in drawn]
    low, high = np.percentile(slopes, [2.5, 97.5])
    return made | {"value": short(steepness(x, y)), "low": short(low), "high": short(high), "grows": bool(low > 0)}


def steepness(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least squares line; 0 if all points have one x."""
    spread = x - x.mean()
    square = float(spread @ spread)
    return float(spread @ (y - y.mean())) / square if square else 0.0


def short(value: float) -> float:
    """As many digits as anybody reads."""
    return round(float(value), 2)
