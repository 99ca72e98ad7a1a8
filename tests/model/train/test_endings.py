"""Turns with pauses in them, and what is listened to in each."""

import random

import numpy as np
import pytest

from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train import endings, voices
from vivavoce.model.train.cli import embedded
from vivavoce.model.turn_end import FRAMES

WORDS = ["what", "colour", "is", "the", "circle"]


@pytest.mark.parametrize(
    "beginning",
    [
        "what is seven plus eight",  # ... please
        "hey do you see a blue cross",  # ... in the picture
        "repeat after me the doctor waits",  # ... at school
        "is there a triangle",
        "add two and seventeen",  # ... now
    ],
)
def test_what_might_have_ended_there_is_no_pause_to_think(beginning):
    assert endings.stands_alone(beginning.split())


@pytest.mark.parametrize(
    "beginning", ["what colour is the", "is there a blue", "take five from", "repeat after me", "my favourite"]
)
def test_what_nobody_would_take_for_a_sentence_is(beginning):
    assert not endings.stands_alone(beginning.split())


def test_a_pause_is_nowhere_but_behind_a_beginning():
    for seed in range(200):
        parts = endings.parted(random.Random(seed), held=True)
        for end in range(1, len(parts)):
            assert not endings.stands_alone(" ".join(parts[:end]).split())
    assert endings.breaks(WORDS) == [1, 2, 3, 4]


def test_people_pause_as_often_as_is_asked_for():
    numbers = {len(endings.parted(random.Random(seed), held=True, pauses=(1, 2))) for seed in range(20)}
    assert numbers == {2, 3}


def test_every_silence_is_listened_to_while_it_lasts(monkeypatch):
    monkeypatch.setattr(voices, "speak", lambda text, voice: np.full(len(text) * 100, 0.5, np.float32))
    wave, silences = endings.spoken(["what colour", "is the circle"], voices.Voice("espeak", "en"), random.Random(3))
    assert [silence.complete for silence in silences] == [False, True]
    for silence in silences:
        assert wave[silence.begin - 1] == 0.5
        assert len(silence.moments) == len(endings.LISTENED_S)
        assert not wave[silence.begin : silence.moments[-1]].any()


def test_what_nobody_has_said_is_spelled_as_if_it_had_been():
    tokenizer = Tokenizer.load(embedded())
    made = endings.written(tokenizer, 40, 1)
    assert made.pieces.shape == (40, FRAMES, 4)
    assert 0.25 < float(made.labels.float().mean()) < 0.85
    assert np.allclose(made.shares[:, -1].float().sum(-1), 1, atol=1e-3)  # it ends in silence, which is a blank
    assert not made.pieces[:, -1, 0].any()
    row = endings.spelling(tokenizer.encode(" what colour is the circle"), tokenizer.vocab_size, random.Random(4))
    assert tokenizer.decode([piece for piece, _ in row if piece]).split()[-1] == "circle"
