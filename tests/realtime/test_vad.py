"""Speech probabilities become the moments of a turn."""

import pytest

from vivavoce.realtime.config import VadConfig
from vivavoce.realtime.vad import SpeechEnded, SpeechHushed, SpeechPaused, SpeechStarted, Vad

VOICE, MURMUR, QUIET = 0.9, 0.4, 0.05


def listen(*windows: tuple[int, float], **config: int) -> list[tuple[int, object]]:
    """(count, probability) of windows; what was signalled, and when it was known. Hushes have tests of their own."""
    vad, now, signals = Vad(VadConfig(**config)), 0, []
    for count, probability in windows:
        for _ in range(count):
            heard = vad.push(now, probability)
            signals += [(now + 32, signal) for signal in heard if not isinstance(signal, SpeechHushed)]
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


def hear(vad: Vad, at_ms: int, *windows: tuple[int, float]) -> tuple[int, list[object]]:
    signals = []
    for count, probability in windows:
        for _ in range(count):
            signals += vad.push(at_ms, probability)
            at_ms += 32
    return at_ms, signals


def test_a_hush_is_told_once_in_each_silence():
    _, signals = hear(Vad(VadConfig()), 0, (10, VOICE), (4, QUIET), (1, VOICE), (5, QUIET))
    assert signals == [SpeechStarted(0), SpeechHushed(320), SpeechHushed(480)]


def test_how_long_to_wait_holds_for_one_pause():
    vad = Vad(VadConfig())
    at_ms, _ = hear(vad, 0, (10, VOICE), (3, QUIET))
    vad.expect(128, 1_600)
    at_ms, signals = hear(vad, at_ms, (1, QUIET))
    assert signals == [SpeechPaused(320)]
    at_ms, signals = hear(vad, at_ms, (30, QUIET), (10, VOICE), (19, QUIET))
    assert [type(signal) for signal in signals] == [SpeechStarted, SpeechHushed, SpeechPaused, SpeechEnded]


def test_pauses_are_measured_when_the_user_goes_on():
    vad = Vad(VadConfig())
    hear(vad, 0, (10, VOICE), (2, QUIET), (4, VOICE), (4, QUIET), (5, VOICE), (10, QUIET), (5, VOICE), (30, QUIET))
    assert vad.pauses == [128, 320]  # two windows are no pause, and the last one was the end
