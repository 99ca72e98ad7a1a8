"""openai (Python) over WebRTC: the library posts the offer and hangs up, aiortc has the connection."""

from __future__ import annotations

import asyncio
import io
import json
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from openai import AsyncOpenAI
from openai_python import TYPES, OpenAICall
from PIL import Image
from scenario import RATE, Sound, run

LOUD = 300
"""Of 32 767: what is louder is no silence that was encoded."""


class Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()
        self.at = 0

    async def recv(self) -> av.AudioFrame:
        pcm = np.frombuffer(await self.packets.get(), "<i2")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, Fraction(1, RATE)
        self.at += len(pcm)
        return frame


class Camera(MediaStreamTrack):
    """The picture, 15 times a second."""

    kind = "video"

    def __init__(self, jpeg: bytes) -> None:
        super().__init__()
        self.picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
        self.frames = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 15)
        frame = av.VideoFrame.from_ndarray(self.picture, format="rgb24")
        frame.pts, frame.time_base = self.frames * 6_000, Fraction(1, 90_000)
        self.frames += 1
        return frame


class WebRTCCall(OpenAICall):
    """The server plays, and knows how much was heard."""

    async def __aenter__(self) -> WebRTCCall:
        self.client = AsyncOpenAI(api_key="none", base_url=f"http://{self.address}/v1")
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.peer.addTrack(self.microphone)
        if self.capability == "camera":
            self.peer.addTrack(Camera((self.media / "scene.jpg").read_bytes()))
        self.channel = self.peer.createDataChannel("oai-events")
        self.tasks: list[asyncio.Task[None]] = []
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.channel.on("message", self.events.put_nowait)
        self.peer.on("track", lambda track: self.tasks.append(asyncio.create_task(self.listen(track))))
        self.tasks.append(asyncio.create_task(self.read()))
        await self.dial()
        await self.until("session.created", lambda: self.diary.events["session.created"])
        return self

    async def dial(self) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        calls = self.client.realtime.calls
        answer = await calls.create(sdp=self.peer.localDescription.sdp, session=self.session())
        self.call_id = answer.response.headers["Location"].rpartition("/")[2]
        await self.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))

    async def __aexit__(self, *_: object) -> None:
        await self.client.realtime.calls.hangup(self.call_id)
        await self.peer.close()
        for task in self.tasks:
            task.cancel()
        await self.client.close()

    async def tell(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def send(self, pcm: bytes) -> None:
        self.microphone.packets.put_nowait(pcm)

    async def show(self, jpeg: bytes) -> None:
        """The track does."""

    async def read(self) -> None:
        while True:
            event = TYPES.validate_json(await self.events.get())
            await self.hear(event)
            if event.type == "output_audio_buffer.started":
                self.diary.sounds.append(Sound(began=time.monotonic()))
            elif event.type == "output_audio_buffer.cleared":
                self.diary.sounds[-1].stop()
            if event.type.startswith("output_audio_buffer."):
                self.is_playing = event.type == "output_audio_buffer.started"

    async def listen(self, track: MediaStreamTrack) -> None:
        """Sound while an answer is played, and what follows it after it was stopped."""
        quiet = bytearray()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[::2, 0]
            if not self.diary.sounds:
                continue
            sound = self.diary.sounds[-1]
            if sound.stopped_ms is None and self.is_playing:
                quiet += pcm.tobytes()
                if np.abs(pcm).max() > LOUD:  # what is quiet counts when more follows: an answer that waits is silent
                    sound.pcm += quiet
                    quiet.clear()
            elif sound.stopped_ms is None:
                quiet.clear()
            elif np.abs(pcm).max() > LOUD:
                sound.tail_ms += 20


if __name__ == "__main__":
    run(WebRTCCall)
