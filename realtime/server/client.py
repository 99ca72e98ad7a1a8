"""A client of the wire: says a question in real time, shows pictures beside it, and collects the answer.

It knows nothing of the server but `/v1/realtime`, and works with any server of the OpenAI Realtime API (without pictures).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from vivavoce.codecs.pcm import float_to_pcm16, pcm16_to_float

WIRE_RATE_HZ = 24_000
PACKET_MS = 20
PACKET = WIRE_RATE_HZ * PACKET_MS // 1000
"""Samples of one `input_audio_buffer.append`."""
FRAME_MS = 500
"""Distance of two pictures: 2 a second, what the model wants while the user speaks."""
AUDIBLE = 0.03
"""A packet whose loudness (RMS) is at least this part of the loudest one's belongs to the speech: -30 dB."""
TRANSCRIPT_SECONDS = 2.0
"""How long to wait for the question's transcript after the answer is complete."""

Frames = Callable[[int], bytes | None]
"""Milliseconds since the question began -> the JPEG that the camera shows then, or None."""
Progress = Callable[[int], None]
"""Told how many milliseconds of the question have been said."""


class TalkFailed(Exception):
    """There was no answer; the message says why in one line."""


@dataclass
class Conversation:
    """What came of one question. Times are milliseconds from the end of the speech, None until they happened."""

    question: str = ""
    reply: str = ""
    pcm16: bytearray = field(default_factory=bytearray)
    first_audio_ms: int | None = None
    total_ms: int | None = None
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    """When each piece of the reply came, and how many milliseconds of sound it holds."""
    errors: list[str] = field(default_factory=list)

    @property
    def pcm(self) -> npt.NDArray[np.float32]:
        """The reply: float32 [samples] at 24 kHz."""
        return pcm16_to_float(bytes(self.pcm16))

    @property
    def reply_ms(self) -> int:
        """Duration of the reply."""
        return len(self.pcm16) // 2 * 1000 // WIRE_RATE_HZ


async def ask(
    url: str,
    question: npt.NDArray[np.float32],
    frames: Frames | None = None,
    progress: Progress = lambda ms: None,
    speed: float = 1.0,
    patience: float = 60.0,
) -> Conversation:
    """Ask a question aloud and hear the answer out.

    question: float32 [samples] at 24 kHz. speed: 1 is real time; tests are in a hurry. patience: seconds from the end of the
    question to the end of the answer.

    Raises:
        TalkFailed: no connection, no answer in time, or an answer that failed.
    """
    async with dial(url) as socket:
        exchange = Exchange(socket, question, frames, progress, speed)
        try:
            async with asyncio.timeout(len(question) / WIRE_RATE_HZ / speed + patience):
                await exchange.run()
        except TimeoutError:
            told = f": {exchange.got.errors[-1]}" if exchange.got.errors else ""
            raise TalkFailed(f"no answer within {patience:g} seconds of the question{told}") from None
        except ConnectionClosed as error:
            raise TalkFailed(f"the server hung up: {error}") from None
        return exchange.got


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[ClientConnection]:
    """A connection to ws://HOST:PORT, to which /v1/realtime is added where no path is given."""
    try:
        socket = await connect(endpoint(url), subprotocols=[Subprotocol("realtime")], max_size=None)
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise TalkFailed(f"cannot reach {url}: {error}") from None
    async with socket:
        yield socket


def endpoint(url: str) -> str:
    """The address of the conversation."""
    for page, wire in (("http://", "ws://"), ("https://", "wss://")):
        if url.startswith(page):
            url = wire + url.removeprefix(page)
    bare = url.rstrip("/")
    return f"{bare}/v1/realtime?model=kitten" if bare.count("/") == 2 else url


def end_of_speech(question: npt.NDArray[np.float32]) -> int:
    """Number of packets up to the last audible one; float32 [samples] at 24 kHz."""
    padded = np.pad(question, (0, -len(question) % PACKET)).reshape(-1, PACKET)
    loudness = np.sqrt(np.mean(padded**2, axis=1))
    audible = np.flatnonzero(loudness >= AUDIBLE * loudness.max(initial=0.0)) if loudness.any() else np.zeros(0, int)
    return int(audible[-1]) + 1 if len(audible) else len(padded)


class Exchange:
    """One question and its answer on an open connection."""

    def __init__(
        self,
        socket: ClientConnection,
        question: npt.NDArray[np.float32],
        frames: Frames | None,
        progress: Progress,
        speed: float,
    ) -> None:
        self.got = Conversation()
        self._socket = socket
        self._question = question
        self._frames = frames
        self._progress = progress
        self._speed = speed
        self._now = asyncio.get_running_loop().time
        self._said_at: float | None = None
        self._current: str | None = None
        self._answered = asyncio.Event()
        self._transcribed = asyncio.Event()

    async def run(self) -> None:
        """From the greeting to the end of the answer."""
        await self._expect("session.created")
        wants = {"type": "realtime", "audio": {"input": {"transcription": {"model": "default"}}}}
        await self._send({"type": "session.update", "session": wants})
        await self._expect("session.updated")
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen())
                speaking = group.create_task(self._speak())
                await first_of(self._answered, listening)
                await first_of(self._transcribed, listening, TRANSCRIPT_SECONDS)
                speaking.cancel()
                listening.cancel()
        except BaseExceptionGroup as group_of_errors:
            raise first_error(group_of_errors) from None

    # --- saying ----------------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        """The question in packets of 20 ms, then silence until somebody stops this."""
        begin, last = self._now(), end_of_speech(self._question)
        number = 0
        while True:
            at_ms = number * PACKET_MS
            if self._frames is not None and at_ms % FRAME_MS == 0:
                await self._show(self._frames(at_ms), at_ms)
            await self._say(self._question[number * PACKET : (number + 1) * PACKET])
            number += 1
            if number == last:
                self._said_at = self._now()
            self._progress(number * PACKET_MS)
            await asyncio.sleep(begin + number * PACKET_MS / 1000 / self._speed - self._now())

    async def _say(self, packet: npt.NDArray[np.float32]) -> None:
        data = float_to_pcm16(np.pad(packet, (0, PACKET - len(packet))))
        await self._send({"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()})

    async def _show(self, jpeg: bytes | None, at_ms: int) -> None:
        if jpeg is not None:
            image = base64.b64encode(jpeg).decode()
            await self._send({"type": "input_image_buffer.append", "image": image, "timestamp_ms": at_ms})

    async def _send(self, event: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(event))

    # --- hearing ---------------------------------------------------------------------------------------------------

    async def _expect(self, kind: str) -> None:
        """Wait for an event; an error that comes instead is the end."""
        event = json.loads(await self._socket.recv())
        if event["type"] == "error":
            raise TalkFailed(f"the server refused the session: {event['error']['message']}")
        if event["type"] != kind:
            raise TalkFailed(f"the server sent {event['type']}, expected {kind}")

    async def _listen(self) -> None:
        async for message in self._socket:
            self._heard(json.loads(message))

    def _heard(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "conversation.item.input_audio_transcription.completed":
                self.got.question = f"{self.got.question} {event['transcript']}".strip()
                self._transcribed.set()
            case "response.created":
                self._begin(event["response"]["id"])
            case "response.output_audio.delta" if event["response_id"] == self._current:
                self._sound(base64.b64decode(event["delta"]))
            case "response.output_audio_transcript.delta" if event["response_id"] == self._current:
                self.got.reply += event["delta"]
            case "response.done":
                self._done(event["response"])
            case "error":
                self.got.errors.append(event["error"]["message"])

    def _begin(self, response: str) -> None:
        """An answer begins. One from before the end of the question was to its first half, and is forgotten."""
        self._current = response if self._said_at is not None else None
        self.got.reply, self.got.first_audio_ms = "", None
        self.got.arrivals.clear()
        self.got.pcm16.clear()

    def _sound(self, pcm16: bytes) -> None:
        at_ms = self._since_speech()
        if self.got.first_audio_ms is None:
            self.got.first_audio_ms = at_ms
        if at_ms is not None:
            self.got.arrivals.append((at_ms, len(pcm16) // 2 * 1000 // WIRE_RATE_HZ))
        self.got.pcm16 += pcm16

    def _done(self, response: dict[str, Any]) -> None:
        if response["id"] != self._current:
            return
        if response["status"] == "failed":
            error = (response.get("status_details") or {}).get("error") or {}
            raise TalkFailed(f"the answer failed: {error.get('message', 'without a reason')}")
        if response["status"] != "cancelled":
            self.got.total_ms = self._since_speech()
            self._answered.set()

    def _since_speech(self) -> int | None:
        """Milliseconds since the last audible packet of the question was sent."""
        return None if self._said_at is None else round((self._now() - self._said_at) * 1000)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that is not itself a group."""
    inner = group.exceptions[0]
    return first_error(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def first_of(event: asyncio.Event, task: asyncio.Task[None], seconds: float | None = None) -> None:
    """Wait for an event, for a task that ends before it, or for some time.

    Raises:
        TalkFailed: the task ended, which means that the server has hung up.
    """
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if not event.is_set() and task.done():
        task.result()
        raise TalkFailed("the server hung up")
