"""What is made of a pause: the model is asked, and its word decides how long the pause may be."""

import pytest
from simulate import Simulation

from vivavoce.realtime.actions import Answer, Prefill, Weigh
from vivavoce.realtime.events import Weighed
from vivavoce.realtime.turns import Phase


@pytest.fixture
def talk() -> Simulation:
    return Simulation()


def detection(talk, **value):
    talk.client("session.update", session={"audio": {"input": {"turn_detection": value}}})


def asked(talk):
    return [action.number for action in talk.log if isinstance(action, Weigh)]


def test_a_sentence_that_sounds_finished_is_answered_soon(talk):
    talk.completeness = 0.99
    talk.user_speaks(1_000)
    talk.silence(320)
    assert talk.phase is Phase.ANSWERING


def test_a_sentence_that_breaks_off_is_waited_for(talk):
    talk.completeness = 0.02
    talk.user_speaks(1_000)
    talk.silence(1_400)
    assert talk.phase is Phase.HEARING
    talk.user_speaks(500)
    talk.completeness = 0.99
    talk.silence(320)
    assert talk.phase is Phase.ANSWERING
    assert len(talk.events("input_audio_buffer.committed")) == 1


def test_the_model_has_heard_everything_before_it_is_asked(talk):
    talk.user_speaks(1_000)
    talk.silence(120)
    kinds = [type(action) for action in talk.log if isinstance(action, Prefill | Weigh)]
    assert kinds == [Prefill, Prefill, Weigh]
    assert talk.fed[-1].audio.ms + talk.fed[-1].start_ms >= 1_000 + 64


def test_sound_waits_for_the_model_s_word_and_is_taken_in_then(talk, monkeypatch):
    monkeypatch.setattr(talk, "_collect", lambda: talk.log.extend(talk.session.actions()))
    talk.user_speaks(1_000)
    talk.silence(200)
    assert (asked(talk), talk.phase) == ([1], Phase.HEARING)
    talk.give(Weighed(1, 0.99))
    assert talk.phase is Phase.GUESSING
    talk.give(Weighed(1, 0.01))  # it is the first word that counts
    talk.silence(80)
    assert talk.phase is Phase.ANSWERING


def test_a_model_that_says_nothing_is_not_waited_for_long(talk, monkeypatch):
    monkeypatch.setattr(talk, "_collect", lambda: talk.log.extend(talk.session.actions()))
    talk.user_speaks(1_000)
    talk.silence(620)
    assert talk.phase is Phase.ANSWERING
    talk.give(Weighed(1, 0.01))
    assert talk.phase is Phase.ANSWERING


def test_what_is_said_while_the_model_weighs_is_not_lost(talk, monkeypatch):
    monkeypatch.setattr(talk, "_collect", lambda: talk.log.extend(talk.session.actions()))
    talk.user_speaks(1_000)
    talk.silence(120)
    talk.user_speaks(60)
    talk.client("input_audio_buffer.commit")
    starts, ends = [c.audio.start for c in talk.fed], [c.audio.end for c in talk.fed]
    assert starts[0] == 0 and starts[1:] == ends[:-1]
    assert ends[-1] // 16 >= 1_152


def test_silence_that_the_client_has_set_stands_whatever_the_model_thinks(talk):
    detection(talk, type="server_vad", silence_duration_ms=800)
    talk.completeness = 0.99
    talk.user_speaks(1_000)
    talk.silence(700)
    assert talk.phase is Phase.GUESSING
    talk.silence(140)
    assert talk.phase is Phase.ANSWERING


@pytest.mark.parametrize(("eagerness", "phase"), [("high", Phase.ANSWERING), ("low", Phase.GUESSING)])
def test_eagerness_moves_the_price(talk, eagerness, phase):
    detection(talk, type="semantic_vad", eagerness=eagerness)
    talk.completeness = 0.9
    talk.user_speaks(1_000)
    talk.silence(1_000)
    assert talk.phase is phase


def test_a_user_who_speaks_right_after_the_end_had_not_finished(talk):
    talk.completeness = 0.99
    talk.user_speaks(1_000)
    talk.silence(500)
    assert talk.phase is Phase.ANSWERING
    rhythm = talk.session._ear.pauses.rhythm
    before = rhythm.shape
    talk.user_speaks(200)
    assert rhythm.shape != before


def test_guesses_that_turn_out_wrong_make_the_next_ones_later(talk):
    bar = talk.session._ear.pauses.bar
    before = bar.value
    talk.completeness = 0.9
    talk.user_speaks(1_000)
    talk.silence(200)
    assert talk.phase is Phase.GUESSING
    talk.engine_says("Well,", ms=300)
    talk.user_speaks(200)
    assert bar.value > before
    assert [type(action) for action in talk.log if isinstance(action, Answer)] == [Answer]
