"""Callers that only hear and speak: Opus made beforehand, so that they cost little and are on time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from websockets.asyncio.client import connect

from vivavoce.codecs.formats import FORMATS
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.bench import marks
from vivavoce.realtime.server.bench.endpoint import MANUAL, Endpoint
from vivavoce.realtime.server.bench.lossy import Weather, detour, without_addresses
from vivavoce.realtime.server.webrtc import DIRECT, configuration

FPS = 15
QUESTION: list[dict[str, Any]] = [
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "sing"}]},
    },
    {"type": "response.create"},
]


class Beeps(MediaStreamTrack):
    """A microphone whose packets were encoded beforehand. `marks` keeps when each mark left, and its pitch."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        sender, wave = opus.Sender(), marks.cycle(OUTPUT_RATE_HZ)
        self._packets = [sender.encode(piece) for piece in wave.reshape(-1, opus.PACKET_SAMPLES)]
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._count = 0
        self.marks: list[tuple[float, int]] = []

    async def recv(self) -> av.Packet[Any]:
        """The next packet, when it is due."""
        await asyncio.sleep(self._began + self._count * opus.PACKET_MS / 1000 - self._now())
        turn = self._count % marks.CYCLE
        if turn % marks.EVERY == 0:
            self.marks.append((self._now(), turn // marks.EVERY))
        packet = av.Packet(self._packets[turn])
        packet.pts, packet.time_base = self._count * opus.PACKET_TICKS, Fraction(1, opus.CLOCK_HZ)
        self._count += 1
        return packet


class Pictures(MediaStreamTrack):
    """A camera of 640 x 480, fifteen times a second, in which something moves."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self._scene = np.kron(rng.integers(60, 190, (15, 20, 3)), np.ones((32, 32, 1))).astype(np.uint8)
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is due."""
        await asyncio.sleep(self._began + self._count / FPS - self._now())
        frame = av.VideoFrame.from_ndarray(np.roll(self._scene, self._count, axis=1), format="rgb24")
        frame.pts, frame.time_base = self._count * 90_000 // FPS, Fraction(1, 90_000)
        self._count += 1
        return frame


@asynccontextmanager
async def dial(
    end: Endpoint, *, camera: bool = False, weather: Weather | None = None, seed: int = 0
) -> AsyncIterator[Beeps]:
    """A call to `end`, once it is connected and being answered; through `weather` if there is any.

    Raises:
        NoAddress: this machine has no network address.
    """
    connection = RTCPeerConnection(configuration(DIRECT))
    beeps, ears = Beeps(), list[asyncio.Task[None]]()
    ready = asyncio.Event()
    connection.addTrack(beeps)
    if camera:
        connection.addTrack(Pictures())
    channel = connection.createDataChannel("oai-events")
    connection.on("track", lambda track: ears.append(asyncio.create_task(drain(track))))

    @connection.on("connectionstatechange")
    def changed() -> None:
        if connection.connectionState == "connected":
            ready.set()

    @channel.on("open")
    def ask() -> None:
        for event in QUESTION:
            channel.send(json.dumps(event))

    between_us = None
    try:
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        if weather is None:
            answer = await end.answer(offer)
        else:  # neither side knows the other's address, only the port between them
            answer = await end.answer(without_addresses(offer))
            between_us, answer = await detour(answer, weather, seed)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(20):
            await ready.wait()
        yield beeps
    finally:
        await connection.close()
        if between_us is not None:
            between_us.close()
        for ear in ears:
            ear.cancel()


async def drain(track: MediaStreamTrack) -> None:
    """Listen to no purpose: what is not taken from a track piles up."""
    while True:
        try:
            await track.recv()
        except MediaStreamError:
            return


@asynccontextmanager
async def dial_socket(end: Endpoint, *, detects: bool) -> AsyncIterator[None]:
    """A conversation over a WebSocket: beeps in packets of 20 ms, and a long answer. `detects`: the server looks out for speech."""
    pcm = marks.cycle(OUTPUT_RATE_HZ).reshape(-1, opus.PACKET_SAMPLES)
    form = FORMATS["audio/pcm"]
    packets = [
        json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(form.pack(p)).decode()}) for p in pcm
    ]
    async with connect(f"ws://{await end.address()}/v1/realtime?model=parrot", compression=None) as socket:

        async def speak() -> None:
            now = asyncio.get_running_loop().time
            began, count = now(), 0
            while True:
                await asyncio.sleep(began + count * opus.PACKET_MS / 1000 - now())
                await socket.send(packets[count % len(packets)])
                count += 1

        async def listen() -> None:
            async for _ in socket:
                pass

        manual = {"type": "session.update", "session": {"type": "realtime", **MANUAL}}
        for event in QUESTION if detects else [manual, *QUESTION]:
            await socket.send(json.dumps(event))
        work = [asyncio.create_task(speak()), asyncio.create_task(listen())]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
