"""Questions that judge a checkpoint: held out, true, and judged by what was said."""

import numpy as np

from vivavoce.model.train import questions, voices
from vivavoce.model.train.evaluate import Outcome, Said, is_right
from vivavoce.model.train.questions import ROUND
from vivavoce.model.train.scenes import thing_is_held_out
from vivavoce.model.train.turns import Turn

RED = Turn("what colour is the circle", "The circle is red.", "colour", "red")


def test_an_answer_is_right_by_its_words_and_a_refusal_by_being_one():
    assert is_right(RED, "The circle is red.")
    assert not is_right(RED, "The circle is redder, or blue.")
    strange = Turn("who discovered America", "Sorry, I don't know that.", "unknown", "know")
    assert is_right(strange, "Sorry, I don't know that.")
    assert not is_right(strange, "I know that.")


def test_sound_is_whole_if_it_lasts_about_as_long_as_its_words(monkeypatch):
    spoken = np.ones(24_000, np.float32)
    monkeypatch.setattr(voices, "own_voice", lambda words: spoken)
    assert Outcome("", RED, Said(RED.reply, sound=[spoken])).whole
    assert not Outcome("", RED, Said(RED.reply, sound=[spoken[:8_000]])).whole
    assert not Outcome("", RED, Said(RED.reply, sound=[np.tile(spoken, 3)])).whole
    assert not Outcome("", RED, Said("", sound=[spoken])).whole


def test_everything_is_asked_twice_about_a_scene_that_training_never_had():
    for talk in questions.rounds(5, seed=3):
        assert talk.turns[:ROUND] == talk.turns[ROUND:]
        assert any(thing_is_held_out(thing.colour, thing.shape) for thing in talk.scene.things)
