"""Every event that a session can send, beside the types of the `openai` package."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from simulate import Simulation, picture, speech

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerCalled, Played

SCHEMA: TypeAdapter = TypeAdapter(RealtimeServerEvent)
README = Path(__file__).parents[2] / "realtime" / "README.md"


def told_of_in_the_readme() -> set[str]:
    """The list of server events in `On the wire`, with its shorthand `a.b` / `.c` undone."""
    (paragraph,) = re.findall(r"Server events:(.*?)\n\n", README.read_text(), re.DOTALL)
    kinds: list[str] = []
    for name in re.findall(r"`([a-z_.]+)`", paragraph):
        kinds.append(kinds[-1].rpartition(".")[0] + name if name.startswith(".") else name)
    return set(kinds)


def an_ordinary_day(talk: Simulation) -> None:
    """Settings, a spoken question, its answer, what was said, what was meant."""
    tools = [{"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}]
    audio = {"input": {"transcription": {"model": "any"}, "noise_reduction": {"type": "near_field"}}}
    talk.client("session.update", session={"instructions": "Be brief.", "tools": tools, "tracing": "auto"})
    ratio = {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 900}}
    for truncation in ("disabled", ratio):
        talk.client("session.update", session={"truncation": truncation})
    talk.client("session.update", session={"tool_choice": {"type": "function", "name": "look"}, "audio": audio})
    talk.question_asked()
    talk.engine_heard("what is it")
    talk.engine_says("Well, there is a red circle.", ms=700)
    talk.engine_ends()
    talk.silence(1_000)
    talk.client("conversation.item.retrieve", item_id="item_000001")
    talk.client("conversation.item.retrieve", item_id="item_000002")


def interruptions(talk: Simulation) -> None:
    """By voice, by word, by failure, by a limit, and by a client that lags."""
    talk.answer_begun()
    talk.user_speaks(100)
    talk.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=300)
    talk.question_asked()
    talk.engine_says("Blue.")
    talk.client("response.cancel")
    talk.question_asked()
    talk.engine_fails("out of memory")
    talk.engine_fails("out of memory")
    talk.question_asked()
    talk.engine_says("A long story")
    talk.engine_ends("length")


def by_hand(talk: Simulation) -> None:
    """A client that ends its own turns, writes, shows, deletes, and makes mistakes."""
    talk.client("session.update", session={"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}})
    talk.user_speaks(500)
    talk.client("input_audio_buffer.clear")
    talk.user_speaks(500)
    talk.client("input_audio_buffer.commit")
    parts = [
        {"type": "input_text", "text": "what is this?"},
        {"type": "input_image", "image_url": picture(3), "detail": "low"},
        {"type": "input_audio", "audio": speech(300)},
    ]
    call = {"type": "function_call", "name": "look", "call_id": "c1", "arguments": "{}"}
    for item in (
        {"id": "shown", "type": "message", "role": "user", "content": parts},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Yes."}]},
        call,
        {"type": "function_call_output", "call_id": "c1", "output": "a circle"},
    ):
        talk.client("conversation.item.create", item=item)
    talk.client("response.create", response={"metadata": {"a": "b"}, "max_output_tokens": 9})
    talk.engine_says("A circle.", ms=0)
    talk.give(AnswerCalled(talk.turn, "look", "{}"))
    talk.engine_ends()
    talk.client("conversation.item.delete", item_id="shown")
    talk.client("dance", event_id="d1")


def impatience(talk: Simulation) -> None:
    """Semantic and server turn detection, a telephone's formats in the echo, and a silence that is too long."""
    for detection in ({"type": "semantic_vad", "eagerness": "low"}, {"type": "server_vad", "idle_timeout_ms": 5_000}):
        talk.client("session.update", session={"audio": {"input": {"turn_detection": detection}}})
    talk.client("session.update", session={"audio": {"input": {"format": {"type": "audio/pcma"}}}})
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(8_000)


def asides(talk: Simulation) -> None:
    """Answers beside the conversation, written, spoken and failed."""
    for turn, modality in enumerate(("text", "audio", "audio"), start=1):
        asked = {"conversation": "none", "input": [], "output_modalities": [modality], "metadata": {"n": str(turn)}}
        talk.client("response.create", response=asked)
        talk.engine_says("Yes.", turn=turn)
    talk.engine_ends(turn=1)
    talk.engine_ends(turn=2)
    talk.engine_fails("no room", turn=3)


def a_call(talk: Simulation) -> None:
    """The server plays: an answer to its end, and one that is interrupted."""
    talk.answer_begun()
    talk.engine_ends()
    talk.give(Played(1, 2_000))
    talk.answer_begun()
    talk.user_speaks(140)
    talk.give(Played(2, 480, stopped=True))


def a_look_back(talk: Simulation) -> None:
    """What the model saw while the user spoke, and for a written question."""
    talk.camera(3)
    talk.user_speaks(1_000)
    talk.camera(4, source="screen", timestamp_ms=5)
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(3_000)
    talk.camera(5)
    words = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and this?"}]}
    talk.client("conversation.item.create", item={"id": "written", **words})
    for item_id in ("item_000001", "written"):
        talk.client("conversation.item.retrieve", item_id=item_id)
        talk.client("conversation.item.retrieve", item_id=item_id, include=["item.frames.image"])
        assert talk.sent[-1]["item"]["frames"][0]["image"]


STORIES = [an_ordinary_day, interruptions, by_hand, impatience, asides, a_look_back, a_call]


def told(story: Callable[[Simulation], None]) -> Simulation:
    """The story, to its end."""
    talk = Simulation(SessionConfig(server_plays=story is a_call))
    story(talk)
    return talk


@pytest.mark.parametrize("story", STORIES)
def test_every_event_is_one_that_the_sdk_knows(story):
    for event in told(story).sent:
        understood = SCHEMA.validate_python(event)
        assert understood.type == event["type"]


def test_the_stories_leave_no_event_out_and_the_readme_neither():
    sent = set()
    for story in STORIES:
        sent |= set(told(story).sent_types)
    assert sent == told_of_in_the_readme()


def test_the_schema_can_be_broken():
    talk = Simulation()
    event = talk.sent[0]
    event["session"]["audio"]["input"]["turn_detection"]["type"] = "clairvoyance"
    with pytest.raises(ValueError, match="clairvoyance"):
        SCHEMA.validate_python(event)
