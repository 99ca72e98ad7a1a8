"""Questions that judge a checkpoint: held out, true, and judged by what was said."""

from dataclasses import replace

import numpy as np
import pytest

from vivavoce.model.functions import Call
from vivavoce.model.messages import AddText, Answer, Called, Cut, Ended, Function, Listen, Open, Spoke
from vivavoce.model.train import card, evaluate, questions, voices
from vivavoce.model.train.evaluate import Outcome, Said, is_called, is_right, run_dialogues
from vivavoce.model.train.questions import ROUND
from vivavoce.model.train.scenes import Scene, thing_is_held_out
from vivavoce.model.train.turns import Dialogue, Turn
from vivavoce.model.train.views import moves

SOUND = np.ones(24_000, np.float32)
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


CALL = Call("set_timer", '{"seconds": 300}')
TIMER = Turn("set a timer for five minutes", "Okay, five minutes.", "timer", "five minutes", called=CALL, returned="ok")


def test_a_call_is_right_by_its_name_and_arguments_and_where_none_is_wanted_there_is_none():
    assert is_called(TIMER, [Call("set_timer", '{"seconds":300}')])
    assert not is_called(TIMER, [])
    assert not is_called(TIMER, [Call("set_timer", '{"seconds": 5}')])
    assert not is_called(TIMER, [CALL, CALL])
    assert is_called(RED, [])
    assert not Outcome("", RED, Said(RED.reply, calls=[CALL])).right


def test_a_refusal_counts_where_an_answer_was_due():
    assert Outcome("", RED, Said("Sorry, I don't know that.")).refused
    assert not Outcome("", RED, Said("The circle is blue.")).refused


class Scripted:
    """A host that calls a function when there are any, and answers when it is told what came of it."""

    busy = False

    def __init__(self):
        self.asked = []

    def handle(self, message):
        self.asked.append(message)
        if not isinstance(message, Answer):
            return []
        if message.functions and not any(isinstance(earlier, AddText) for earlier in self.asked):
            said = Called("s", message.turn, CALL.name, CALL.arguments)
        else:
            said = Spoke("s", message.turn, TIMER.reply, SOUND, 0)
        return [said, Ended("s", message.turn, "done")]


def test_what_a_function_returns_is_told_and_the_answer_after_it_counts(monkeypatch):
    monkeypatch.setattr(evaluate, "spoken_question", lambda *_: np.zeros(16_000, np.float32))
    host, function = Scripted(), Function("set_timer", "", "{}")
    (outcome,) = run_dialogues(host, [Dialogue((TIMER,), None, "Be kind.", (function,))], "unseen variant", seed=1)
    assert outcome.right
    opened = next(message for message in host.asked if isinstance(message, Open))
    assert opened.functions == (function,) and opened.instructions == "Be kind."
    assert [m.text for m in host.asked if isinstance(m, AddText)] == ["ok"]


def test_an_interrupted_answer_is_cut_where_it_was_heard_and_the_rest_is_told(monkeypatch):
    monkeypatch.setattr(evaluate, "spoken_question", lambda *_: np.zeros(16_000, np.float32))
    turn = Turn("tell me a story", "A boat slept. It woke up.", "story", "boat", heard="A boat slept.")
    host = Scripted()
    run_dialogues(host, [Dialogue((turn,), None)], "unseen variant", seed=1)
    (cut,) = (message for message in host.asked if isinstance(message, Cut))
    assert cut.heard_ms == round(1000 * len(turn.heard) / len(turn.reply))
    assert [m.text for m in host.asked if isinstance(m, AddText)] == [
        "The user interrupted, and has not heard: It woke up."
    ]


def test_the_second_litter_is_asked_what_is_near_its_skills_and_the_first_is_not():
    assert questions.near_questions(10, 1, 1) == []
    asked = questions.near_questions(10, 1, 2)
    assert len(asked) == 10 and {talk.turns[0].skill for talk in asked} == {"unknown"}
    assert questions.lessons(2, 1, 1) == {}
    assert all(len(talks) == 2 for talks in questions.lessons(2, 1, 2).values())


def test_the_card_counts_replies_by_the_style_they_are_spoken_in():
    pytest.importorskip("hibari")
    turn = Turn("speak slowly", "Okay, I will speak slowly.", "manner", "slowly", style="slow")
    slow, usual = (voices.own_voice(turn.reply, style=style) for style in ("slow", ""))
    outcomes = [Outcome("", turn, Said(turn.reply, sound=[wave])) for wave in (slow, usual)]
    assert card.styles(outcomes) == {"slow": {"figure": 0.5, "n": 2}}
    assert card.refusals(outcomes) == {"figure": 0.0, "n": 2}


class Marked:
    """A photographer whose pictures are all of one brightness."""

    def __init__(self, scene):
        self.picture = np.full((24, 32, 3), scene.seed, np.uint8)

    def at(self, start_ms, frame):
        return self.picture

    def shoot(self, shot):
        return self.picture, self.picture


def test_another_scene_is_shown_from_its_turn_on_and_what_was_shown_meanwhile_before_the_question(monkeypatch):
    monkeypatch.setattr(evaluate, "spoken_question", lambda *_: np.zeros(16_000, np.float32))
    first, second, meanwhile = (Scene((), seed) for seed in (1, 2, 3))
    turns = (RED, replace(RED, kept=meanwhile), replace(RED, scene=second), RED)
    host = Scripted()
    run_dialogues(host, [Dialogue(turns, first)], "unseen variant", seed=1, photographer_of=Marked)
    chunks = [message.chunk for message in host.asked if isinstance(message, Listen)]
    shown = [(chunk.audio is not None, int(chunk.frames[0].rgb[0, 0, 0])) for chunk in chunks]
    assert shown == [(True, 1), *[(False, 3)] * 4, (True, 1), (True, 2), (True, 2)]


def test_the_second_litter_is_asked_about_all_that_it_sees_and_the_first_is_not():
    assert questions.sights(3, 1, 1) == {}
    asked = questions.sights(6, 1, 2)
    assert list(asked) == ["reading", "places", "comparing", "motion", "changes"]
    assert all(len(talks) == 6 and all(talk.scene.held for talk in talks) for talks in asked.values())
    skills = {name: {talk.turns[-1].skill for talk in talks} for name, talks in asked.items()}
    assert skills["comparing"] == {"bigger", "same", "more"}
    assert skills["motion"] == {"way", "does it move"}
    assert {talk.turns[-1].skill for talk in questions.sights(30, 1, 2)["changes"]} == {"changed", "meanwhile"}
    assert asked == questions.sights(6, 1, 2)
    texts = [talk.scene.prints[0].text for talk in asked["reading"]]
    assert [len(text) if text.isdigit() else 0 for text in texts] == [0, 0, 1, 1, 2, 2]
    assert sum(moves(talk.scene) for talk in questions.sights(16, 1, 2)["motion"]) == 12


def test_the_card_has_a_row_for_each_subject_and_below_it_for_each_skill(monkeypatch):
    def half_right(host, talks, *args, **more):
        return [Outcome("", t, Said(t.reply if i % 2 else "")) for i, talk in enumerate(talks) for t in talk.turns]

    monkeypatch.setattr(evaluate, "run_dialogues", half_right)
    assert card.sights(None, 4, 1, 1) == {}
    rows = card.sights(None, 4, 1, 2)["sights"]
    assert rows["reading"] == rows["changes"] == {"figure": 0.5, "n": 4}
    assert rows["places: where"] == {"figure": 0.0, "n": 2}
    assert rows["places: beside"] == {"figure": 1.0, "n": 2}
