"""A browser's side of a WebRTC call: a microphone and a camera that play what they are told, an ear, and a data channel."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from vivavoce.realtime.server.webrtc import DIRECT, configuration

PACKET = 960
"""Samples of 20 ms at 48 kHz."""


class Microphone(MediaStreamTrack):
    """Silence, and what it is given to say."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting = np.zeros(0, np.float32)
        self._packets = 0
        self._began = asyncio.get_running_loop().time()

    def say(self, pcm: np.ndarray) -> None:
        """float32 [samples] at 48 kHz."""
        self.waiting = np.concatenate([self.waiting, pcm])

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._began + self._packets * 0.02 - loop.time())
        piece, self.waiting = self.waiting[:PACKET], self.waiting[PACKET:]
        pcm = np.pad(piece, (0, PACKET - len(piece)))
        frame = av.AudioFrame.from_ndarray((pcm * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._packets * PACKET, Fraction(1, 48_000)
        self._packets += 1
        return frame


class Camera(MediaStreamTrack):
    """One colour, 15 times a second: red is channel 0, blue 2."""

    kind = "video"

    def __init__(self, channel: int = 0) -> None:
        super().__init__()
        self._channel = channel
        self._frames = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 15)
        picture = np.zeros((120, 160, 3), np.uint8)
        picture[:, :, self._channel] = 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._frames * 6_000, Fraction(1, 90_000)
        self._frames += 1
        return frame


class Telephone:
    """One call. `heard` keeps all events, `loud` counts packets of 20 ms above a whisper, `quiet` those since the last of them."""

    def __init__(
        self, where: str, camera: bool = False, network: dict[str, Any] = DIRECT, screen: bool = False
    ) -> None:
        """`network` is an RTCConfiguration as browsers have it."""
        self.url = f"http://{where}/v1/realtime/calls"
        self.connection = RTCPeerConnection(configuration(network))
        self.microphone = Microphone()
        self.connection.addTrack(self.microphone)
        if camera:
            self.connection.addTrack(Camera())
        if screen:
            self.connection.addTrack(Camera(channel=2))
        self.channel = self.connection.createDataChannel("oai-events")
        self.heard: list[dict[str, Any]] = []
        self.loud = self.quiet = 0
        self._packet_came = asyncio.Event()
        self.ended = asyncio.Event()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ear: asyncio.Task[None] | None = None
        self.channel.on("message", lambda text: self._events.put_nowait(json.loads(text)))
        self.channel.on("close", self.ended.set)
        self.connection.on("track", self._listen)

    async def dial(self, key: str | None = None, **form: Any) -> httpx.Response:
        """Offer and answer. With a form, as the official Python client posts it."""
        offer = await self.offer()
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(trust_env=False, headers=bearer) as client:
            if form:
                parts = {
                    "sdp": (None, offer, "application/sdp"),
                    "session": (None, json.dumps(form), "application/json"),
                }
                response = await client.post(self.url, files=parts)
            else:
                response = await client.post(self.url, content=offer, headers={"Content-Type": "application/sdp"})
        if response.status_code == 201:
            await self.accept(response.text)
        return response

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def expect(self, kind: str) -> dict[str, Any]:
        """Listen until an event of this type comes."""
        async with asyncio.timeout(20):
            while True:
                event = await self._events.get()
                self.heard.append(event)
                if event["type"] == kind:
                    return event

    async def listen_for(self, *, loud: int = 0, quiet: int = 0) -> None:
        """Listen until that many packets have been loud, and the last ones quiet."""
        async with asyncio.timeout(20):
            while self.loud < loud or self.quiet < quiet:
                self._packet_came.clear()
                await self._packet_came.wait()

    def ways(self) -> set[str]:
        """Types of both sides' addresses: host, srflx, relay."""
        both = self.connection.localDescription.sdp + self.connection.remoteDescription.sdp
        return set(re.findall(r"^a=candidate:.* typ (\w+)", both, re.M))

    def words(self) -> str:
        """What the server says it has said."""
        return "".join(e["delta"] for e in self.heard if e["type"] == "response.output_audio_transcript.delta")

    def kinds(self) -> list[str]:
        """Types of everything heard, repetitions in a row once."""
        types = [event["type"] for event in self.heard]
        return [kind for at, kind in enumerate(types) if at == 0 or types[at - 1] != kind]

    async def hang_up(self) -> None:
        await self.connection.close()
        if self._ear is not None:
            await self._ear

    async def fall_silent(self) -> None:
        """Send neither sound nor reports of it any more, and be there all the same."""
        for transceiver in self.connection.getTransceivers():
            await transceiver.sender.stop()
            await transceiver.receiver.stop()

    async def vanish(self) -> None:
        """Be gone without a word, as a machine that loses its network; what is left of this side is cleared away."""
        dtls = self.connection.sctp.transport
        for socket in dtls.transport._connection._protocols:
            socket.transport.abort()
        await self.hang_up()

    def _listen(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._ear = asyncio.create_task(self._hear(track))

    async def _hear(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            is_loud = np.abs(frame.to_ndarray()).max() > 1_000
            self.loud, self.quiet = self.loud + is_loud, 0 if is_loud else self.quiet + 1
            self._packet_came.set()


async def ask_network(where: str) -> dict[str, Any]:
    """What the server tells a browser before it calls: an RTCConfiguration."""
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://{where}/v1/realtime/ice_servers")
    assert response.status_code == 200
    network: dict[str, Any] = response.json()
    return network


@asynccontextmanager
async def call(
    where: str, camera: bool = False, network: dict[str, Any] = DIRECT, screen: bool = False, **session: Any
) -> AsyncIterator[Telephone]:
    """A call that has been greeted."""
    phone = Telephone(where, camera, network, screen)
    try:
        assert (await phone.dial(**session)).status_code == 201
        await phone.expect("session.created")
        yield phone
    finally:
        await phone.hang_up()
