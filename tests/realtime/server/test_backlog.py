"""Sound and pictures that wait for the model: in order, and not without end."""

import asyncio

import numpy as np
import pytest
from scripted_host import ScriptedHost

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model.messages import AddImage, AddText, Answer, Cancel, Close, Failed, Handled, Listen, Open, Request
from vivavoce.realtime.server import worker as worker_module
from vivavoce.realtime.server.backlog import Backlog, Behind, weight
from vivavoce.realtime.server.port import Lost
from vivavoce.realtime.server.worker import Worker

SECOND = MediaChunk(0, AudioChunk(np.zeros(16_000, np.float32), 16_000, 0), (), True)
"""64 000 bytes."""


def test_media_weigh_and_words_do_not() -> None:
    frame = VideoFrame(np.zeros((10, 20, 3), np.uint8), 0)
    assert weight(Listen("a", SECOND)) == 64_000
    assert weight(Listen("a", MediaChunk(0, None, (frame, frame), False))) == 1_200
    assert weight(AddImage("a", frame.rgb)) == 600
    assert weight(AddText("a", "user", "hello")) == 0


def test_who_is_too_far_behind_is_refused_more_until_some_has_been_handled() -> None:
    backlog = Backlog(session_bytes=128_000)
    backlog.put(Listen("a", SECOND))
    backlog.put(Listen("a", SECOND))
    with pytest.raises(Behind, match="192000 bytes of this conversation wait for the model, at most 128000 may"):
        backlog.put(Listen("a", SECOND))
    backlog.put(Listen("b", SECOND))
    backlog.put(Cancel("a", 1))
    assert backlog.bytes == 192_000
    backlog.handled("a")
    backlog.put(Listen("a", SECOND))
    assert backlog.bytes == 192_000


def test_all_together_are_bounded_too() -> None:
    backlog = Backlog(all_bytes=100_000)
    backlog.put(Listen("a", SECOND))
    with pytest.raises(Behind, match="of all conversations"):
        backlog.put(Listen("b", SECOND))
    backlog.put(Answer("b", 1))


def test_what_closes_counts_no_more_and_order_is_kept() -> None:
    backlog = Backlog()
    put: list[Request] = [Open("a"), Listen("a", SECOND), Close("a")]
    for request in put:
        backlog.put(request)
    assert backlog.bytes == 0
    backlog.handled("a")  # word of a request from before comes late
    backlog.close()
    assert [backlog.get() for _ in range(4)] == [*put, None]


async def test_the_session_alone_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "Backlog", lambda: Backlog(session_bytes=128_000))
    worker = Worker(ScriptedHost)
    boxes: dict[str, list[object]] = {"a": [], "b": []}
    done = asyncio.Event()

    def deliver(name: str, reply: object) -> None:
        boxes[name].append(reply)
        if name == "b" and isinstance(reply, Handled):
            done.set()

    for name in boxes:
        worker.attach(name, lambda reply, name=name: deliver(name, reply))  # type: ignore[misc]
    await worker.start()
    try:
        for _ in range(4):  # the process is loading, so nothing is taken in yet
            worker.send(Listen("a", SECOND))
        assert boxes["a"] == [], "it is told after what it is doing now"
        assert (worker.waiting_bytes, worker.refused) == (128_000, 2)
        worker.send(Listen("b", SECOND))
        await asyncio.wait_for(done.wait(), 30)
    finally:
        await worker.stop()
    failed = [reply for reply in boxes["a"] if isinstance(reply, Failed)]
    assert len(failed) == 2 and failed[0].turn is None
    assert failed[0].message.startswith("the model is too far behind to take in more: 192000 bytes")
    assert not any(isinstance(reply, Failed | Lost) for reply in boxes["b"])
    assert worker.waiting_bytes == 0
