"""Sentences broken off where nobody could take them for finished, and a network that learns the difference."""

import random

import numpy as np
import pytest
import torch

from vivavoce.model.train import endings, voices
from vivavoce.model.turn_end import FRAMES


def test_half_of_what_is_said_is_complete_and_a_pause_before_says_nothing_about_the_end():
    said = endings.sayings(random.Random(1), 600)
    complete = [saying for saying in said if saying.complete]
    broken = [saying for saying in said if not saying.complete]
    assert 0.4 < len(complete) / len(said) < 0.65
    assert any(saying.before for saying in complete) and any(saying.before for saying in broken)


def test_what_is_broken_off_is_no_sentence_by_itself():
    for saying in endings.sayings(random.Random(2), 300):
        if not saying.complete:
            assert " ".join(saying.words[: saying.end]) not in endings.whole()
        assert 0 <= saying.before < saying.end <= len(saying.words)


@pytest.mark.parametrize("end", [2, 5])
def test_it_ends_with_the_silence_of_a_pause_that_has_just_begun(monkeypatch, end):
    monkeypatch.setattr(voices, "speak", lambda text, voice: np.full(len(text) * 100, 0.5, np.float32))
    saying = endings.Saying(("what", "colour", "is", "the", "circle"), end, 1, ",")
    wave = endings.spoken(saying, voices.Voice("espeak", "en"), random.Random(3))
    silent_ms = (len(wave) - 1 - np.flatnonzero(wave)[-1]) / 16
    assert 80 <= silent_ms <= 171


def test_a_network_learns_what_there_is_to_learn(monkeypatch):
    monkeypatch.setattr(endings, "EPOCHS", 8)
    monkeypatch.setattr(endings, "RATE_OF_LEARNING", 1e-2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    dice = torch.Generator().manual_seed(1)
    frames = torch.randn(256, FRAMES, 8, generator=dice)
    labels = (frames[:, -1, 0] > 0).float()
    net = endings.fit(frames, labels)
    torch.set_num_threads(threads)
    figures = endings.examine(net, frames, labels)
    assert figures["area"] > 0.9
    assert figures["n"] == 256
