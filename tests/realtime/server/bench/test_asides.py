"""What becomes of an answer that somebody makes a sound in: one course at a time, and counted."""

import random

import numpy as np
import pytest

from vivavoce.realtime.server.bench.asides import KINDS, Course, course, hear, recording, row
from vivavoce.realtime.server.serving import Unusable

VOICE, QUIET = 0.95, 0.01


def sound(windows: int) -> tuple[np.ndarray, int, list[float]]:
    """300 ms of silence, a voice of so many windows of 32 ms, a second of silence; where it begins; what the turn detector says."""
    before, after = 10, 31
    probabilities = [QUIET] * before + [VOICE] * windows + [QUIET] * after
    return np.zeros(512 * len(probabilities), np.float32), 512 * before, probabilities


@pytest.mark.parametrize(("says", "expected"), [(0.95, 96), (0.6, 96), (0.1, None)])
def test_a_client_that_stands_still_is_silent_from_the_onset_on(says, expected):
    ended = course(*sound(12), lambda pcm: says, pauses=True)
    assert ended.silent_ms == expected
    assert (ended.held_ms > 0) == (expected is None)


def test_one_that_plays_on_is_silent_when_it_is_told():
    assert course(*sound(12), lambda pcm: 0.95, pauses=False).silent_ms == 96
    assert course(*sound(12), lambda pcm: 0.6, pauses=False).silent_ms == 256
    assert course(*sound(12), lambda pcm: 0.1, pauses=False) == Course(None, 0)


def test_a_short_stop_is_known_when_it_is_over():
    ended = course(*sound(5), lambda pcm: 0.6, pauses=False)
    assert ended.silent_ms == 5 * 32 + 96


def test_a_model_that_cannot_tell_takes_a_voice_so_soon_for_the_rest_of_the_turn():
    assert course(*sound(5), lambda pcm: None, pauses=True).silent_ms == 96


def test_courses_are_counted():
    counted = row("stop", "plays on", [Course(100, 0), Course(300, 0), Course(None, 400), Course(None, 600)])
    assert (counted.cut, counted.silent_p50_ms, counted.held_p95_ms) == (0.5, 200, 590)
    assert row("noise", "plays on", [Course(None, 0)]).silent_p95_ms is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_said_or_made_some_time_into_the_answer(monkeypatch, kind):
    from vivavoce.model.train import endings, voices

    said = []
    monkeypatch.setattr(voices, "speak", lambda text, voice: said.append(text) or np.full(8_000, 0.5, np.float32))
    monkeypatch.setattr(endings, "in_the_room", lambda wave, seed: wave)
    wave, begin = recording(random.Random(3), kind, "unseen variant", 1)
    assert 200 <= begin / 16 <= 700
    assert not wave[:begin].any() and wave[begin : begin + 8_000].any()
    assert bool(said) == (kind != "noise")


def test_a_checkpoint_that_cannot_tell_is_named(tmp_path):
    with pytest.raises(Unusable, match="aside.safetensors"):
        hear(tmp_path, 1, 1, "unseen variant")
