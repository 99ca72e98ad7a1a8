"""Answers beside the conversation, told as short stories under virtual time."""

import pytest
from simulate import Simulation, picture, speech

from vivavoce.realtime.actions import AddImage, AddText, Answer, CloseBeside, Cut, OpenBeside, Prefill
from vivavoce.realtime.turns import Phase

WRITTEN = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


@pytest.fixture
def talk() -> Simulation:
    talk = Simulation()
    talk.forget()
    return talk


def words(text: str, **fields) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


def aside(talk: Simulation, **fields) -> int:
    """Ask for a written answer beside the conversation; returns its turn."""
    asked = {"conversation": "none", "output_modalities": ["text"], **fields}
    talk.client("response.create", response=asked, event_id="aside")
    opened = [action.turn for action in talk.log if isinstance(action, OpenBeside)]
    return opened[-1] if opened else 0


def test_a_classification_leaves_no_trace(talk):
    """What real clients do most: an empty input, instructions, and metadata to find the answer by."""
    turn = aside(talk, input=[], instructions="Say yes.", metadata={"topic": "mood"}, max_output_tokens=20)
    assert talk.told[0] == OpenBeside(turn, "Say yes.")
    assert talk.beside == [Answer(turn, True, 20)]
    talk.engine_says("Yes.", ms=0, turn=turn)
    talk.engine_ends(turn=turn)
    assert talk.sent_types == WRITTEN
    assert talk.told[-1] == CloseBeside(turn)
    for event in (talk.sent[0], talk.sent[-1]):
        assert event["response"]["metadata"] == {"topic": "mood"}
        assert event["response"]["conversation_id"] is None
    assert talk.sent[-1]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "Yes."}]
    assert talk.phase is Phase.LISTENING
    talk.client("conversation.item.create", item=words("hello"))
    assert talk.events("conversation.item.added")[0]["previous_item_id"] is None


def test_without_input_it_knows_the_whole_conversation(talk):
    talk.client("session.update", session={"instructions": "Be brief."})
    talk.answer_begun()
    talk.engine_ends()
    talk.client("conversation.item.create", item=words("and now?"))
    turn = aside(talk)
    assert talk.told[-len(talk.beside) - 1] == OpenBeside(turn, "Be brief.")
    assert [type(action) for action in talk.beside] == [Prefill, Prefill, Prefill, AddText, AddText, Answer]
    assert talk.beside[3] == AddText("assistant", "Well, there is a red circle.")


def test_with_input_it_knows_that_and_no_more(talk):
    talk.client("conversation.item.create", item=words("my name is Ada", id="name"))
    talk.client("conversation.item.create", item=words("I am seven"))
    shown = [{"type": "input_image", "image_url": picture(3)}, {"type": "input_audio", "audio": speech(1_200)}]
    given = [{"type": "item_reference", "id": "name"}, {"type": "message", "role": "user", "content": shown}]
    aside(talk, input=given)
    assert talk.beside[0] == AddText("user", "my name is Ada")
    assert [type(action) for action in talk.beside[1:]] == [AddImage, Prefill, Prefill, Answer]


def test_it_runs_while_the_conversation_does(talk):
    talk.answer_begun()
    turn = aside(talk, input=[])
    talk.engine_says("Aside.", ms=0, turn=turn)
    talk.engine_says(" And a square.", ms=300, at_ms=2_000, turn=1)
    talk.user_speaks(100)  # interrupts the conversation's answer alone
    talk.engine_says(" Still here.", ms=0, turn=turn)
    talk.engine_ends(turn=turn)
    talk.wait(300)
    by_id = {event["response"]["id"]: event["response"] for event in talk.events("response.done")}
    assert by_id["resp_000001"]["status_details"]["reason"] == "turn_detected"
    assert by_id["resp_000002"]["output"][0]["content"][0]["text"] == "Aside. Still here."
    assert [action.turn for action in talk.told if isinstance(action, Cut)] == [1]


def test_it_may_be_spoken(talk):
    turn = aside(talk, input=[], output_modalities=["audio"])
    talk.engine_says("Yes.", ms=300, turn=turn)
    talk.engine_ends(turn=turn)
    assert len(talk.sound_sent) == 300 * 24 * 2
    assert not [kind for kind in talk.sent_types if kind.startswith("conversation.")]


def test_it_is_cancelled_by_its_name(talk):
    turn = aside(talk, input=[])
    talk.client("response.cancel")  # would be the conversation's
    assert talk.sent[-1]["error"]["code"] == "response_cancel_not_active"
    talk.client("response.cancel", response_id=talk.sent[0]["response"]["id"])
    assert talk.sent[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert talk.told[-1] == CloseBeside(turn)
    talk.forget()
    talk.engine_says("too late", ms=0, turn=turn)
    assert talk.log == []


def test_when_it_fails_the_conversation_does_not(talk):
    talk.answer_begun()
    turn = aside(talk, input=[])
    talk.engine_fails("no room", turn=turn)
    assert talk.sent[-1]["response"]["status_details"]["error"]["message"] == "no room"
    assert talk.phase is Phase.ANSWERING
    assert talk.told[-1] == CloseBeside(turn)


def test_there_are_only_so_many(talk):
    for _ in range(4):
        aside(talk, input=[])
    assert "error" not in talk.sent_types
    aside(talk, input=[])
    error = talk.sent[-1]["error"]
    assert (error["code"], error["event_id"]) == ("too_many_active_responses", "aside")
    assert "4 responses beside the conversation are active, expected at most 4" in error["message"]


def test_who_hangs_up_wants_none_of_them(talk):
    turn = aside(talk, input=[])
    talk.hang_up()
    assert CloseBeside(turn) in talk.told


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"conversation": "other"}, "response.conversation"),
        ({"input": 3}, "response.input"),
        ({"input": ["hello"]}, "response.input"),
        ({"input": [{"type": "item_reference", "id": "nobody"}]}, "response.input[0].id"),
        ({"input": [words("hi"), {"type": "item_reference"}]}, "response.input[1].id"),
        ({"input": [{"type": "mcp_call"}]}, "response.input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "response.input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_audio", "audio": "*"}]}]},
            "response.input[0].content[0].audio",
        ),
        ({"conversation": "auto", "input": []}, "response.input"),
        ({"metadata": {"n": 3}}, "response.metadata.n"),
        ({"metadata": {str(n): "" for n in range(17)}}, "response.metadata"),
        ({"metadata": {"k" * 65: ""}}, "response.metadata"),
        ({"metadata": {"k": "v" * 513}}, "response.metadata.k"),
        ({"max_output_tokens": 0}, "response.max_output_tokens"),
    ],
)
def test_what_cannot_be_asked_for_is_named(talk, asked, param):
    aside(talk, **asked)
    error = talk.sent[-1]["error"]
    assert (error["param"], error["event_id"]) == (param, "aside")
    assert param in error["message"]
    assert talk.told == []
