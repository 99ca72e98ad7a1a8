"""A model that costs next to nothing, so that what a wire costs can be measured: it answers everything with a tone."""

from __future__ import annotations

import asyncio

import numpy as np

from vivavoce.model.messages import (
    Answer,
    Cancel,
    Close,
    Cut,
    Doubt,
    Doubted,
    Ended,
    Open,
    Opened,
    Reply,
    Request,
    Rewind,
    Spoke,
    Usage,
    Weigh,
    Weighed,
)
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.server.port import Deliver, ModelState

PIECE_MS = 60
"""What a real model says in one step."""


class Parrot:
    """A `Model` in this process. An answer comes as fast as it is heard, a piece every 60 ms, for so long."""

    def __init__(self, seconds: float) -> None:
        self._pieces = round(seconds * 1000 / PIECE_MS)
        times = np.arange(OUTPUT_RATE_HZ * PIECE_MS // 1000) / OUTPUT_RATE_HZ
        self._piece = (0.3 * np.sin(2 * np.pi * 200 * times)).astype(
            np.float32
        )  # twelve periods: no click between pieces
        self._deliver: dict[str, Deliver] = {}
        self._speaking: dict[str, asyncio.Task[None]] = {}

    @property
    def state(self) -> ModelState:
        """There is nothing to load."""
        return ModelState.READY

    @property
    def waiting_bytes(self) -> int:
        """What waits is here already."""
        return 0

    @property
    def refused(self) -> int:
        """Nothing is."""
        return 0

    async def start(self) -> None:
        """See `Model`."""

    async def stop(self) -> None:
        """See `Model`."""
        for task in self._speaking.values():
            task.cancel()

    async def until_ready(self) -> None:
        """See `Model`."""

    def attach(self, session: str, deliver: Deliver) -> None:
        """See `Model`."""
        self._deliver[session] = deliver

    def detach(self, session: str) -> None:
        """See `Model`."""
        self._deliver.pop(session, None)
        self._hush(session)

    def send(self, request: Request) -> None:
        """See `Model`."""
        match request:
            case Open(session):
                asyncio.get_running_loop().call_soon(self._say, Opened(session, 131_072, OUTPUT_RATE_HZ))
            case Weigh(session, number):
                asyncio.get_running_loop().call_soon(self._say, Weighed(session, number, None))
            case Doubt(session, number):
                asyncio.get_running_loop().call_soon(self._say, Doubted(session, number, None))
            case Answer(session, turn):
                self._hush(session)
                self._speaking[session] = asyncio.create_task(self._speak(session, turn))
            case Rewind() | Cut() | Cancel() | Close():
                self._hush(request.session)

    async def _speak(self, session: str, turn: int) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for index in range(self._pieces):
            await asyncio.sleep(began + index * PIECE_MS / 1000 - loop.time())
            self._say(Spoke(session, turn, " la", self._piece, index * PIECE_MS))
        self._say(Ended(session, turn, "done", Usage(text_out=self._pieces, audio_out=self._pieces)))

    def _say(self, reply: Reply) -> None:
        deliver = self._deliver.get(reply.session)
        if deliver is not None:
            deliver(reply)

    def _hush(self, session: str) -> None:
        task = self._speaking.pop(session, None)
        if task is not None:
            task.cancel()
