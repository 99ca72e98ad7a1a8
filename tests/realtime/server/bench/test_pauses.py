"""Waits and answers that cut in, counted."""

import numpy as np
import pytest

from vivavoce.realtime.config import PatienceConfig
from vivavoce.realtime.server.bench.pauses import Silence, Turn, curve, hear, judge, silences
from vivavoce.realtime.server.serving import Unusable

THINKING = Silence(1_000, 96, 0.05, 900)
END = Silence(3_000, 96, 0.98, None)
TURN = Turn((THINKING, END), 2_950)


def test_an_answer_that_comes_in_a_pause_cuts_in():
    point = judge([TURN], "600 ms", lambda silence: 600)
    assert (point.cut_in, point.turns) == (1.0, 1)


def test_one_that_waits_is_waited_for_from_the_last_of_the_voice():
    point = judge([TURN, TURN], "1 s", lambda silence: 1_000)
    assert (point.cut_in, point.wait_p50_ms) == (0.0, 1_050)


def test_a_price_lets_people_think_and_answers_soon_all_the_same():
    priced = [point for point in curve([TURN]) if point.way == f"price {PatienceConfig().cut_in_price_ms} ms"]
    assert [(point.cut_in, point.wait_p50_ms) for point in priced] == [(0.0, 3_000 + 224 - 2_950)]


def test_the_turn_detector_finds_the_silences(monkeypatch):
    dice = np.random.default_rng(1)
    asked = []

    def weigh(part):
        asked.append(len(part))
        return 0.5

    class Loudness:
        def __init__(self, network):
            pass

        def push(self, pcm):
            return tuple(float(np.abs(window).max() > 0.1) for window in pcm[: len(pcm) // 512 * 512].reshape(-1, 512))

    monkeypatch.setattr("vivavoce.realtime.server.bench.pauses.SpeechMeter", Loudness)
    voice, quiet = dice.uniform(0.2, 0.5, 16_384).astype(np.float32), np.zeros(512 * 20, np.float32)
    thinking, end = silences(np.concatenate([voice, quiet, voice, quiet]), weigh)
    assert (thinking.since_ms, thinking.judged_ms, thinking.lasted_ms) == (1_024, 96, 640)
    assert end.lasted_ms is None
    assert asked == [16_384 + 512 * 3, 2 * 16_384 + 512 * 23]


def test_a_checkpoint_that_cannot_tell_is_named(tmp_path):
    with pytest.raises(Unusable, match="turn_end.safetensors"):
        hear(tmp_path, 1, 1, "unseen variant")
