"""The user makes a sound during the answer: "mhm", a cough, or an interruption."""

import numpy as np
import pytest
from simulate import Simulation

from vivavoce.realtime.actions import AddText, Cut, Doubt, PausePlayback, Play, ResumePlayback, StopPlayback
from vivavoce.realtime.config import OverlapConfig, SessionConfig
from vivavoce.realtime.events import Doubted, Played
from vivavoce.realtime.extensions import PAUSED, RESUMED
from vivavoce.realtime.turns import Phase


class Call(Simulation):
    """The server plays, as it does over WebRTC: at the pace of speech, and not at all while it stands still."""

    def __init__(self, **overlap: int) -> None:
        self.played_ms = self.given_ms = 0
        self.stands = False
        super().__init__(SessionConfig(server_plays=True, overlap=OverlapConfig(**overlap)))

    def audio(self, samples, probability):
        if not self.stands:
            self.played_ms = min(self.given_ms, self.played_ms + samples // 16)
        super().audio(samples, probability)

    def _collect(self):
        before = len(self.log)
        super()._collect()
        for action in self.log[before:]:
            match action:
                case Play(turn=turn, pcm=pcm):
                    self.on_air = turn
                    self.given_ms += len(pcm) // 24
                case PausePlayback():
                    self.stands = True
                case ResumePlayback():
                    self.stands = False
                case StopPlayback():
                    self.stands = False
                    self.give(Played(self.on_air, self.played_ms, stopped=True))


@pytest.fixture
def call() -> Call:
    call = Call()
    call.answer_begun()
    call.silence(900)
    call.forget()
    return call


@pytest.fixture
def stock() -> Simulation:
    talk = Simulation(SessionConfig())
    talk.answer_begun()
    talk.silence(900)
    talk.forget()
    return talk


def test_playback_stands_still_with_the_onset_and_goes_on_after_a_mhm(call):
    call.user_speaks(128)
    assert (call.did, call.phase) == ([PausePlayback], Phase.YIELDING)
    at_ms = call.played_ms
    call.user_speaks(200)
    call.silence(128)
    assert (call.did, call.phase) == ([PausePlayback, ResumePlayback], Phase.ANSWERING)
    assert (
        call.played_ms - at_ms <= 64
    )  # not a syllable was played to nobody; it goes on before the last 128 ms are over
    call.silence(2_000)
    assert call.played_ms == call.given_ms == 2_000  # nor lost
    assert "input_audio_buffer.speech_started" not in call.sent_types


def test_an_interruption_cuts_where_playback_stood(call):
    call.user_speaks(128)
    stood_ms = call.played_ms
    call.user_speaks(480)
    call.wait(300)
    assert call.phase is Phase.HEARING
    told = [
        kind for kind in call.sent_types if not kind.startswith(("response.o", "response.c", "conversation.item.d"))
    ]
    assert told == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "response.done",
        "conversation.item.truncated",
    ]
    [cut] = [action for action in call.told if isinstance(action, Cut)]
    assert cut.heard_ms == stood_ms


def test_an_interruption_is_heard_from_its_beginning(call):
    began_ms = call.samples // 16
    call.user_speaks(1_500)
    call.silence(700)
    [started] = call.events("input_audio_buffer.speech_started")
    assert started["audio_start_ms"] <= began_ms
    assert call.fed[0].audio.start <= began_ms * 16


def test_a_client_that_has_the_sound_is_given_no_more_until_it_is_clear_what_the_sound_was(stock):
    stock.user_speaks(160)
    stock.engine_says(" And a square.", ms=500, at_ms=2_000, turn=1)
    assert (stock.phase, stock.sent, stock.did) == (Phase.YIELDING, [], [])
    stock.silence(128)
    assert stock.phase is Phase.ANSWERING
    assert stock.heard == " And a square."
    assert "input_audio_buffer.speech_started" not in stock.sent_types


def test_a_client_that_has_the_sound_is_told_soon_to_throw_it_away(stock):
    stock.user_speaks(320)
    assert "input_audio_buffer.speech_started" in stock.sent_types
    assert "output_audio_buffer.paused" not in stock.sent_types


def test_a_client_that_knows_pauses_is_told_of_them():
    talk = Simulation(SessionConfig(wanted={"extensions": [PAUSED]}))
    talk.answer_begun()
    talk.silence(900)
    talk.forget()
    talk.user_speaks(400)
    assert talk.sent_types == [PAUSED]
    talk.silence(128)
    assert talk.sent_types == [PAUSED, RESUMED]
    talk.user_speaks(800)
    heard = [event for event in talk.sent_types if event != "conversation.item.done"]
    assert heard[2:4] == [PAUSED, "input_audio_buffer.speech_started"]


def test_what_was_not_played_in_a_pause_was_not_heard():
    talk = Simulation(SessionConfig(wanted={"extensions": [PAUSED]}))
    talk.answer_begun()
    talk.silence(900)
    talk.user_speaks(700)
    talk.wait(300)
    [cut] = [action for action in talk.told if isinstance(action, Cut)]
    assert cut.heard_ms <= 900 + 128


def test_who_says_stop_twice_means_it(call):
    call.user_speaks(300)
    call.silence(500)
    assert call.phase is Phase.ANSWERING
    call.user_speaks(128)
    assert call.phase is Phase.HEARING


def test_uh_huh_is_one_sound(call):
    call.user_speaks(160)
    call.silence(160)
    call.user_speaks(160)
    assert call.phase is Phase.YIELDING
    call.silence(160)
    assert call.phase is Phase.ANSWERING


def test_an_answer_that_has_all_been_made_meanwhile_ends_when_it_goes_on(stock):
    stock.user_speaks(160)
    stock.engine_says(" Yes.", ms=100, at_ms=2_000, turn=1)
    stock.engine_ends(turn=1)
    assert "response.done" not in stock.sent_types
    stock.silence(128)
    assert stock.sent_types[-1] == "response.done"
    stock.silence(3_000)
    assert stock.phase is Phase.LISTENING


def test_or_with_the_interruption(stock):
    stock.user_speaks(160)
    stock.engine_says(" Yes.", ms=100, at_ms=2_000, turn=1)
    stock.engine_ends(turn=1)
    stock.user_speaks(200)
    [done] = stock.events("response.done")
    assert done["response"]["status"] == "cancelled"
    assert stock.heard == ""


def test_a_microphone_that_falls_silent_for_good_does_not_keep_the_answer_waiting(call):
    call.user_speaks(128)
    call.wait(1_100)
    assert (call.did, call.phase) == ([PausePlayback, ResumePlayback], Phase.ANSWERING)


def test_turn_detection_off_lets_the_answer_go_on(call):
    call.user_speaks(128)
    call.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    assert (call.did, call.phase) == ([PausePlayback, ResumePlayback], Phase.ANSWERING)


def test_cancelled_in_the_middle_of_a_sound_the_sound_becomes_a_turn(call):
    call.user_speaks(128)
    call.client("response.cancel")
    assert call.phase is Phase.LISTENING
    call.user_speaks(64)
    assert call.phase is Phase.HEARING


def test_at_first_the_echo_of_the_answer_interrupts_nothing():
    call = Call(echo_guard_ms=3_000)
    call.answer_begun()
    call.engine_says(" " + "and so on" * 9, ms=9_000, at_ms=2_000)
    call.silence(500)
    call.user_speaks(1_000)
    assert call.phase is Phase.ANSWERING
    call.silence(2_000)
    call.user_speaks(700)
    assert call.phase is Phase.HEARING


def test_a_voice_right_after_the_end_of_the_turn_is_the_rest_of_it():
    talk = Simulation(SessionConfig())
    talk.completeness = 0.99
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_says("Well", ms=400)
    talk.user_speaks(128)  # "what colour is the", "circle"
    assert talk.phase is Phase.HEARING


def overlapped(interrupting: float | None, into_ms: int = 900) -> Call:
    """An answer of two seconds, and a model that says this of every sound in it."""
    call = Call()
    call.completeness, call.interrupting = 0.99, interrupting
    call.user_speaks(1_000)
    call.silence(320)
    call.engine_says("Well, there is a red circle.", ms=4_000)
    call.silence(into_ms)
    call.forget()
    return call


def doubts(call: Call) -> list[int]:
    """How much of the sound the model was given, each time that it was asked, in ms."""
    return [action.sound.ms for action in call.log if isinstance(action, Doubt)]


def test_a_short_stop_stops_the_answer():
    call = overlapped(0.8)  # not sure enough to cut before the sound is over
    call.user_speaks(300)
    assert call.phase is Phase.YIELDING
    call.silence(160)
    assert (call.did[:2], call.phase) == ([PausePlayback, StopPlayback], Phase.GUESSING)
    call.silence(320)
    assert call.phase is Phase.ANSWERING  # "stop" is a turn like any other
    assert len(call.events("input_audio_buffer.committed")) == 1


def test_what_is_certainly_an_interruption_need_not_be_over():
    call = overlapped(0.95)
    call.user_speaks(128)
    assert call.phase is Phase.HEARING


def test_a_mhm_right_after_the_end_of_the_turn_goes_by():
    call = overlapped(0.05, into_ms=200)
    call.user_speaks(300)
    assert call.did == [PausePlayback]
    call.silence(160)
    assert (call.did, call.phase) == ([PausePlayback, ResumePlayback], Phase.ANSWERING)
    assert call.sent_types == []


def test_who_says_stop_twice_means_it_although_the_model_doubts_it():
    call = overlapped(0.3)
    call.user_speaks(300)
    call.silence(500)
    assert call.phase is Phase.ANSWERING
    call.user_speaks(300)
    call.silence(128)
    assert call.phase is Phase.GUESSING


def test_a_long_mhm_is_none_either_up_to_a_point():
    call = overlapped(0.05)
    call.user_speaks(800)
    assert call.phase is Phase.YIELDING
    call.user_speaks(300)
    assert call.phase is Phase.HEARING


def test_the_model_hears_the_sound_from_shortly_before_it_again_and_again():
    call = overlapped(0.05)
    call.user_speaks(400)
    call.silence(160)
    assert doubts(call) == [160 + ms for ms in (96, 160, 256, 352)] + doubts(call)[-1:]
    assert doubts(call)[-1] > 160 + 400


def test_where_the_model_cannot_tell_a_voice_right_after_the_end_of_the_turn_is_the_rest_of_it():
    call = overlapped(None, into_ms=200)
    call.user_speaks(128)
    assert call.phase is Phase.HEARING
    assert len(doubts(call)) == 1


def test_sound_waits_while_the_model_wonders_but_not_for_long(monkeypatch):
    call = overlapped(0.05)
    monkeypatch.setattr(call, "_collect", lambda: call.log.extend(call.session.actions()))
    call.user_speaks(140)
    call.silence(120)
    assert (len(doubts(call)), call.phase) == (1, Phase.YIELDING)  # nothing is made of the silence yet
    call.wait(150)
    assert len(doubts(call)) == 2  # what the sound was, now that it is over
    call.give(Doubted(1, 0.99))  # too late: it is about a question that is closed
    assert call.phase is Phase.YIELDING
    call.give(Doubted(2, 0.05))
    assert call.phase is Phase.ANSWERING


def test_an_answer_that_is_cancelled_while_the_model_wonders_leaves_the_sound_to_be_a_turn(monkeypatch):
    call = overlapped(0.05)
    monkeypatch.setattr(call, "_collect", lambda: call.log.extend(call.session.actions()))
    call.user_speaks(160)
    call.client("response.cancel")
    call.give(Doubted(1, 0.05))
    call.user_speaks(64)
    assert call.phase is Phase.HEARING


def test_the_loudspeaker_goes_on_at_the_sample_where_it_stood():
    from vivavoce.realtime.server.loudspeaker import Loudspeaker

    speaker, said = Loudspeaker(), np.arange(24_000, dtype=np.float32)
    speaker.play(1, said)
    heard = []
    for packet in range(60):
        if packet in (5, 30):
            speaker.pause()
        if packet in (9, 31):
            speaker.resume()
        pcm, _ = speaker.take()
        heard += [] if pcm is None else [pcm]
    assert np.array_equal(np.concatenate(heard), said)


def test_what_was_not_heard_is_a_note_for_the_model_and_for_nobody_else():
    talk = Simulation(SessionConfig(notes=True))
    talk.question_asked()
    talk.engine_says("There is a red circle.", ms=1_500)
    talk.engine_says(" And a", ms=500, at_ms=1_500)
    talk.engine_says(" square.", ms=400, at_ms=2_000)
    talk.silence(1_400)
    talk.forget()
    talk.user_speaks(400)
    talk.wait(300)
    cut, note = (action for action in talk.told if isinstance(action, Cut | AddText))
    assert (type(cut), note.role) == (Cut, "system")
    assert note.text.endswith("square.")
    assert "circle" not in note.text
    assert "square" not in str([event for event in talk.sent if event["type"] == "conversation.item.added"])


def test_an_answer_that_was_heard_leaves_no_note():
    talk = Simulation(SessionConfig(notes=True))
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(2_500)
    talk.user_speaks(400)
    assert not [action for action in talk.told if isinstance(action, AddText)]
