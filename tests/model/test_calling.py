"""A reply that calls functions, through the host: what comes of it, and what is in the model's mind afterwards."""

import json

import pytest
from toy_host import Toy, codes_of, spoken

from vivavoce.model import prompt
from vivavoce.model.functions import Call, described, written
from vivavoce.model.messages import (
    AddCall,
    AddText,
    Answer,
    Called,
    Cut,
    Ended,
    Equip,
    Failed,
    Function,
    Open,
    Reply,
    Rewind,
    Spoke,
)
from vivavoce.model.tokenizer import EOS

A = "a"
LOOK = Function("look", "What is there.", json.dumps({"properties": {"n": {"enum": [3]}}, "required": ["n"]}))
CALL = Call("look", '{"n": 3}')


@pytest.fixture
def toy() -> Toy:
    toy = Toy()
    toy.tell(Open(A))
    return toy


def asked(toy: Toy) -> prompt.Rows:
    """A typed question, and its rows."""
    assert toy.tell(AddText(A, "user", "what is it?")) == []
    return prompt.join(toy.text("USER:"), toy.text("what is it?"), toy.text("\n"))


def calls(messages: list[Reply]) -> list[Called]:
    return [message for message in messages if isinstance(message, Called)]


def test_a_reply_that_must_call_says_nothing_and_calls(toy: Toy) -> None:
    """Nothing is scripted here: random weights, held to the grammar."""
    question = asked(toy)
    assert toy.tell(Answer(A, 1, functions=(LOOK,), must_call=True, parallel=False)) == []
    said = toy.run()
    assert calls(said) == [Called(A, 1, CALL.name, CALL.arguments)]
    assert not any(isinstance(message, Spoke) for message in said)
    assert isinstance(said[-1], Ended) and said[-1].reason == "done"
    position = toy.engine.position(A)
    assert position > len(question) + len(toy.text("ASSISTANT:"))
    toy.tell(Rewind(A, 1))
    toy.tell(AddText(A, "user", " really?"))  # the guess was wrong, and has never called
    toy.remembers(A, question[:-1], toy.text(" really?"))


def test_words_are_spoken_until_the_call_begins(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Yes." + written(CALL)
    ids = [*toy.tokenizer.encode(text), EOS]
    codes = codes_of(len(ids), 1)
    mouth = [(token, tuple(int(c) + 32 for c in row)) for token, row in zip(ids, codes, strict=True)]
    toy.says(monkeypatch, mouth)
    question = asked(toy)
    toy.tell(Answer(A, 1, functions=(LOOK,)))
    said = toy.run()
    spoke = [message for message in said if isinstance(message, Spoke)]
    assert "".join(message.text for message in spoke) == "Yes."
    assert calls(said) == [Called(A, 1, CALL.name, CALL.arguments)]
    opening = next(n for n in range(len(ids)) if toy.tokenizer.decode(ids[:n]).endswith("<longcat_tool_call>"))
    assert sum(len(message.pcm) for message in spoke) == (opening - 1) * 1440, (
        "one frame a step, the last has no acoustics"
    )
    whole = toy.engine.position(A)
    assert whole == len(question) + len(toy.text("VOICE ASSISTANT:")) + len(ids) + len(toy.text("\n"))
    assert toy.tell(Cut(A, 1, heard_ms=60)) == []
    assert toy.engine.position(A) == whole, "the call was made, so history keeps it, interrupted or not"


def test_a_reply_that_may_call_need_not(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [("Yes, it is < 3.", codes_of(30, 1))]
    toy.says(monkeypatch, spoken(toy.tokenizer, *pieces))
    question = asked(toy)
    toy.tell(Answer(A, 1, functions=(LOOK,)))
    said = toy.run()
    assert "".join(message.text for message in said if isinstance(message, Spoke)) == "Yes, it is < 3."
    assert calls(said) == []
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, pieces))


def test_functions_calls_and_what_they_returned_are_turns_of_their_own(toy: Toy) -> None:
    toy.tell(Open("b", "Be brief.", functions=(LOOK,)))
    toy.tell(Equip("b", (Function("clock", "", "{}"),)))
    toy.tell(AddText("b", "user", "look!"))
    toy.tell(AddCall("b", CALL.name, CALL.arguments))
    toy.tell(AddText("b", "tool", "a circle"))
    tok = toy.tokenizer
    toy.remembers(
        "b",
        prompt.text_turn(tok, "SYSTEM", described([LOOK]) + "Be brief."),
        prompt.text_turn(tok, "SYSTEM", described([Function("clock", "", "{}")])),
        prompt.text_turn(tok, "USER", "look!"),
        prompt.text_turn(tok, "ASSISTANT", written(CALL)),
        prompt.text_turn(tok, "TOOL", "a circle"),
    )


def test_a_schema_that_is_none_fails_that_answer_alone(toy: Toy) -> None:
    question = asked(toy)
    (failed,) = toy.tell(Answer(A, 1, functions=(Function("look", "", '{"type": 3}'),)))
    assert isinstance(failed, Failed) and failed.turn == 1 and "look" in failed.message
    toy.tell(AddText(A, "user", " really?"))
    toy.remembers(A, question[:-1], toy.text(" really?"))
