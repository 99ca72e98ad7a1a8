"""Speech probabilities become the moments of a turn."""

import pytest

from vivavoce.realtime.config import VadConfig
from vivavoce.realtime.vad import SpeechEnded, SpeechPaused, SpeechStarted, Vad

VOICE, MURMUR, QUIET = 0.9, 0.4, 0.05


def listen(*windows: tuple[int, float], **config: int) -> list[tuple[int, object]]:
    """(count, probability) of windows; what was signalled, and when it was known."""
    vad, now, signals = Vad(VadConfig(**config)), 0, []
    for count, probability in windows:
        for _ in range(count):
            signals += [(now + 32, signal) for signal in vad.push(now, probability)]
            now += 32
    return signals


def test_a_sentence_starts_pauses_and_ends():
    assert listen((5, QUIET), (20, VOICE), (30, QUIET)) == [
        (160 + 96, SpeechStarted(160)),
        (800 + 256, SpeechPaused(800)),  # 240 ms, in whole windows
        (800 + 608, SpeechEnded(800)),
    ]


def test_a_click_starts_nothing():
    assert listen((5, QUIET), (2, VOICE), (30, QUIET)) == []


def test_two_clicks_do_not_add_up():
    assert listen((2, VOICE), (1, QUIET), (2, VOICE), (30, QUIET)) == []


def test_a_breath_is_no_pause():
    assert [type(signal) for _, signal in listen((10, VOICE), (6, QUIET), (10, VOICE), (3, QUIET))] == [SpeechStarted]


def test_a_murmur_keeps_a_sentence_going_but_starts_none():
    assert listen((30, MURMUR)) == []
    assert [type(signal) for _, signal in listen((10, VOICE), (30, MURMUR))] == [SpeechStarted]


def test_the_user_goes_on_after_a_pause():
    signals = listen((10, VOICE), (10, QUIET), (10, VOICE))
    assert signals[1:] == [(576, SpeechPaused(320)), (736, SpeechStarted(640))]


def test_a_click_does_not_end_a_pause():
    signals = listen((10, VOICE), (10, QUIET), (2, VOICE), (30, QUIET))
    assert [type(signal) for _, signal in signals] == [SpeechStarted, SpeechPaused, SpeechEnded]


def test_the_end_waits_for_a_sound_that_may_be_speech():
    signals = listen((10, VOICE), (18, QUIET), (10, VOICE))
    assert [type(signal) for _, signal in signals] == [SpeechStarted, SpeechPaused, SpeechStarted]


def test_pause_and_end_may_coincide():
    signals = listen((10, VOICE), (20, QUIET), pause_ms=240, end_ms=240)
    assert [signal for _, signal in signals[1:]] == [SpeechPaused(320), SpeechEnded(320)]


def test_the_next_sentence_starts_afresh():
    kinds = [type(signal) for _, signal in listen((10, VOICE), (30, QUIET), (10, VOICE))]
    assert kinds == [SpeechStarted, SpeechPaused, SpeechEnded, SpeechStarted]


def test_a_pause_longer_than_the_end_is_refused():
    with pytest.raises(ValueError, match="pause_ms is 700 and end_ms 600"):
        VadConfig(pause_ms=700)
