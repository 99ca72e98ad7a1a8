"""What real clients insist on: one story a rule, named as R1, R2, ... in the comments of the code.

The client that broke is named with each rule. R16 is about function calls, which a model here does not make yet.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from openai.types.realtime import RealtimeServerEvent
from simulate import Simulation, picture, speech

from vivavoce.realtime import wire
from vivavoce.realtime.actions import AddCall, AddText
from vivavoce.realtime.turns import Phase

ROOM = Path(__file__).parents[2] / "realtime"


@pytest.fixture
def talk() -> Simulation:
    """A spoken question about what the camera shows was answered, and its transcript asked for."""
    talk = Simulation()
    talk.client("session.update", session={"audio": {"input": {"transcription": {"model": "any"}}}})
    talk.camera()
    talk.question_asked()
    talk.engine_heard("what is it")
    talk.engine_says("A red circle.", ms=600)
    talk.engine_ends()
    talk.silence(1_000)
    return talk


@pytest.fixture
def writing() -> Simulation:
    """The same in writing, with a picture and with what was said before."""
    talk = Simulation()
    talk.client("session.update", session={"output_modalities": ["text"]})
    for item in HISTORY:
        talk.client("conversation.item.create", item=item)
    talk.client("response.create", response={})
    talk.engine_says("A red circle.", ms=0)
    talk.engine_ends()
    return talk


HISTORY: list[dict[str, Any]] = [
    {"id": "h1", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
    {"id": "h2", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "what time is it"}]},
    {"id": "h3", "type": "function_call", "name": "clock", "call_id": "call_1", "arguments": "{}"},
    {"id": "h4", "type": "function_call_output", "call_id": "call_1", "output": "noon"},
    {"id": "h5", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Noon."}]},
    {
        "id": "h6",
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "and this?"},
            {"type": "input_image", "image_url": picture(3)},
            {"type": "input_audio", "audio": speech(300)},
        ],
    },
]


def items(talk: Simulation) -> Iterator[dict[str, Any]]:
    """Every item that the client was told of, in whatever event."""
    for event in talk.sent:
        if "item" in event:
            yield event["item"]
        yield from event.get("response", {}).get("output", [])


def parts(talk: Simulation, *roles: str) -> Iterator[dict[str, Any]]:
    """Every content part of the messages of these roles."""
    for item in items(talk):
        if item.get("role") in roles:
            yield from item["content"]


def both() -> Any:
    """A story that is told aloud and in writing."""
    return pytest.mark.parametrize("name", ["talk", "writing"])


@both()
def test_every_event_has_an_id(name, request):
    """R1 (pipecat raises)."""
    events = request.getfixturevalue(name).sent
    assert all(isinstance(event["event_id"], str) for event in events)
    assert len({event["event_id"] for event in events}) == len(events)


@both()
def test_a_voice_has_a_transcript_if_only_null(name, request):
    """R2 (agents-js throws)."""
    talk = request.getfixturevalue(name)
    spoken = [part for part in parts(talk, "user") if part["type"] == "input_audio"]
    assert spoken and all("transcript" in part for part in spoken)


@both()
def test_every_item_has_an_id_and_every_text_a_text(name, request):
    """R3 (agents-js throws)."""
    talk = request.getfixturevalue(name)
    assert all(isinstance(item["id"], str) for item in items(talk))
    texts = [part for part in parts(talk, "user", "system", "assistant") if part["type"].endswith("_text")]
    assert all(isinstance(part["text"], str) for part in texts)


@both()
def test_a_part_holds_no_null(name, request):
    """R4 (agents-js drops the event)."""
    talk = request.getfixturevalue(name)
    told = [event["part"] for event in talk.sent if event["type"].startswith("response.content_part.")]
    assert len(told) == 2
    assert all(value is not None for part in told for value in part.values())


@pytest.mark.parametrize(("name", "kind"), [("talk", "audio"), ("writing", "text")])
def test_an_item_s_content_is_called_otherwise_than_its_part(name, kind, request):
    """R5 (agents-js drops the event)."""
    talk = request.getfixturevalue(name)
    assert {event["part"]["type"] for event in talk.sent if "part" in event} == {kind}
    answer = talk.events("response.done")[0]["response"]["output"][0]
    assert [part["type"] for part in answer["content"]] == [f"output_{kind}"]


@pytest.mark.parametrize("voice", ["marin", {"id": "cedar"}])
def test_a_voice_is_a_string_whatever_it_was_set_to(voice):
    """R6 (agents-js drops `response.done`, so that the turn never ends)."""
    talk = Simulation()
    talk.client("session.update", session={"audio": {"output": {"voice": voice}}})
    talk.answer_begun()
    talk.engine_ends()
    told = [event["session"] for event in talk.sent if "session" in event]
    told += [event["response"] for event in talk.sent if "response" in event]
    assert len(told) == 4
    assert all(isinstance(body["audio"]["output"]["voice"], str) for body in told)


def test_the_rate_of_pcm_is_24000(talk):
    """R7 (pipecat raises on anything else)."""
    talk.client("session.update", session={"audio": {"input": {"format": {"type": "audio/pcm"}}}})
    formats = [talk.sent[-1]["session"]["audio"][way]["format"] for way in ("input", "output")]
    formats.append(talk.events("response.done")[0]["response"]["audio"]["output"]["format"])
    assert formats == [{"type": "audio/pcm", "rate": 24_000}] * 3


def test_echoes_hold_what_strict_clients_know():
    """R8 (pipecat raises)."""
    talk = Simulation()
    assert talk.sent[0]["session"]["tool_choice"] == "auto"
    named = {"type": "function", "name": "clock"}
    transcription = {"model": "whisper-1", "language": "de", "prompt": "names", "keywords": ["Ada"], "delay": "low"}
    audio = {"input": {"transcription": transcription, "turn_detection": {"type": "semantic_vad"}}}
    talk.client("session.update", session={"tool_choice": named, "audio": audio})
    session = talk.sent[-1]["session"]
    assert session["tool_choice"] == named
    assert session["audio"]["input"]["transcription"].keys() == {"model", "language", "prompt"}
    assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


@both()
def test_items_hold_nothing_that_a_client_does_not_know(name, request):
    """R9 (pipecat raises, agents-js drops the event)."""
    talk = request.getfixturevalue(name)
    assert {item["type"] for item in items(talk)} <= {"message", "function_call", "function_call_output"}
    known = {"input_text", "input_audio", "input_image", "output_text", "output_audio"}
    assert {part["type"] for part in parts(talk, "user", "system", "assistant")} <= known


def test_a_camera_adds_no_event_of_our_own(talk):
    """R10 (openai-agents for Python makes an error of every unknown event)."""
    talk.client("input_image_buffer.append", image=picture(3))
    talk.client("input_image_buffer.clear")
    union, _ = get_args(RealtimeServerEvent)
    known = {get_args(event.model_fields["type"].annotation)[0] for event in get_args(union)}
    assert len(known) > 40
    assert set(talk.sent_types) <= known


@pytest.mark.parametrize("conversation", ["auto", "none"])
def test_metadata_comes_back_at_once(conversation):
    """R11 (LiveKit's `generate_reply` times out without it)."""
    talk = Simulation()
    talk.client("response.create", response={"conversation": conversation, "metadata": {"client_event_id": "c1"}})
    assert talk.events("response.created")[0]["response"]["metadata"] == {"client_event_id": "c1"}


DEFAULTS = {
    "agents-js": {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "",
        "output_modalities": ["audio"],
        "tool_choice": "auto",
        "tools": [],
        "prompt": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1},
        },
    },
    "LiveKit": {
        "type": "realtime",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "tool_choice": "auto",
        "tracing": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": None,
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {
                    "type": "semantic_vad",
                    "create_response": True,
                    "eagerness": "medium",
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0, "voice": "marin"},
        },
    },
}


@pytest.mark.parametrize("session", DEFAULTS.values(), ids=DEFAULTS)
def test_stock_clients_get_what_they_ask_for_unasked(session):
    """R12 (refuse, and they never start)."""
    talk = Simulation()
    talk.client("session.update", session=session)
    assert talk.sent_types == ["session.created", "session.updated"]


@pytest.mark.parametrize("session", DEFAULTS.values(), ids=DEFAULTS)
def test_a_second_update_resets_nothing(session):
    """R13 (agents-js always sends it)."""
    talk = Simulation()
    talk.client("session.update", session=session)
    talk.client("session.update", session={"type": "realtime", "tracing": "auto"})
    first, second = (event["session"] for event in talk.events("session.updated"))
    assert second == {**first, "tracing": "auto"}


def test_who_is_interrupted_by_a_voice_is_told_so():
    """R14 (agents-js otherwise cancels each interrupted answer itself)."""
    talk = Simulation()
    talk.client("session.update", session={"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert talk.sent[-1]["session"]["audio"]["input"]["turn_detection"]["interrupt_response"] is True


def test_an_item_can_be_looked_at_whenever_something_was_said_about_it(talk):
    """R15 (agents-js does so after every transcript and every truncation)."""
    (heard,) = talk.events("conversation.item.input_audio_transcription.completed")
    talk.client("conversation.item.retrieve", item_id=heard["item_id"])
    assert talk.sent[-1]["item"]["content"][0]["transcript"] == "what is it"
    answer = talk.events("response.done")[0]["response"]["output"][0]["id"]
    talk.client("conversation.item.truncate", item_id=answer, content_index=0, audio_end_ms=100)
    talk.client("conversation.item.retrieve", item_id=talk.sent[-1]["item_id"])
    assert talk.sent[-1]["type"] == "conversation.item.retrieved"


@both()
def test_a_delta_has_its_place_in_an_item_that_is_known(name, request):
    """R17 (LiveKit: KeyError)."""
    talk = request.getfixturevalue(name)
    known, deltas = set(), 0
    for event in talk.sent:
        if event["type"] == "response.output_item.added":
            known.add((event["response_id"], event["item"]["id"], event["output_index"]))
        if event["type"].endswith(".delta"):
            assert (event["response_id"], event["item_id"], event["output_index"]) in known
            assert event["content_index"] == 0
            deltas += 1
    assert deltas


@both()
def test_an_item_follows_one_that_was_announced(name, request):
    """R18 (LiveKit appends it once more; for agents-js null is the front)."""
    talk = request.getfixturevalue(name)
    talk.client("conversation.item.create", item={**HISTORY[1], "id": "first"}, previous_item_id="root")
    order: list[str] = []
    for event in talk.events("conversation.item.added"):
        previous = event["previous_item_id"]
        order.insert(order.index(previous) + 1 if previous else 0, event["item"]["id"])
    assert order[0] == "first" and len(order) == len(set(order)) >= 3


@pytest.mark.parametrize(
    "response",
    [{}, {"output_modalities": ["dance"]}, {"metadata": 3}, {"input": [{"type": "item_reference", "id": "x"}]}],
    ids=["busy", "modality", "metadata", "input"],
)
def test_a_refused_answer_names_the_request(response):
    """R19 (agents-js and agents-python ask for nothing any more until it does)."""
    talk = Simulation()
    talk.question_asked()
    talk.client("response.create", response=response, event_id="r1")
    assert talk.sent[-1]["error"]["event_id"] == "r1"


def test_mistakes_have_the_codes_that_clients_forgive(talk):
    """R20 (any other code ends a session of pipecat)."""

    def code(kind: str, **fields: Any) -> str:
        talk.client(kind, event_id="e1", **fields)
        error = talk.sent[-1]["error"]
        assert error["event_id"] == "e1"
        return error["code"]

    assert code("response.cancel") == "response_cancel_not_active"
    assert talk.sent[-1]["error"]["message"].startswith("Cancellation failed")
    assert code("conversation.item.retrieve", item_id="nobody") == "item_retrieve_invalid_item_id"
    assert code("input_audio_buffer.commit") == "input_audio_buffer_commit_empty"
    talk.client("conversation.item.create", item=HISTORY[0])
    assert code("conversation.item.create", item=HISTORY[0]) == "item_create_duplicate_item_id"
    talk.client("response.create")
    assert code("response.create") == "conversation_already_has_active_response"


def test_no_code_says_that_it_is_no_use_to_call_again():
    """R21 (LiveKit stops reconnecting)."""
    source = "\n".join(path.read_text() for path in ROOM.rglob("*.py"))
    codes = set(re.findall(r"(?:ClientError|Refused)\(\s*\"(\w+)\"", source))
    assert "invalid_value" in codes and len(codes) > 12
    final = {"insufficient_quota", "credit_balance_exhausted", "invalid_api_key"}
    assert not codes & {*final, "account_deactivated", "billing_hard_limit_reached"}


def test_no_frame_is_larger_than_a_mebibyte():
    """R22 (pipecat: its WebSocket library refuses more)."""
    talk = Simulation()
    recording = {"id": "long", "role": "user", "content": [{"type": "input_audio", "audio": speech(60_000)}]}
    talk.client("conversation.item.create", item=recording)
    talk.client("conversation.item.retrieve", item_id="long")
    talk.client("response.create")
    talk.engine_says("A very long word", ms=60_000)
    talk.engine_ends()
    assert len(talk.sound_sent) == 60_000 * 24 * 2
    assert max(len(wire.encode(event)) for event in talk.sent) < 2**20


def test_a_conversation_is_taken_up_again():
    """R23 (LiveKit reconnects every 20 minutes; pipecat and agents-js load what was said before)."""
    talk = Simulation()
    for before, item in zip([None, *HISTORY], HISTORY, strict=False):
        talk.client("conversation.item.create", item=item, **({"previous_item_id": before["id"]} if before else {}))
    assert [event["item"]["id"] for event in talk.events("conversation.item.done")] == [item["id"] for item in HISTORY]
    assert [action.text if isinstance(action, AddText) else action for action in talk.told[:6]] == [
        "Be brief.",
        "what time is it",
        AddCall("clock", "{}"),
        "noon",
        "Noon.",
        "and this?",
    ]
    talk.client("conversation.item.retrieve", item_id="h3")
    assert talk.sent[-1]["item"] == {**HISTORY[2], "object": "realtime.item", "status": "completed"}


def test_a_transcript_costs_its_duration(talk):
    """R24 (agents-js and agents-python require it)."""
    (heard,) = talk.events("conversation.item.input_audio_transcription.completed")
    assert heard["usage"] == {"type": "duration", "seconds": pytest.approx(1.24, abs=0.1)}


def test_an_answer_is_cut_at_its_end_at_most(talk):
    """R25 (pipecat takes OpenAI's error for the end of the call)."""
    answer = talk.events("response.done")[0]["response"]["output"][0]["id"]
    talk.client("conversation.item.truncate", item_id=answer, content_index=0, audio_end_ms=2_535)
    assert (talk.sent[-1]["type"], talk.sent[-1]["audio_end_ms"]) == ("conversation.item.truncated", 600)
    talk.user_speaks(200)
    assert talk.phase is Phase.HEARING
