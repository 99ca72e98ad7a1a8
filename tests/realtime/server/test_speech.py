"""silero-vad on a synthesizer's voice, silence and music."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.codecs.formats import FORMATS
from vivavoce.codecs.pcm import float_to_pcm16, resample
from vivavoce.realtime.server.speech import Microphone, Silero, SileroState, SpeechMeter

SECOND = 16_000


def music(seconds: int) -> np.ndarray:
    """A chord whose voices swell: float32 at 16 kHz."""
    time = np.arange(seconds * SECOND) / SECOND
    voices = [220, 277, 330, 440, 554]
    swell = [0.5 + 0.5 * np.sin(2 * np.pi * (0.2 + 0.1 * n) * time) for n in range(len(voices))]
    return (0.05 * sum(np.sin(2 * np.pi * hz * time) * s for hz, s in zip(voices, swell, strict=True))).astype(
        np.float32
    )


def test_a_voice_is_speech_and_silence_is_not(question: np.ndarray) -> None:
    meter = SpeechMeter(Silero.shared())
    silence = meter.push(np.zeros(SECOND, np.float32))
    speech = meter.push(question)
    assert max(silence) < 0.1
    assert np.mean(np.array(speech) >= 0.5) > 0.8


def test_every_whole_window_gets_one_probability() -> None:
    meter = SpeechMeter(Silero.shared())
    assert meter.push(np.zeros(511, np.float32)) == ()
    assert len(meter.push(np.zeros(1, np.float32))) == 1
    assert len(meter.push(np.zeros(512 * 3 + 5, np.float32))) == 3


@settings(max_examples=5)
@given(cuts=st.lists(st.integers(0, 8_000), max_size=6))
def test_it_does_not_matter_how_the_sound_is_cut(question: np.ndarray, cuts: list[int]) -> None:
    sound = question[:8_000]
    whole = SpeechMeter(Silero.shared()).push(sound)
    meter = SpeechMeter(Silero.shared())
    pieces = [p for piece in np.split(sound, sorted(cuts)) for p in meter.push(piece)]
    assert pieces == pytest.approx(whole, abs=1e-6)


def test_a_stream_s_state_is_a_value(question: np.ndarray) -> None:
    network = Silero.shared()
    _, after = network.step(question[:512], SileroState())
    assert network.step(question[512:1024], after)[0] == network.step(question[512:1024], after)[0]


def test_speech_after_music_is_found_as_early_as_speech_after_silence(question: np.ndarray) -> None:
    """Without forgetting now and then, the network takes 0.3 s longer after ten seconds of chords."""

    def onset(before: np.ndarray) -> int:
        meter = SpeechMeter(Silero.shared())
        meter.push(before)
        return next(n for n, probability in enumerate(meter.push(question)) if probability >= 0.5)

    assert onset(music(10)) <= onset(np.zeros(10 * SECOND, np.float32)) + 3


def test_music_alone_is_no_speech() -> None:
    probabilities = SpeechMeter(Silero.shared()).push(music(10))
    voiced = "".join("x" if probability >= 0.5 else "." for probability in probabilities)
    assert "xxx" not in voiced, "three windows in a row would begin a turn"


def test_what_nobody_asks_about_is_not_judged_and_what_follows_is_as_by_a_fresh_meter(question: np.ndarray) -> None:
    sound = question[: 512 * 15]
    meter = SpeechMeter(Silero.shared())
    assert meter.push(sound, judge=False) == (0.0,) * 15
    assert meter.push(sound) == SpeechMeter(Silero.shared()).push(sound)


def test_a_window_of_another_length_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"holds \[500\] samples, expected \[512\]"):
        Silero.shared().step(np.zeros(500, np.float32), SileroState())


def test_the_microphone_hands_in_16_khz_with_its_probabilities(question: np.ndarray) -> None:
    microphone = Microphone(Silero.shared())
    wire = float_to_pcm16(resample(question, 16_000, 24_000))
    heard = [microphone.hear(wire[at : at + 960]) for at in range(0, len(wire), 960)]
    assert [event.chunk.start for event in heard][:2] == [0, len(heard[0].chunk.pcm)]
    assert heard[-1].chunk.end == pytest.approx(len(question), abs=1_600)
    assert sum(len(event.probabilities) for event in heard) == heard[-1].chunk.end // 512


def test_a_microphone_that_is_let_go_of_has_given_everything(question: np.ndarray) -> None:
    microphone = Microphone(Silero.shared())
    wire = float_to_pcm16(resample(question, 16_000, 24_000))
    for _ in range(2):  # and again: a new press of the button
        heard = [microphone.hear(wire), microphone.finish()]
        pcm = np.concatenate([event.chunk.pcm for event in heard])
        assert len(pcm) % 512 == 0 and len(pcm) - len(question) < 1_000
        assert pcm[: len(question)] == pytest.approx(question, abs=0.02)
        assert sum(len(event.probabilities) for event in heard) == len(pcm) // 512
    assert len(microphone.finish().chunk.pcm) == 0


def test_a_microphone_that_becomes_a_telephone_loses_nothing(question: np.ndarray) -> None:
    microphone = Microphone(Silero.shared())
    before = microphone.hear(float_to_pcm16(resample(question, 16_000, 24_000)))
    rest = microphone.tune("audio/pcmu")
    after = microphone.hear(FORMATS["audio/pcmu"].pack(resample(question, 16_000, 8_000)))
    assert rest.chunk.end % 512 == 0 and rest.chunk.end - len(question) < 1_000
    assert (rest.chunk.start, after.chunk.start) == (before.chunk.end, rest.chunk.end)
    assert len(after.chunk.pcm) == pytest.approx(len(question), abs=1_600)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        Microphone(Silero.shared()).hear(b"abc")
