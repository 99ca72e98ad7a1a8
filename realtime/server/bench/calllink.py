"""How a bench reaches a server by WebRTC: one call, made with aiortc, without its jitter buffer.

Packets are noted when they come; `tape.Receiver` says when a loudspeaker would have played them. aiortc's own buffer would add
80 ms of its own, and 280 ms for good after a loss.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av.codec.context import CodecContext

from vivavoce.codecs.pcm import PCM16_SCALE
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.bench.link import GREETING_SECONDS, Json, Listener, wishes
from vivavoce.realtime.server.bench.lossy import Weather, detour, without_addresses
from vivavoce.realtime.server.bench.sound import Float32
from vivavoce.realtime.server.client import TalkFailed
from vivavoce.realtime.server.reorder import Reorder
from vivavoce.realtime.server.taps import SoundTap, put_in
from vivavoce.realtime.server.webrtc import CHANNEL, DIRECT, configuration

PATH = "/v1/realtime/calls"
WRAPS = 2**32
"""RTP timestamps begin again."""


class Microphone(MediaStreamTrack):
    """Packets leave when they are put in, and not by a clock of the track's."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sender = opus.Sender()
        self._packets: asyncio.Queue[bytes] = asyncio.Queue()
        self._count = 0

    def put(self, pcm: Float32) -> None:
        """float32 [480] at 24 kHz."""
        self._packets.put_nowait(self._sender.encode(pcm))

    async def recv(self) -> av.Packet[Any]:
        """See aiortc."""
        packet = av.Packet(await self._packets.get())
        packet.pts, packet.time_base = self._count * opus.PACKET_TICKS, Fraction(1, opus.CLOCK_HZ)
        self._count += 1
        return packet


@dataclass(frozen=True)
class Arrived:
    """A packet and when it came."""

    time: float
    packet: opus.Packet


class Decoder:
    """Opus packets in order -> float32 at 24 kHz. Two samples of the decoder's 48 kHz make one: no filter, and no delay by it."""

    def __init__(self) -> None:
        self._codec = CodecContext.create("libopus", "r")
        self._codec.format, self._codec.layout, self._codec.sample_rate = "s16", "mono", opus.CLOCK_HZ

    def decode(self, data: bytes) -> Float32:
        """One packet; none of it where it cannot be decoded."""
        try:
            frames = self._codec.decode(av.Packet(data)) if data else []
        except av.FFmpegError:
            frames = []
        pieces = [frame.to_ndarray().reshape(-1) for frame in frames]
        wave = np.concatenate([np.zeros(0, np.int16), *pieces]).astype(np.float32) / np.float32(PCM16_SCALE)
        return wave.reshape(-1, 2).mean(axis=1)


class Silence:
    """What an encoder makes of digital silence is the same packet again and again; of a voice that pauses it never is."""

    def __init__(self) -> None:
        self._last = b""
        self._known: set[bytes] = set()

    def knows(self, data: bytes) -> bool:
        """The packet has come twice in a row, now or before."""
        if data == self._last:
            self._known.add(data)
        self._last = data
        return data in self._known


class CallLink:
    """`POST /v1/realtime/calls`, sound by RTP, events over the data channel."""

    plays_itself = True

    def __init__(self) -> None:
        self.session: Json = {}
        self._now = asyncio.get_running_loop().time
        self._connection = RTCPeerConnection(configuration(DIRECT))
        self._microphone = Microphone()
        self._order: Reorder[Arrived] = Reorder()
        self._decoder = Decoder()
        self._silence = Silence()
        self._came: asyncio.Queue[tuple[float, Json | Arrived | None]] = asyncio.Queue()
        self._first: int | None = None
        self._connection.addTrack(self._microphone)
        put_in(self._connection.getTransceivers()[0].receiver, SoundTap(self._heard))
        self._channel = self._connection.createDataChannel(CHANNEL)
        self._channel.on("message", lambda text: self._came.put_nowait((self._now(), json.loads(text))))
        self._connection.on("connectionstatechange", self._changed)

    async def offer(self) -> str:
        """Our side as SDP."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def greet(self, answer: str) -> None:
        """Their side as SDP; returns when the session has begun.

        Raises:
            TalkFailed: it does not.
        """
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                while True:
                    _, event = await self._came.get()
                    if event is None:
                        raise TalkFailed("the call was ended before it began")
                    if isinstance(event, dict) and event.get("type") == "session.created":
                        self.session = event.get("session") or {}
                        break
        except TimeoutError:
            raise TalkFailed(f"the call did not begin within {GREETING_SECONDS:g} seconds") from None
        if (wish := wishes(self.session)) is not None:
            await self.send(wish)

    async def say(self, pcm: Float32) -> None:
        """See `Link`."""
        self._microphone.put(pcm)

    async def send(self, event: Json) -> None:
        """See `Link`."""
        if self._channel.readyState == "open":
            self._channel.send(json.dumps(event))

    async def listen(self, listener: Listener) -> None:
        """See `Link`."""
        while True:
            time, one = await self._came.get()
            if one is None:
                return
            if isinstance(one, Arrived):
                self._play(one, listener)
            else:
                listener.event(time, one)

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()

    def _heard(self, number: int, packet: opus.Packet) -> None:
        for arrived in self._order.push(number, Arrived(self._now(), packet)):
            self._came.put_nowait((arrived.time, arrived))

    def _play(self, arrived: Arrived, listener: Listener) -> None:
        stamp = arrived.packet.timestamp
        first = self._first = stamp if self._first is None else self._first
        data = arrived.packet.data
        pcm = self._decoder.decode(data)
        listener.packet(arrived.time, pcm, (stamp - first) % WRAPS // 2, self._silence.knows(data))

    def _changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._came.put_nowait((self._now(), None))


@asynccontextmanager
async def dial_call(
    url: str, key: str | None = None, weather: Weather | None = None, seed: int = 0
) -> AsyncIterator[CallLink]:
    """A call to http://HOST:PORT, through bad weather if there is any.

    Raises:
        TalkFailed: nobody there, or no call comes about.
    """
    link = CallLink()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(link.close)
        offer = await link.offer()
        if weather is None:
            answer = await asyncio.to_thread(post, calls_at(url), offer, key)
        else:  # neither side knows the other's address, only the port between them
            answer = await asyncio.to_thread(post, calls_at(url), without_addresses(offer), key)
            transport, answer = await detour(answer, weather, seed)
            stack.callback(transport.close)
        await link.greet(answer)
        yield link


def calls_at(url: str) -> str:
    """Where calls are taken."""
    for wire, page in (("ws://", "http://"), ("wss://", "https://")):
        if url.startswith(wire):
            url = page + url.removeprefix(wire)
    return url.rstrip("/") + PATH if url.rstrip("/").count("/") == 2 else url


def post(url: str, offer: str, key: str | None) -> str:
    """The server's SDP answer. Raises TalkFailed."""
    headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, offer.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=GREETING_SECONDS) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        said = " ".join(error.read(500).decode(errors="replace").split())
        raise TalkFailed(f"{url} answered {error.code}: {said}") from None
    except (OSError, ValueError) as error:
        raise TalkFailed(f"cannot reach {url}: {error}") from None
