"""Answers that the server plays itself: told by events, heard by what has left the server."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import Simulation

from vivavoce.realtime.actions import CompletePlayback, Cut, PausePlayback, Play, StopPlayback
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.events import Played
from vivavoce.realtime.server.loudspeaker import Loudspeaker
from vivavoce.realtime.session import Session
from vivavoce.realtime.turns import Phase


@pytest.fixture
def talk() -> Simulation:
    return Simulation(SessionConfig(server_plays=True))


def after(talk: Simulation, kind: str) -> list[str]:
    """Types of the events from the first `kind` on."""
    return talk.sent_types[talk.sent_types.index(kind) :]


def response_id(talk: Simulation) -> str:
    return talk.events("response.created")[-1]["response"]["id"]


def test_sound_is_played_and_the_client_is_told_so(talk):
    talk.question_asked()
    talk.engine_says("Red.", ms=500)
    (played,) = [action for action in talk.log if isinstance(action, Play)]
    assert (played.turn, len(played.pcm)) == (1, 12_000)
    assert talk.events("response.output_audio.delta") == []
    assert after(talk, "response.content_part.added")[1:] == [
        "response.output_audio_transcript.delta",
        "output_audio_buffer.started",
    ]
    assert talk.events("output_audio_buffer.started")[0]["response_id"] == response_id(talk)


def test_an_answer_is_heard_when_its_sound_has_left(talk):
    talk.question_asked()
    talk.engine_says("Red.", ms=500)
    talk.engine_ends()
    talk.wait(9_000)
    assert (talk.sent_types[-1], talk.phase) == ("response.done", Phase.ANSWERING)
    talk.give(Played(1, 500))
    assert (talk.sent_types[-1], talk.phase) == ("output_audio_buffer.stopped", Phase.LISTENING)


def test_the_transport_is_told_when_no_more_of_an_answer_comes(talk):
    talk.question_asked()
    talk.engine_says("Red.", ms=500)
    assert not [action for action in talk.log if isinstance(action, CompletePlayback)]
    talk.engine_ends()
    talk.give(Played(1, 500))
    assert [action.turn for action in talk.log if isinstance(action, CompletePlayback)] == [1]


def test_answers_are_not_asked_for_faster_than_they_are_played_without_end(talk):
    for turn in range(1, talk.session.config.max_on_air + 1):
        talk.client("response.create")
        talk.engine_says("Red.", ms=500, turn=turn)
        talk.engine_ends(turn=turn)
    talk.client("response.create")
    (error,) = talk.events("error")
    assert (error["error"]["code"], len(talk.events("response.created"))) == ("too_many_active_responses", 4)
    assert "4 responses" in error["error"]["message"]
    talk.give(Played(1, 500))
    talk.client("response.create")
    assert len(talk.events("response.created")) == 5


def test_a_model_that_is_slow_does_not_end_its_answer(talk):
    talk.question_asked()
    talk.engine_says("The circle", ms=300)
    talk.give(Played(1, 300))
    talk.engine_says(" is red.", ms=300, at_ms=300)
    talk.give(Played(1, 600))
    assert (talk.phase, talk.events("output_audio_buffer.stopped")) == (Phase.ANSWERING, [])
    talk.engine_ends()
    assert (talk.sent_types[-1], talk.phase) == ("output_audio_buffer.stopped", Phase.LISTENING)
    assert len(talk.events("output_audio_buffer.started")) == 1


def test_an_interruption_clears_what_waits_and_keeps_what_was_played(talk):
    talk.answer_begun()
    talk.forget()
    talk.user_speaks(140)
    assert talk.did[:2] == [PausePlayback, StopPlayback] and Cut not in talk.did
    talk.give(Played(1, 480, stopped=True))
    assert after(talk, "input_audio_buffer.speech_started")[:2] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
    ]
    assert talk.sent_types[-2:] == ["response.done", "conversation.item.truncated"]
    assert talk.events("conversation.item.truncated")[0]["audio_end_ms"] == 480
    assert Cut(1, 480) in talk.log
    assert talk.phase is Phase.HEARING


def test_the_client_may_ask_for_silence(talk):
    talk.answer_begun()
    talk.client("output_audio_buffer.clear")
    assert StopPlayback in talk.did
    talk.give(Played(1, 700, stopped=True))
    assert talk.events("response.done")[0]["response"]["status"] == "cancelled"
    assert Cut(1, 700) in talk.log
    talk.forget()
    talk.client("output_audio_buffer.clear")
    assert talk.log == []


def test_the_rest_of_an_answer_that_was_followed_by_writing_is_cleared_too(talk):
    talk.question_asked()
    talk.engine_says("Red.", ms=500)
    talk.engine_ends()
    part = {"type": "input_text", "text": "and the square?"}
    talk.client("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
    talk.forget()
    talk.user_speaks(300)
    talk.give(Played(1, 100, stopped=True))
    assert talk.sent_types == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]


def test_a_written_answer_makes_no_sound(talk):
    talk.client("session.update", session={"output_modalities": ["text"]})
    talk.question_asked()
    talk.engine_says("Red.", ms=0)
    talk.engine_ends()
    assert (Play in talk.did, talk.phase) == (False, Phase.LISTENING)


def test_where_the_client_plays_there_is_nothing_to_clear():
    talk = Simulation()
    talk.client("output_audio_buffer.clear", event_id="mine")
    assert talk.events("error")[0]["error"]["event_id"] == "mine"


def test_what_the_client_wanted_when_it_connected_is_in_force_from_the_start():
    wanted = {"type": "realtime", "instructions": "Be brief."}
    session = Session(SessionConfig(wanted=wanted), "s")
    (created,) = session.actions()
    assert created.event["session"]["instructions"] == "Be brief."
    with pytest.raises(ClientError, match="speed"):
        Session(SessionConfig(wanted={"audio": {"output": {"speed": 3}}}), "s")


def test_playback_of_nothing_known_is_nobody_s_business(talk):
    talk.give(Played(7, 100))
    talk.give(Played(7, 100, stopped=True))
    assert talk.sent_types == ["session.created"]


class Played20(Simulation):
    """A session with a loudspeaker, which is given 20 ms at a time."""

    def __init__(self) -> None:
        self.speaker = Loudspeaker()
        super().__init__(SessionConfig(server_plays=True))

    def passes(self, ms: int) -> None:
        """Time goes by for the loudspeaker."""
        for _ in range(ms // 20):
            self.wait(20)
            for report in self.speaker.take()[1]:
                self.give(report)

    def _collect(self) -> None:
        fresh = self.session.actions()
        self.log += fresh
        for action in fresh:
            if isinstance(action, Play):
                self.speaker.play(action.turn, action.pcm)
            elif isinstance(action, StopPlayback):
                for report in self.speaker.stop():
                    self.give(report)


def writes(talk: Simulation) -> None:
    part = {"type": "input_text", "text": "and the square?"}
    talk.client("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
    talk.client("response.create")


def model_says(talk: Simulation) -> None:
    if talk.session.turn is not None:
        talk.engine_says("Well.", ms=300, turn=talk.session.turn)


def model_ends(talk: Simulation) -> None:
    if talk.session.turn is not None:
        talk.engine_ends(turn=talk.session.turn)


HAPPENINGS = [
    lambda talk: talk.user_speaks(200),
    lambda talk: talk.silence(700),
    lambda talk: talk.passes(200),
    lambda talk: talk.passes(1_000),
    model_says,
    model_says,
    model_ends,
    writes,
    lambda talk: talk.client("response.cancel"),
    lambda talk: talk.client("output_audio_buffer.clear"),
    lambda talk: talk.engine_fails(turn=talk.session.turn),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(HAPPENINGS), max_size=25))
def test_whatever_happens_each_playback_begins_once_and_ends_once(happenings) -> None:
    talk = Played20()
    for happening in happenings:
        happening(talk)
    if talk.session.turn is not None:
        model_ends(talk)
    talk.client("output_audio_buffer.clear")
    begun, ended = talk.events("output_audio_buffer.started"), []
    for kind in ("stopped", "cleared"):
        ended += [event["response_id"] for event in talk.events(f"output_audio_buffer.{kind}")]
    assert sorted(event["response_id"] for event in begun) == sorted(ended)
    assert len(set(ended)) == len(ended)
