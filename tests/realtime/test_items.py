"""The conversation as the client sees it."""

import pytest

from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.items import Conversation, checked_item, message


def test_items_are_appended_and_inserted():
    talk = Conversation("conv_1")
    assert talk.add(message("b", "user", [])) is None
    assert talk.add(message("c", "user", [])) == "b"
    assert talk.add(message("a", "user", []), after="root") is None
    assert talk.add(message("bb", "user", []), after="b") == "b"
    assert talk.add(message("d", "user", [])) == "c"


def test_ids_that_a_client_took_are_not_given_out():
    talk = Conversation("conv_1")
    talk.add(message("item_000001", "user", []))
    assert talk.new_id() == "item_000002"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "mcp_call"}, "item.type"),
        ({"type": []}, "item.type"),
        ({"type": "function_call", "name": "f", "call_id": "c"}, "item.arguments"),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "item.output"),
        ({"role": "robot", "content": []}, "item.role"),
        ({"role": ["user"], "content": []}, "item.role"),
        ({"role": "user", "content": []}, "item.content"),
        ({"role": "assistant", "content": [{"type": "input_audio"}]}, "item.content[0].type"),
        ({"role": "user", "content": [{"type": "input_audio", "transcript": 3}]}, "item.content[0].transcript"),
        ({"role": "system", "content": [{"type": "input_image"}]}, "item.content[0].type"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "item.content[0].text"),
        ({"role": "user", "content": ["hello"]}, "item.content[0].type"),
    ],
)
def test_what_no_message_may_hold_is_named(item, param):
    with pytest.raises(ClientError) as caught:
        checked_item(item, "x")
    assert caught.value.param == param


def test_half_a_surrogate_pair_does_no_harm():
    item = checked_item({"role": "user", "content": [{"type": "input_text", "text": "a\ud800b"}]}, "x")
    assert item["content"][0]["text"] == "a?b"


def test_unknown_items_are_not_retrieved():
    with pytest.raises(ClientError) as caught:
        Conversation("conv_1").retrieve("nobody")
    assert caught.value.code == "item_retrieve_invalid_item_id"


@pytest.mark.parametrize("kind", [[], {}, 3, "mcp_call"])
def test_an_item_of_no_known_type_is_refused_by_its_name(kind):
    with pytest.raises(ClientError) as caught:
        checked_item({"type": kind}, "x")
    assert (caught.value.code, caught.value.param) == ("unsupported_item_type", "item.type")
