"""A conversation over a WebSocket: text frames in, text frames out, nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.websockets import WebSocket, WebSocketDisconnect

from vivavoce.codecs.formats import Encoder, Format
from vivavoce.codecs.pcm import resample
from vivavoce.realtime import beta, wire
from vivavoce.realtime.config import INPUT_RATE_HZ, OUTPUT_RATE_HZ, SessionConfig
from vivavoce.realtime.events import AudioAppend, ClientEvent, ImageAppend
from vivavoce.realtime.server.driver import Driver
from vivavoce.realtime.server.guests import Guests
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.pictures import decode_picture, thumbnail
from vivavoce.realtime.server.port import Model
from vivavoce.realtime.server.speech import Microphone, Silero
from vivavoce.realtime.server.tape import tape_for
from vivavoce.realtime.session import Session

Json = dict[str, Any]
log = logging.getLogger(__name__)

SUBPROTOCOL = "realtime"
"""Selected when offered: a browser that offers any and gets none hangs up (protocol section 1.1)."""
LARGE_FRAME = 64 * 1024
"""Characters from which on a frame is decoded in a thread: a picture takes milliseconds that others' sound has not."""
MAX_WAITING = 32 * 2**20
"""Characters that may wait for a client which does not read; a reply of four minutes has half of it."""
STALLED_SECONDS = 20.0
"""How long a client may take nothing at all; as long as uvicorn waits for an answer to its ping."""
MAX_REASON = 120
"""Bytes of a close frame's reason, by RFC 6455 section 5.5 at most 123."""


class SocketOutlet:
    """Events for one client, until `write` gets to them."""

    def __init__(self, translate: Callable[[Json], Json | None] = lambda event: event) -> None:
        """`translate`: into the client's dialect; None for an event that it has no word for."""
        self._translate = translate
        self._waiting: deque[str] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None

    def send(self, event: dict[str, Any]) -> None:
        """Queue an event; a client that lets too much pile up loses its connection."""
        translated = self._translate(event)
        if self._closing is not None or translated is None:
            return
        text = wire.encode(translated)
        self._size += len(text)
        if self._size > MAX_WAITING:
            self._waiting.clear()
            self.close(1008, f"more than {MAX_WAITING} characters wait to be read")
            return
        self._waiting.append(text)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close the socket once the queue is empty."""
        self._closing = self._closing or (code, reason)
        self._wake.set()

    async def write(self, socket: WebSocket) -> None:
        """Send what is queued, as it comes; returns after the close frame.

        Raises:
            TimeoutError: the client takes nothing any more, so that a close frame would not arrive either.
        """
        while True:
            while self._waiting:
                text = self._waiting.popleft()
                self._size -= len(text)
                async with asyncio.timeout(STALLED_SECONDS):
                    await socket.send_text(text)
            if self._closing is not None:
                code, reason = self._closing
                async with asyncio.timeout(STALLED_SECONDS):
                    await socket.close(code, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))
                return
            self._wake.clear()
            await self._wake.wait()


async def converse(socket: WebSocket, model: Model, config: SessionConfig, metrics: Metrics, guests: Guests) -> None:
    """Serve one connection from the handshake to its end."""
    offered = socket.scope.get("subprotocols") or []
    await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    older = speaks_beta(socket)
    outlet = SocketOutlet(beta.from_ga) if older else SocketOutlet()
    config = replace(config, alias=socket.query_params.get("model"), opened_at=int(time.time()))
    name = f"sess_{uuid.uuid4().hex[:24]}"
    session = Session(config, name, lambda form: Encoder(form, OUTPUT_RATE_HZ), thumbnail)
    driver = Driver(session, model, Microphone(Silero.shared()), outlet, metrics, tape=tape_for(config))
    jobs = {
        asyncio.create_task(outlet.write(socket)),
        asyncio.create_task(read(socket, driver, beta.to_ga if older else same)),
    }
    try:
        with guests.hosting(driver):
            driver.open()
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            report(session.id, job.exception())
    finally:
        driver.hang_up()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


def speaks_beta(socket: WebSocket) -> bool:
    """The client was written for the beta, and says so."""
    offered = socket.scope.get("subprotocols") or []
    return beta.HEADER in socket.headers.get("OpenAI-Beta", "") or beta.SUBPROTOCOL in offered


def same(event: Json) -> Json:
    """Today's words need no translation."""
    return event


async def read(socket: WebSocket, driver: Driver, translate: Callable[[Json], Json] = same) -> None:
    """Hand every frame to the driver, in order, until the client is gone."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        form = driver.input_format
        for event in portions(await decode(text if text is not None else message["bytes"], form, translate), form):
            driver.receive(event)
            await asyncio.sleep(
                0
            )  # hearing a portion takes milliseconds; between two of them the other clients are served


async def decode(text: str | bytes, form: Format, translate: Callable[[Json], Json]) -> ClientEvent:
    """One frame as an event; a large one elsewhere, so that nobody else waits. `form`: of its sound."""

    def sound(data: bytes) -> npt.NDArray[np.float32]:
        return resample(form.unpack(data), form.rate, INPUT_RATE_HZ)

    media = wire.Media(decode_picture, sound, form.sample_bytes)
    if len(text) < LARGE_FRAME:
        return wire.decode(text, media, translate)
    return await asyncio.to_thread(wire.decode, text, media, translate)


def portions(event: ClientEvent, form: Format) -> Iterator[ClientEvent]:
    """An event as it is; minutes of sound in one frame as so many seconds, each of which is heard in milliseconds, and the
    pictures that came with sound behind it."""
    if not isinstance(event, AudioAppend):
        yield event
        return
    second = form.rate * form.sample_bytes
    for at in range(0, max(1, len(event.data)), second):
        yield AudioAppend(event.data[at : at + second], event.event_id)
    for rgb in event.pictures:
        yield ImageAppend(rgb, event_id=event.event_id)


def report(session: str, error: BaseException | None) -> None:
    """A connection that breaks or stalls is no event; anything else is a mistake of ours."""
    if error is not None and not isinstance(error, WebSocketDisconnect | ConnectionError | TimeoutError):
        log.error("connection of session %s ended", session, exc_info=error)
