"""Functions that a client offers, and answers that call them, told as short stories under virtual time."""

import json

import pytest
from simulate import Simulation

from vivavoce.realtime.actions import AddCall, AddText, Answer, Equip, Forget, Function, OpenBeside
from vivavoce.realtime.events import AnswerCalled
from vivavoce.realtime.turns import Phase

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "name": "weather", "description": "How it is outside.", "parameters": SCHEMA}
CLOCK = {"type": "function", "name": "clock", "parameters": {}}
WEATHER, TIME = Function("weather", "How it is outside.", json.dumps(SCHEMA)), Function("clock", "", "{}")
CALLED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]


@pytest.fixture
def talk() -> Simulation:
    talk = Simulation()
    talk.client("session.update", session={"tools": [TOOL]})
    return talk


def calls(talk: Simulation, turn: int | None = None) -> None:
    """The model calls `weather`, and says no more."""
    talk.give(AnswerCalled(turn or talk.turn, "weather", '{"city": "Rome"}'))
    talk.engine_ends(turn=turn)


def last_answer(talk: Simulation) -> Answer:
    return [action for action in talk.log if isinstance(action, Answer)][-1]


def test_the_model_is_told_of_the_functions_and_may_call_them(talk):
    assert talk.told == [Equip((WEATHER,))]
    talk.question_asked()
    answer = last_answer(talk)
    assert (answer.functions, answer.must_call, answer.text_only) == ((WEATHER,), False, False)


def test_a_call_is_an_item_behind_what_was_said(talk):
    talk.answer_begun()
    calls(talk)
    done = talk.events("response.done")[0]["response"]
    message, call = done["output"]
    assert (message["type"], message["status"]) == ("message", "completed")
    assert call["type"] == "function_call" and call["status"] == "completed" and call["object"] == "realtime.item"
    assert (call["name"], call["arguments"]) == ("weather", '{"city": "Rome"}')
    assert talk.sent_types[-7:] == [*CALLED, "response.done"]
    added, delta, told = (talk.events(kind)[-1] for kind in CALLED[1:4])
    assert (added["item"]["name"], added["item"]["call_id"]) == ("weather", call["call_id"])
    assert added["previous_item_id"] == message["id"]
    assert told["output_index"] == 1 and told["arguments"] == delta["delta"] == call["arguments"]


def test_a_call_without_a_word_is_the_whole_answer(talk):
    talk.question_asked()
    calls(talk)
    assert [item["type"] for item in talk.events("response.done")[0]["response"]["output"]] == ["function_call"]
    assert talk.phase is Phase.LISTENING


def test_a_guess_that_was_wrong_has_never_called(talk):
    """The model is quick and calls while nobody knows yet whether the user has finished; the user has not."""
    talk.user_speaks(1_000)
    talk.silence(300)
    assert talk.phase is Phase.GUESSING
    calls(talk)
    talk.user_speaks(500)
    talk.silence(700)
    assert not talk.events("response.function_call_arguments.done")
    talk.engine_says("Yes.", ms=100)
    talk.engine_ends()
    assert [item["type"] for item in talk.events("response.done")[0]["response"]["output"]] == ["message"]


def test_a_guess_that_was_right_calls_when_it_is_released(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    calls(talk)
    assert not talk.events("response.created")
    talk.silence(700)
    assert talk.sent_types[-7:] == [*CALLED, "response.done"]


def test_an_interrupted_answer_does_not_call(talk):
    talk.answer_begun()
    talk.give(AnswerCalled(talk.turn, "weather", "{}"))
    talk.user_speaks(1_000)
    assert talk.events("response.done")[0]["response"]["status"] == "cancelled"
    assert not talk.events("response.function_call_arguments.done")


def test_what_a_call_returned_is_told_and_answered(talk):
    talk.question_asked()
    calls(talk)
    call_id = talk.events("response.done")[0]["response"]["output"][0]["call_id"]
    talk.forget()
    result = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
    talk.client("conversation.item.create", item=result)
    talk.client("response.create")
    assert talk.told[:2] == [AddText("tool", "sunny"), last_answer(talk)]


@pytest.mark.parametrize(
    ("choice", "functions", "must_call"),
    [
        ("auto", (WEATHER, TIME), False),
        ("required", (WEATHER, TIME), True),
        ("none", (), False),
        ({"type": "function", "name": "clock"}, (TIME,), True),
    ],
)
def test_which_functions_may_or_must_be_called(talk, choice, functions, must_call):
    talk.client(
        "response.create", response={"tools": [TOOL, CLOCK], "tool_choice": choice, "parallel_tool_calls": False}
    )
    answer = last_answer(talk)
    assert (answer.functions, answer.must_call, answer.parallel) == (functions, must_call, False)
    assert Equip((WEATHER, TIME)) in talk.told, "this answer's own functions"


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"tool_choice": {"type": "function", "name": "clock"}}, "response.tool_choice.name"),
        ({"tool_choice": "required", "tools": []}, "response.tool_choice"),
        ({"tools": [{**TOOL, "parameters": "city"}]}, "response.tools[0].parameters"),
        ({"tools": [{**TOOL, "description": 3}]}, "response.tools[0].description"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_by_name(talk, response, param):
    talk.client("response.create", response=response, event_id="mine")
    error = talk.events("error")[0]["error"]
    assert (error["param"], error["event_id"]) == (param, "mine")
    assert "'weather'" in error["message"] or param != "response.tool_choice.name"


def test_functions_that_are_gone_are_forgotten_with_the_next_turn(talk):
    talk.client("session.update", session={"tools": [TOOL]})
    assert talk.told == [Equip((WEATHER,))], "nothing new"
    talk.client("session.update", session={"tools": []})
    talk.user_speaks(500)
    assert talk.told[1] == Forget()
    assert Equip((WEATHER,)) not in talk.told[1:]


def test_a_conversation_told_anew_has_its_calls(talk):
    talk.client(
        "conversation.item.create", item={"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    )
    talk.client("conversation.item.create", item={"type": "function_call_output", "call_id": "c", "output": "1"})
    said = {"id": "gone", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hm"}]}
    talk.client("conversation.item.create", item=said)
    talk.client("conversation.item.delete", item_id="gone")
    talk.forget()
    talk.user_speaks(500)
    assert talk.told[:4] == [Forget(), Equip((WEATHER,)), AddCall("f", "{}"), AddText("tool", "1")]


def test_an_answer_beside_the_conversation_calls_too(talk):
    talk.forget()
    asked = {"conversation": "none", "input": [], "tool_choice": "required"}
    talk.client("response.create", response=asked)
    opened = talk.told[0]
    assert isinstance(opened, OpenBeside) and opened.functions == (WEATHER,)
    assert talk.beside[-1].must_call
    calls(talk, opened.turn)
    assert talk.sent_types[1:] == [kind for kind in CALLED if not kind.startswith("conversation")] + ["response.done"]
