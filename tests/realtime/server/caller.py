"""A client that reads like a telephone call, and a server for it to call."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from vivavoce.codecs.formats import FORMATS, Format
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.server.app import create_app
from vivavoce.realtime.server.ice import Ice
from vivavoce.realtime.server.port import Model
from vivavoce.realtime.server.serving import address, bind, running

SILENCE = np.zeros(24_000, np.float32)


@asynccontextmanager
async def server(model: Model, ice: Ice | None = None, config: SessionConfig | None = None) -> AsyncIterator[str]:
    """A server on a free port of the loopback; gives HOST:PORT once it listens."""
    listener = bind("127.0.0.1", 0)
    async with running(create_app(model, config or SessionConfig(model="script"), ice), listener):
        yield address(listener)


@asynccontextmanager
async def call(where: str) -> AsyncIterator[Caller]:
    """A connection that has been greeted."""
    async with connect(f"ws://{where}/v1/realtime?model=script", subprotocols=[Subprotocol("realtime")]) as socket:
        caller = Caller(socket)
        caller.session = (await caller.expect("session.created"))["session"]
        yield caller


class Caller:
    """Says and hears events. `heard` keeps them all."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.session: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, pcm: np.ndarray, form: Format = FORMATS["audio/pcm"]) -> None:
        """float32 [samples] at the format's rate, in packets of 20 ms, as fast as they go."""
        packet = form.rate // 50
        for at in range(0, len(pcm), packet):
            audio = base64.b64encode(form.pack(pcm[at : at + packet])).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def write(self, text: str) -> None:
        """A question in writing, without asking for an answer."""
        part = {"type": "input_text", "text": text}
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})

    async def expect(self, kind: str) -> dict[str, Any]:
        """Listen until an event of this type comes."""
        while True:
            event = json.loads(await self.socket.recv())
            self.heard.append(event)
            if event["type"] == kind:
                return event

    async def error(self) -> dict[str, Any]:
        """The next error, without its envelope."""
        return (await self.expect("error"))["error"]

    def kinds(self) -> list[str]:
        """Types of everything heard, repetitions in a row once."""
        types = [event["type"] for event in self.heard]
        return [kind for at, kind in enumerate(types) if at == 0 or types[at - 1] != kind]
