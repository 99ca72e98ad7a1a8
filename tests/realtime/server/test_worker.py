"""The model's process: it starts, answers, dies, comes back, or never comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing import Pipe

import pytest
from scripted_host import WORDS, ScriptedHost, refused, stillborn

from vivavoce.codecs.media import MediaChunk
from vivavoce.model.messages import (
    AddText,
    Answer,
    Cancel,
    Ended,
    Failed,
    Handled,
    Listen,
    Open,
    Opened,
    Reply,
    Request,
    Spoke,
    Transcribed,
)
from vivavoce.realtime.server.child import BATCH, serve
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.port import Lost, Model, ModelRefused, ModelState
from vivavoce.realtime.server.worker import Worker, meaning


@asynccontextmanager
async def started(model: Model) -> AsyncIterator[None]:
    await model.start()
    try:
        yield
    finally:
        await model.stop()


def mailbox(model: Model, session: str) -> asyncio.Queue[Reply | Lost]:
    """Where everything for a session arrives."""
    box: asyncio.Queue[Reply | Lost] = asyncio.Queue()
    model.attach(session, box.put_nowait)
    return box


async def until(box: asyncio.Queue[Reply | Lost], kind: type) -> list[Reply | Lost]:
    got = [await box.get()]
    while not isinstance(got[-1], kind):
        got.append(await box.get())
    return got


@pytest.mark.parametrize(
    "make", [lambda: LocalModel(ScriptedHost()), lambda: Worker(ScriptedHost)], ids=["here", "in a child process"]
)
async def test_requests_go_in_and_replies_come_out_in_order(make: Callable[[], Model]) -> None:
    model = make()
    box = mailbox(model, "a")
    async with started(model):
        model.send(Open("a"))
        model.send(Answer("a", 1))
        got = await until(box, Ended)
    assert [type(reply) for reply in got] == [Opened, Handled, Handled, Transcribed, Spoke, Spoke, Ended]
    assert "".join(reply.text for reply in got if isinstance(reply, Spoke)) == "".join(WORDS)
    assert got[4].pcm.dtype == "float32"


async def test_what_is_sent_while_the_model_loads_waits_for_it() -> None:
    worker = Worker(ScriptedHost)
    box = mailbox(worker, "a")
    async with started(worker):
        assert worker.state is ModelState.LOADING
        worker.send(Open("a"))
        assert isinstance(await box.get(), Opened)
        assert worker.state is ModelState.READY


async def test_a_process_that_dies_is_reported_to_every_session_and_replaced() -> None:
    worker = Worker(ScriptedHost)
    boxes = [mailbox(worker, "a"), mailbox(worker, "b")]
    async with started(worker):
        await worker.until_ready()
        first = worker.pid
        worker.send(AddText("a", "user", "die"))
        assert [await box.get() for box in boxes] == [
            Lost("the model is gone: its process ended with exit code 7", True)
        ] * 2
        await worker.until_ready()
        assert worker.pid != first
        worker.send(Open("b"))
        assert isinstance(await boxes[1].get(), Opened)


async def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line() -> None:
    worker = Worker(refused)
    box = mailbox(worker, "a")
    async with started(worker):
        with pytest.raises(ModelRefused, match=r"lm_head.weight is \[8, 4\], expected \[16, 4\]$"):
            await worker.until_ready()
        assert isinstance(await box.get(), Lost)
        worker.send(Open("a"))
        assert box.empty(), "whoever asks is not spoken to before it has done what it is doing"
        assert isinstance(await box.get(), Failed)
        assert worker.state is ModelState.FAILED


async def test_a_process_that_never_comes_up_is_given_up() -> None:
    worker = Worker(stillborn)
    async with started(worker):
        with pytest.raises(ModelRefused, match="exit code 3"):
            await worker.until_ready()


async def test_stopping_does_not_wait_for_a_model_that_loads() -> None:
    worker = Worker(ScriptedHost)
    async with started(worker):
        assert worker.state is ModelState.LOADING


def test_an_exit_code_in_words() -> None:
    assert meaning(1) == "exit code 1"
    assert meaning(-9) == "signal SIGKILL"


class Diary:
    """A host that answers somebody all the time and writes down what it does."""

    def __init__(self) -> None:
        self.busy, self.lines = True, list[str]()

    def handle(self, message: Request) -> list[Reply]:
        self.lines.append(type(message).__name__)
        return []

    def step(self) -> list[Reply]:
        self.lines.append("step")
        return []

    def handled(self) -> list[Handled]:
        return []

    def frames(self, session: str) -> int:
        return 0


def test_all_that_has_come_is_taken_in_before_a_step_which_shares_the_time_out() -> None:
    ours, theirs = Pipe()
    chunk = MediaChunk(0, None, (), True)
    for request in (Listen("a", chunk), Listen("b", chunk), Cancel("c", 1), None):
        ours.send(request)
    diary = Diary()
    serve(theirs, lambda: diary)
    assert diary.lines == ["Listen", "Listen", "Cancel"]


def test_however_many_speak_there_is_a_step_between() -> None:
    ours, theirs = Pipe()
    for _ in range(BATCH + 1):
        ours.send(Cancel("a", 1))
    ours.send(None)
    diary = Diary()
    serve(theirs, lambda: diary)
    assert diary.lines == ["Cancel"] * BATCH + ["step", "Cancel"]
