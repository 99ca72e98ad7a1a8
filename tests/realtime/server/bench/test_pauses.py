"""Waits and answers that cut in, counted."""

import numpy as np
import pytest

from vivavoce.realtime.config import PatienceConfig
from vivavoce.realtime.patience import Rhythm
from vivavoce.realtime.server.bench.pauses import Silence, Turn, curve, ends_after, hear, judge, silences
from vivavoce.realtime.server.serving import Unusable

THINKING = Silence(1_000, ((96, 0.05), (256, 0.02)), 900)
END = Silence(3_000, ((96, 0.98), (256, 0.99)))
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
    assert (thinking.since_ms, thinking.words, thinking.lasted_ms) == (1_024, ((96, 0.5), (256, 0.5)), 640)
    assert end.lasted_ms is None
    assert asked == [voice + 512 * windows for voice, windows in ((16_384, 3), (16_384, 8), (32_768, 23), (32_768, 28))]


def test_who_was_taken_for_somebody_who_thinks_is_asked_again():
    silence, config = Silence(0, ((96, 0.1), (256, 0.999))), PatienceConfig()
    assert ends_after(silence, Rhythm(config), config) == 256 + config.head_start_ms
    assert ends_after(Silence(0, silence.words[:1]), Rhythm(config), config) > 1_000


def test_a_checkpoint_that_cannot_tell_is_named(tmp_path):
    with pytest.raises(Unusable, match="turn_end.safetensors"):
        hear(tmp_path, 1, 1, "unseen variant")
