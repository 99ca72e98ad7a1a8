"""A client from before GA: its words in, its words out."""

import json

import pytest
from openai.types.beta.realtime import RealtimeServerEvent
from openai.types.beta.realtime.session_update_event import SessionUpdateEvent
from pydantic import TypeAdapter
from simulate import MEDIA, Simulation, speech

from vivavoce.realtime import beta, wire
from vivavoce.realtime.config import SessionConfig

SCHEMA: TypeAdapter = TypeAdapter(RealtimeServerEvent)
ASKED = {
    "modalities": ["text", "audio"],
    "instructions": "Be brief.",
    "voice": "alloy",
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": {"model": "whisper-1"},
    "input_audio_noise_reduction": {"type": "near_field"},
    "turn_detection": {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 700},
    "tools": [],
    "tool_choice": "auto",
    "temperature": 0.8,
    "max_response_output_tokens": 100,
    "speed": 1.0,
}


class OldClient(Simulation):
    """A simulation whose client was written for the beta."""

    def client(self, type, **fields):
        self.give(wire.decode(json.dumps({"type": type, **fields}), MEDIA, beta.to_ga))

    @property
    def read(self):
        """What the client gets to read."""
        return [event for event in map(beta.from_ga, self.sent) if event is not None]

    @property
    def read_types(self):
        return [event["type"] for event in self.read]


@pytest.fixture
def old() -> OldClient:
    return OldClient(SessionConfig(model="gpt-4o-realtime-preview"))  # the beta SDK knows no other names


def test_the_session_comes_back_as_it_was_asked_for(old):
    assert SessionUpdateEvent.model_validate({"type": "session.update", "session": ASKED})  # it is one
    old.client("session.update", session=ASKED)
    told = old.read[-1]["session"]
    kept = {key: value for key, value in ASKED.items() if key not in ("temperature", "turn_detection")}
    assert {key: told[key] for key in kept} == kept
    assert (told["turn_detection"]["threshold"], told["turn_detection"]["silence_duration_ms"]) == (0.6, 700)
    assert "audio" not in told and "output_modalities" not in told


def test_a_spoken_turn_in_the_words_of_then(old):
    old.client("session.update", session=ASKED)
    old.question_asked()
    old.engine_heard("what is it")
    old.engine_says("Red.", ms=150)
    old.engine_ends()
    assert old.read_types[2:] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "response.created",
        "conversation.item.input_audio_transcription.completed",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    response = old.read[-1]["response"]
    assert response["output"][0]["content"] == [{"type": "audio", "transcript": "Red."}]
    assert (response["modalities"], response["voice"]) == (["text", "audio"], "alloy")
    assert (response["output_audio_format"], response["max_output_tokens"]) == ("pcm16", 100)


def test_a_written_turn_with_what_was_said_before(old):
    for role, part in (
        ("user", {"type": "input_text", "text": "hello"}),
        ("assistant", {"type": "text", "text": "Hi."}),
        ("assistant", {"type": "audio", "transcript": "How are you?"}),
        ("user", {"type": "input_audio", "audio": speech(300)}),
    ):
        old.client("conversation.item.create", item={"type": "message", "role": role, "content": [part]})
    assert [event["item"]["content"][0]["type"] for event in old.read[1:]] == [
        "input_text",
        "text",
        "audio",
        "input_audio",
    ]
    old.client("response.create", response={"modalities": ["text"], "max_response_output_tokens": 7})
    old.engine_says("Fine.", ms=0)
    old.engine_ends()
    assert "response.text.delta" in old.read_types
    assert old.read[-1]["response"]["output"][0]["content"] == [{"type": "text", "text": "Fine."}]
    assert old.read[-1]["response"]["max_output_tokens"] == 7


def test_the_telephone_of_then(old):
    old.client("session.update", session={"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"})
    assert old.session.settings.input_format == "audio/pcmu"
    told = old.read[-1]["session"]
    assert (told["input_audio_format"], told["output_audio_format"]) == ("g711_ulaw", "g711_alaw")


def test_no_turn_detection_is_none(old):
    old.client("session.update", session={"turn_detection": None})
    assert old.session.settings.vad() is None
    assert old.read[-1]["session"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"input_audio_format": "opus"}, "session.input_audio_format.type"),
        ({"turn_detection": {"threshold": 7}}, "session.turn_detection.threshold"),
        ({"modalities": "audio"}, "session.modalities"),
        ({"max_response_output_tokens": 0}, "session.max_response_output_tokens"),
    ],
)
def test_a_mistake_is_named_by_the_client_s_own_word(old, session, param):
    old.client("session.update", session=session)
    error = old.read[-1]["error"]
    assert error["param"] == param
    assert param in error["message"]


def test_every_event_is_one_that_the_beta_sdk_knows(old):
    old.client("session.update", session=ASKED)
    old.answer_begun()
    old.user_speaks(100)
    old.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=300)
    old.client("conversation.item.delete", item_id="item_000001")
    old.client("conversation.item.retrieve", item_id="item_000002")
    old.client("input_audio_buffer.clear")
    old.client("dance")
    for event in old.read:
        assert SCHEMA.validate_python(event).type == event["type"]
