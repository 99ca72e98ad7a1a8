"""Where somebody can be heard, to the step."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import silence, sounding, voice

from vivavoce.codecs.pcm import resample
from vivavoce.realtime.config import INPUT_RATE_HZ, VAD_WINDOW
from vivavoce.realtime.server.bench.corpus import QUESTIONS, VOICES, joined, say
from vivavoce.realtime.server.bench.sound import (
    RATE_HZ,
    STEP,
    audible,
    first_from,
    heard_samples,
    is_audible,
    merged,
    ms,
    samples,
)
from vivavoce.realtime.server.speech import Silero, SpeechMeter


def test_edges_are_found_to_a_step() -> None:
    pcm = sounding(1_000, (123.4, 456.7))
    ((first, behind),) = audible(pcm)
    assert abs(first - samples(123.4)) <= STEP and abs(behind - samples(456.7)) <= STEP


def test_silence_and_a_hiss_that_nobody_hears_are_not_audible() -> None:
    hiss = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32) * 1e-4
    assert audible(silence(500)) == audible(hiss) == audible(silence(0)) == []
    loud = np.concatenate([hiss, voice(100)])
    assert len(audible(loud)) == 1 and audible(loud)[0][0] >= RATE_HZ - STEP


def test_short_pauses_belong_to_the_voice_that_pauses() -> None:
    pcm = sounding(1_000, (100, 200), (300, 400), (800, 900))
    assert len(audible(pcm)) == 3
    assert len(audible(pcm, gap_ms=150)) == 2
    assert merged([(0, 10), (10, 20), (25, 30)], 4) == [(0, 20), (25, 30)]


@given(st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_edges_move_with_the_signal(shift: int, seed: int) -> None:
    """A voice that swells slowly out of a hiss: where it becomes audible does not depend on where the tape begins."""
    dice = np.random.default_rng(seed)
    pcm = (dice.standard_normal(4_800) * np.concatenate([np.geomspace(1e-4, 0.2, 2_400), np.full(2_400, 0.2)])).astype(
        np.float32
    )
    moved = audible(np.concatenate([np.zeros(shift, np.float32), pcm]))
    assert [(first - shift, behind - shift) for first, behind in moved] == audible(pcm)


def test_what_is_heard_from_some_moment_on() -> None:
    spans = [(10, 20), (30, 40)]
    assert [first_from(spans, at) for at in (0, 10, 15, 20, 39, 40)] == [10, 10, 15, 30, 39, None]
    assert [is_audible(spans, at) for at in (9, 10, 19, 20)] == [False, True, True, False]
    assert heard_samples(spans, 15, 35) == 10


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_loudness_finds_the_first_audible_sample_nearer_than_silero() -> None:
    """The reason for `audible`: nobody is better placed to say when a voice begins than whoever put it there."""
    by_loudness, by_silero = [], []
    for n, text in enumerate(QUESTIONS):
        true = samples(700 + 37 * n)
        spoken = joined("", "question", [say(text, VOICES[n % len(VOICES)])], [], text).pcm
        pcm = np.concatenate([np.zeros(true, np.float32), spoken])
        by_loudness.append(ms(abs(audible(pcm)[0][0] - true)))
        judged = SpeechMeter(Silero.shared()).push(resample(pcm, RATE_HZ, INPUT_RATE_HZ))
        first = next(window for window, p in enumerate(judged) if p >= 0.5)
        by_silero.append(abs(first * VAD_WINDOW * 1000 / INPUT_RATE_HZ - ms(true)))
    print(f"off by, mean: loudness {np.mean(by_loudness):.1f} ms, silero {np.mean(by_silero):.1f} ms")
    assert max(by_loudness) <= 2.5 < np.mean(by_silero)
