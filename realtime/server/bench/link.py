"""How a bench reaches a server: by WebSocket here, by WebRTC in `calllink.py`; a test brings its own.

Whatever comes is handed on with the loop's time at which it came, before anything is done with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from vivavoce.codecs.pcm import float_to_pcm16, pcm16_to_float
from vivavoce.realtime.extensions import METRICS, PAUSED
from vivavoce.realtime.server.bench.sound import Float32
from vivavoce.realtime.server.client import TalkFailed, endpoint

Json = dict[str, Any]
DELTAS = ("response.output_audio.delta", "response.audio.delta")
"""Sound of an answer, by its name and by that of the beta."""
GREETING_SECONDS = 30.0


class Listener(Protocol):
    """Who is told what comes."""

    def event(self, time: float, event: Json) -> None:
        """An event of the server, without its sound."""

    def sound(self, time: float, pcm: Float32, item: str) -> None:
        """Sound of an answer, to be played behind what waits: float32 [n] at 24 kHz."""

    def packet(self, time: float, pcm: Float32, due: int, blank: bool) -> None:
        """A packet of a stream that the server plays: float32 [480], and which sample of the stream its first one is.

        `blank`: it was made of silence.
        """


class Link(Protocol):
    """A connected session, greeted and ready to hear."""

    plays_itself: bool
    session: Json
    """As `session.created` had it."""

    async def say(self, pcm: Float32) -> None:
        """A packet of the microphone, now: float32 [480]."""

    async def send(self, event: Json) -> None:
        """An event."""

    async def listen(self, listener: Listener) -> None:
        """Hand on what comes, until the connection ends."""


def wishes(session: Json, stands_still: bool = False) -> Json | None:
    """What to ask of a server that greets so: of ours, what it knows of its own time, and for a client whose loudspeaker can stand
    still, to be told when; of any other, nothing."""
    if "extensions" not in session:
        return None
    wanted = [METRICS, PAUSED] if stands_still else [METRICS]
    return {"type": "session.update", "session": {"type": "realtime", "extensions": wanted}}


class SocketLink:
    """`GET /v1/realtime`."""

    plays_itself = False

    def __init__(self, socket: ClientConnection, stands_still: bool = False) -> None:
        self._socket = socket
        self._stands_still = stands_still
        self._now = asyncio.get_running_loop().time
        self.session: Json = {}

    async def greet(self) -> None:
        """Wait for `session.created`, and ask for what this server can tell.

        Raises:
            TalkFailed: the server refuses, or says nothing.
        """
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                first = json.loads(await self._socket.recv())
        except TimeoutError:
            raise TalkFailed(f"the server sent nothing within {GREETING_SECONDS:g} seconds") from None
        except ConnectionClosed as error:
            raise TalkFailed(f"the server hung up: {error}") from None
        if first.get("type") == "error":
            raise TalkFailed(f"the server refused the session: {first['error'].get('message')}")
        self.session = first.get("session") or {}
        if (wish := wishes(self.session, self._stands_still)) is not None:
            await self.send(wish)

    async def say(self, pcm: Float32) -> None:
        """See `Link`."""
        audio = base64.b64encode(float_to_pcm16(pcm)).decode()
        await self._socket.send(f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}')

    async def send(self, event: Json) -> None:
        """See `Link`."""
        await self._socket.send(json.dumps(event))

    async def listen(self, listener: Listener) -> None:
        """See `Link`."""
        try:
            async for message in self._socket:
                time = self._now()
                event = json.loads(message)
                if event.get("type") in DELTAS:
                    pcm = pcm16_to_float(sound_of(event))
                    listener.sound(time, pcm, str(event.get("item_id") or event.get("response_id") or ""))
                listener.event(time, event)
        except ConnectionClosed:
            return


def sound_of(event: Json) -> bytes:
    """The bytes of a delta, which are gone from the event. What is no base64 is no sound."""
    try:
        data = base64.b64decode(event.pop("delta", ""))
    except binascii.Error:
        return b""
    return data[: len(data) // 2 * 2]


@asynccontextmanager
async def dial_socket(url: str, key: str | None = None, stands_still: bool = False) -> AsyncIterator[SocketLink]:
    """A session at ws://HOST:PORT, to which /v1/realtime is added where no path is given. `stands_still`: of a client whose
    loudspeaker does, if it is told to.

    Raises:
        TalkFailed: nobody there, or it refuses.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        # No compression: sound in base64 hardly shrinks, and packing it takes time that would be measured.
        socket = await connect(
            endpoint(url),
            subprotocols=[Subprotocol("realtime")],
            max_size=None,
            compression=None,
            additional_headers=headers,
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise TalkFailed(f"cannot reach {url}: {error}") from None
    async with socket:
        link = SocketLink(socket, stands_still)
        await link.greet()
        yield link
