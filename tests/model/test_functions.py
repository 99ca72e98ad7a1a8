"""Functions as the model reads of them, and calls as they are read out of its text."""

import json

import pytest

from vivavoce.model.functions import CLOSE, OPEN, Call, CallReader, described, written
from vivavoce.model.messages import Function

WEATHER = Function("weather", "How it is outside.", '{"properties": {"city": {"type": "string"}}}')
TEXT = (
    f'Let me see. {OPEN}\n{{"name": "weather", "arguments": {{"city": "Köln  <b>"}}}}\n{CLOSE}'
    f'{OPEN}{{"name": "clock", "arguments": {{}}}}\n{CLOSE} done'
)


def test_the_model_reads_of_every_function_before_the_messages() -> None:
    told = described([WEATHER, Function("clock", "", "{}")])
    assert told.startswith("## Tools\n")
    assert told.index("Tool name: weather") < told.index("How it is outside.") < told.index("Tool name: clock")
    assert told.endswith("## Messages\n")
    assert described([]) == ""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_calls_are_read_out_of_the_text_whatever_its_pieces(size: int) -> None:
    reader, said, calls = CallReader(), "", []
    for at in range(0, len(TEXT), size):
        text, made = reader.push(TEXT[at : at + size])
        said += text
        calls += made
    assert said.strip() == "Let me see."
    assert reader.end() == ""
    assert calls == [Call("weather", '{"city": "Köln  <b>"}'), Call("clock", "{}")]


def test_what_only_looks_like_a_tag_is_said() -> None:
    reader = CallReader()
    assert reader.push("a < b and <longcat")[0] == "a < b and "
    assert reader.push("s are <")[0] == "<longcats are "
    assert reader.end() == "<"


def test_a_call_that_was_not_allowed_is_neither_shown_nor_made() -> None:
    """Nothing has held it to JSON either."""
    reader = CallReader(allowed=False)
    assert reader.push(f"Yes. {OPEN}{{not JSON {CLOSE}") == ("Yes.", [])
    assert reader.push("more")[0] + reader.end() == ""


def test_a_call_is_read_as_it_was_written() -> None:
    call = Call("weather", json.dumps({"city": 'He said "rain"'}))
    assert CallReader().push(written(call)) == ("", [call])
    assert '"arguments": "{broken"' in written(Call("weather", "{broken"))
