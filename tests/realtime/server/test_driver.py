"""A session under the event loop: what it wants goes to the model, what comes back goes in, and one timer rings."""

import asyncio

import numpy as np
import pytest
from caller import call, server
from scripted_host import WORDS, ScriptedHost

from vivavoce.codecs.media import MediaChunk
from vivavoce.model import messages
from vivavoce.realtime import actions, events
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.port import Lost
from vivavoce.realtime.server.translate import from_model, to_model

PIXELS = np.zeros((2, 2, 3), np.uint8)
CHUNK = MediaChunk(0, None, (), dense=False)


def test_every_action_for_the_model_has_its_message() -> None:
    assert to_model("s", actions.Answer(1, True, 9)) == messages.Answer("s", 1, True, 9)
    assert to_model("s", actions.Rewind(1)) == messages.Rewind("s", 1)
    assert to_model("s", actions.Cut(1, 480)) == messages.Cut("s", 1, 480)
    assert to_model("s", actions.Cancel(1)) == messages.Cancel("s", 1)
    assert to_model("s", actions.Forget()) == messages.Forget("s")
    assert to_model("s", actions.Truncate(0.8, 900)) == messages.Truncate("s", 0.8, 900, True)
    assert to_model("s", actions.AddText("user", "hi")) == messages.AddText("s", "user", "hi")
    listen, image = to_model("s", actions.Prefill(CHUNK)), to_model("s", actions.AddImage(PIXELS))
    assert isinstance(listen, messages.Listen) and listen.chunk is CHUNK
    assert isinstance(image, messages.AddImage) and image.rgb is PIXELS


def test_every_reply_of_the_model_has_its_event() -> None:
    spoke = from_model(messages.Spoke("s", 1, "hi", np.ones(3, np.float32), 60))
    assert isinstance(spoke, events.AnswerSpoke)
    assert (spoke.turn, spoke.text, len(spoke.pcm), spoke.at_ms) == (1, "hi", 3, 60)
    ended = from_model(messages.Ended("s", 1, "done", messages.Usage(1, 2, 3, 4, 5)))
    assert ended == events.AnswerEnded(1, "done", events.Usage(1, 2, 3, 4, 5))
    assert from_model(messages.Transcribed("s", 1, "hello")) == events.Heard(1, "hello")
    assert from_model(messages.Failed("s", 2, "no room")) == events.ModelFailed(2, "no room")
    assert from_model(Lost("gone", False)) == events.ModelFailed(None, "gone")


def test_what_is_for_nobody_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="StopPlayback"):
        to_model("s", actions.StopPlayback())
    with pytest.raises(TypeError, match="Opened"):
        from_model(messages.Opened("s", 1, 24_000))


async def test_an_answer_beside_the_conversation_has_its_own_session_of_the_model() -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        await caller.write("hello")
        asked = {"conversation": "none", "input": [], "output_modalities": ["text"], "instructions": "Say yes."}
        await caller.send("response.create", response=asked)
        done = await caller.expect("response.done")
        await caller.send("response.create", response=asked)
        await caller.expect("response.created")  # and is hung up on
    main = caller.session["id"]
    assert done["response"]["output"][0]["content"] == [{"type": "output_text", "text": "".join(WORDS)}]
    assert [type(request) for request in host.requests if request.session == f"{main}/1"] == [
        messages.Open,
        messages.Answer,
        messages.Close,
    ]
    assert host.asked(f"{main}/1", messages.Open) == [messages.Open(f"{main}/1", "Say yes.")]
    assert len(host.asked(f"{main}/2", messages.Close)) == 1
    assert host.asked(main, messages.Answer) == []


async def test_an_answer_beside_the_conversation_fails_alone() -> None:
    class Full(ScriptedHost):
        def handle(self, message: messages.Request) -> list[messages.Reply]:
            if "/" in message.session:
                return [messages.Failed(message.session, None, "the cache is full")]
            return super().handle(message)

    async with server(LocalModel(Full())) as where, call(where) as caller:
        await caller.send("response.create", response={"conversation": "none", "input": []})
        failed = (await caller.expect("response.done"))["response"]
        await caller.write("hello")
        await caller.send("response.create")
        answered = (await caller.expect("response.done"))["response"]
    assert failed["status_details"]["error"]["message"] == "the cache is full"
    assert (failed["status"], answered["status"]) == ("failed", "completed")


async def test_the_session_s_timer_rings_and_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    from vivavoce.realtime.config import SessionConfig
    from vivavoce.realtime.server.driver import Driver
    from vivavoce.realtime.server.metrics import Metrics
    from vivavoce.realtime.server.speech import Microphone, Silero
    from vivavoce.realtime.session import Session

    class Nowhere:
        def send(self, event: dict[str, object]) -> None: ...
        def close(self, code: int, reason: str) -> None: ...

    class Patient(Session):
        """Wants to be woken after 10 ms, and once more after 20."""

        wishes = [10, 20]
        rang: list[int] = []
        twice = asyncio.Event()

        def next_timer(self) -> int | None:
            return self.wishes[0] if self.wishes else None

        def handle_timer(self, now_ms: int) -> None:
            if now_ms >= self.wishes[0]:
                self.rang.append(self.wishes.pop(0))
            if not self.wishes:
                self.twice.set()

    model = LocalModel(ScriptedHost())
    driver = Driver(Patient(SessionConfig(), "s"), model, Microphone(Silero.shared()), Nowhere(), Metrics())
    driver.open()
    await asyncio.wait_for(Patient.twice.wait(), 5)
    driver.hang_up()
    assert Patient.rang == [10, 20]
