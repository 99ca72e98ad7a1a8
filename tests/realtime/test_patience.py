"""The price of cutting in against the price of waiting."""

from dataclasses import replace

import pytest

from vivavoce.realtime.config import PatienceConfig
from vivavoce.realtime.patience import Bar, Rhythm, Waits, patience

CONFIG = PatienceConfig(cut_in_price_ms=8_000, usual_pause_ms=750, pause_spread=0.5)


def waits(completeness: float, rhythm: Rhythm | None = None, config=CONFIG, **more) -> Waits:
    return patience(completeness, 96, rhythm or Rhythm(config), config, **{"bar": 0.7, "longest_ms": 4_000, **more})


def test_a_finished_sentence_is_answered_soon_and_a_broken_one_late():
    likely, open_, unlikely = (waits(completeness).end_ms for completeness in (0.99, 0.5, 0.01))
    assert likely <= 300 < open_ < 1_800 < unlikely <= 4_000


def test_the_dearer_it_is_to_cut_in_the_longer_is_the_wait():
    ends = [waits(0.9, config=replace(CONFIG, cut_in_price_ms=price)).end_ms for price in (500, 32_000, 64_000)]
    assert ends == sorted(set(ends))
    assert waits(0.9, price=4.0) == waits(0.9, config=replace(CONFIG, cut_in_price_ms=4 * CONFIG.cut_in_price_ms))


def test_the_wait_is_the_one_that_costs_least():
    rhythm, finished = Rhythm(CONFIG), 0.8
    chosen = waits(finished).end_ms

    def cost(ms):
        goes_on = (1 - finished) * rhythm.survival(ms) / rhythm.survival(96)
        return finished * ms + CONFIG.cut_in_price_ms * goes_on

    assert all(cost(chosen) <= cost(ms) for ms in range(128, 4_000, 32))


def test_nobody_waits_longer_than_the_longest_wait():
    assert waits(0.0, longest_ms=1_000).end_ms <= 1_000


def test_the_answer_is_begun_when_it_is_likely_to_be_wanted_and_in_any_case_ahead_of_the_end():
    assert waits(0.99).pause_ms == 96
    unlikely = waits(0.2, bar=0.98)
    assert unlikely.end_ms - unlikely.pause_ms == CONFIG.head_start_ms
    sooner = waits(0.2, bar=0.5)
    assert 96 < sooner.pause_ms < unlikely.pause_ms


def test_a_wait_that_the_client_has_set_stands_and_only_the_guess_moves():
    assert [waits(p, end_ms=500).end_ms for p in (0.01, 0.99)] == [500, 500]
    assert waits(0.99, end_ms=500).pause_ms < waits(0.01, end_ms=500).pause_ms == 500 - CONFIG.head_start_ms
    assert waits(0.01, end_ms=32) == Waits(32, 32)


def test_a_slow_thinker_is_given_more_time_and_a_brisk_one_less():
    slow, brisk = Rhythm(CONFIG), Rhythm(CONFIG)
    for _ in range(20):
        slow.resumed(1_400)
        brisk.resumed(250)
    assert waits(0.5, brisk).end_ms < waits(0.5).end_ms < waits(0.5, slow).end_ms


def test_one_pause_changes_little():
    once = Rhythm(CONFIG)
    once.resumed(1_400)
    assert abs(once.shape[0] - Rhythm(CONFIG).shape[0]) < 0.1


@pytest.mark.parametrize(("hit", "direction"), [(True, -1), (False, 1)])
def test_the_bar_rises_with_what_is_thrown_away_and_falls_with_what_is_not(hit, direction):
    bar = Bar(CONFIG)
    for _ in range(5):
        before = bar.value
        bar.guessed(hit, 100, 0 if hit else 100)
        assert (bar.value - before) * direction > 0
    assert CONFIG.lowest_bar <= bar.value <= CONFIG.highest_bar


def test_hits_do_not_excuse_waste():
    bar = Bar(CONFIG)
    for index in range(10):  # nine of ten are right, but the wrong one made most of the sound
        bar.guessed(index > 0, 1_000 if index == 0 else 20, 1_000 if index == 0 else 0)
    assert bar.value > CONFIG.bar
