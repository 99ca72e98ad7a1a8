"""What the model is told between turns."""

import numpy as np
import pytest
from simulate import Simulation

from vivavoce.realtime.actions import AddImage, AddText, Forget
from vivavoce.realtime.briefing import Briefing
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.items import Conversation, message
from vivavoce.realtime.outbox import Outbox

ONE, TWO = AddText("user", "one"), AddText("user", "two")


@pytest.fixture
def out() -> Outbox:
    return Outbox()


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("conv_1")


@pytest.fixture
def briefing(out: Outbox, conversation: Conversation) -> Briefing:
    """Two written items wait to be told."""
    briefing = Briefing(out, conversation, 1_000)
    for name, action in (("one", ONE), ("two", TWO)):
        conversation.add(message(name, "user", []))
        briefing.put(action, name)
    return briefing


def test_what_waits_is_told_once(briefing, out):
    assert briefing.waits
    briefing.tell_waiting()
    briefing.tell_waiting()
    assert out.drain() == [ONE, TWO]
    assert not briefing.waits


def test_who_knows_everything_has_nothing_to_catch_up_with(briefing, out):
    briefing.tell_waiting()
    out.drain()
    briefing.catch_up()
    assert out.drain() == []


def test_what_waited_when_an_item_went_is_told_with_everything(briefing, out):
    briefing.instruct("Be brief.")
    briefing.drop("one")
    assert not briefing.waits
    briefing.put(AddText("user", "more of two"), "two")
    briefing.catch_up()
    assert out.drain() == [Forget(), AddText("system", "Be brief."), TWO, AddText("user", "more of two")]
    briefing.catch_up()
    assert out.drain() == []


def test_an_item_that_was_not_told_need_not_be_taken_back(briefing, conversation):
    conversation.add(message("camera", "user", [{"type": "input_image", "detail": "auto"}]))
    briefing.drop("camera")
    assert briefing.waits


def test_an_item_that_does_not_exist_is_named(briefing):
    with pytest.raises(ClientError, match="'three'"):
        briefing.drop("three")
    assert briefing.waits


def test_a_client_cannot_write_without_end_while_somebody_speaks():
    talk = Simulation(SessionConfig(max_waiting=2))
    talk.user_speaks(1_000)
    for _ in range(3):
        talk.client("conversation.item.create", item=written("hello"))
    (error,) = talk.events("error")
    assert (error["error"]["code"], len(talk.events("conversation.item.done"))) == ("too_much_waits", 2)
    assert "2 things wait" in error["error"]["message"]
    talk.client("session.update", session={"type": "realtime", "instructions": "Be brief."})
    assert len(talk.events("error")) == 2 and talk.events("session.updated") == []


def test_between_turns_a_client_writes_what_it_likes():
    talk = Simulation(SessionConfig(max_waiting=2))
    for _ in range(5):
        talk.client("conversation.item.create", item=written("hello"))
    assert (talk.events("error"), len(talk.events("conversation.item.done"))) == ([], 5)


def test_nor_do_pictures_wait_without_end(briefing):
    picture = AddImage(np.zeros((10, 10, 3), np.uint8), "auto")
    briefing.put(picture, "one")
    briefing.check_room(300, most=10, most_bytes=600)
    with pytest.raises(ClientError, match="601 bytes of sound and pictures would wait"):
        briefing.check_room(301, most=10, most_bytes=600)
    briefing.check_room(0, most=10, most_bytes=0)


def written(words: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
