"""No figure that the measurements do not bear."""

import numpy as np
import pytest

from vivavoce.realtime.server.bench.stats import LEAST, difference, share, slope, summary


def test_there_is_no_percentile_of_fewer_than_twenty() -> None:
    few, enough = summary(list(range(LEAST - 1))), summary(list(range(LEAST)))
    assert "p50" not in few and "p95" not in few and (few["n"], few["max"]) == (19, 18)
    assert enough["p50"]["value"] == 9.5
    assert summary([]) == {"unit": "ms", "n": 0}


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """100 samples of a known median, each with its interval: 95 of them hold it, give or take chance."""
    dice = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        p50 = summary(dice.exponential(100, 60).tolist())["p50"]
        held += p50["low"] <= 100 * np.log(2) <= p50["high"]
    assert 88 <= held <= 100


def test_the_interval_of_a_share_has_a_width_even_where_nothing_happened() -> None:
    none = share(0, 20)
    assert none["value"] == none["low"] == 0 and none["high"] == pytest.approx(0.161, abs=0.001)
    assert "value" not in share(0, 0)


def test_a_call_that_gets_slower_is_told_from_one_that_does_not() -> None:
    dice = np.random.default_rng(2)
    minutes = np.linspace(0, 30, 120)
    flat = 500 + dice.normal(0, 30, 120)
    assert not slope(minutes.tolist(), flat.tolist())["grows"]
    slower = slope(minutes.tolist(), (flat + 5 * minutes).tolist())
    assert slower["grows"] and slower["low"] < 5 < slower["high"]
    assert "value" not in slope([0, 1], [1, 2])


def test_a_difference_of_medians_is_told_from_none() -> None:
    dice = np.random.default_rng(3)
    one, other = dice.normal(500, 20, 60).tolist(), dice.normal(500, 20, 80).tolist()
    same, later = difference(one, other), difference([value + 30 for value in one], other)
    assert same["low"] < 0 < same["high"] and later["low"] < 30 < later["high"] and later["low"] > 0
    assert "value" not in difference(one, other[:3])
