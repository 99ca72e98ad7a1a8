"""A caller on libwebrtc, the engine of browsers, by way of `wrtc`. Runs in an environment of its own, see requirements.txt.

    python libwebrtc.py talk URL FOLDER VP8    a question and its answer; FOLDER as media.py writes it
    python libwebrtc.py greet URL ENDING       a call that is greeted, then ends: hangup, close, or vanish

Prints one line of JSON: what was heard.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import urllib.request
import wave
from pathlib import Path
from typing import Any

import webrtc

RATE = 48_000
PIECE = RATE // 100
"""Samples of 10 ms, the portion that libwebrtc hands sound around in."""
FRAME_S = 1 / 15
SEEN_S = 1.0
"""How long the camera runs before the question."""
PATIENCE_S = 30.0


class Caller:
    """One call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = webrtc.RTCPeerConnection()
        self.events: list[dict[str, Any]] = []
        self.sound = bytearray()
        self._came = asyncio.Event()
        self._jobs: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self.location = ""

    async def dial(self, *tracks: Any) -> None:
        """Offer and answer."""
        for track in tracks:
            self.connection.add_track(track)
        channel = self.connection.create_data_channel("oai-events")
        channel.on("message", lambda event: self._note(json.loads(event.data)))
        channel.on("close", lambda event: self._ended.set())
        self.connection.on("track", self._track)
        await self.connection.set_local_description(await self.connection.create_offer())
        offer = self.connection.local_description.sdp
        status, self.location, answer = await asyncio.to_thread(post, self.url, offer)
        assert status == 201, answer
        await self.connection.set_remote_description(webrtc.RTCSessionDescription("answer", answer))

    async def expect(self, kind: str) -> None:
        """Returns once an event of this type has come."""
        async with asyncio.timeout(PATIENCE_S):
            while all(event["type"] != kind for event in self.events):
                self._came.clear()
                await self._came.wait()

    async def until_hung_up(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._ended.wait()

    def close(self) -> None:
        self.connection.close()

    def _note(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self._came.set()

    def _track(self, event: Any) -> None:
        if event.track.kind == "audio":
            self._jobs.append(asyncio.create_task(self._listen(event.track)))

    async def _listen(self, track: Any) -> None:
        reader = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track)).readable.get_reader()
        while not (result := await reader.read()).done:
            heard = result.value
            assert heard.sample_rate == RATE, heard.sample_rate
            buffer = bytearray(2 * heard.number_of_frames)
            heard.copy_to(buffer, webrtc.AudioDataCopyToOptions(0, format="s16-planar"))
            heard.close()
            self.sound += buffer


def post(url: str, body: str) -> tuple[int, str, str]:
    """-> the status, the call's address, the answer."""
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/sdp"}, method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        return response.status, response.headers.get("Location", ""), response.read().decode()


async def show(camera: Any, folder: Path) -> None:
    """The picture, 15 times a second."""
    pixels = (folder / "scene.rgba").read_bytes()
    width, height = json.loads((folder / "payloads.json").read_text())["size"]
    writer, began, number = camera.writable.get_writer(), asyncio.get_running_loop().time(), 0
    while True:
        form = webrtc.VideoFrameBufferInit("RGBA", width, height, int(number * FRAME_S * 1_000_000))
        await writer.write(webrtc.VideoFrame(pixels, form))
        number += 1
        await asyncio.sleep(began + number * FRAME_S - asyncio.get_running_loop().time())


async def say(microphone: Any, folder: Path) -> None:
    """The question, once; quiet before it and for ever after."""
    with wave.open(str(folder / "question.wav")) as file:
        said = bytes(int(2 * SEEN_S * RATE)) + file.readframes(file.getnframes())
    writer, began, number = microphone.writable.get_writer(), asyncio.get_running_loop().time(), 0
    while True:
        piece = said[number * 2 * PIECE : (number + 1) * 2 * PIECE].ljust(2 * PIECE, b"\0")
        await writer.write(webrtc.AudioData(webrtc.AudioDataInit("s16", RATE, PIECE, 1, number * 10_000, piece)))
        number += 1
        await asyncio.sleep(began + number / 100 - asyncio.get_running_loop().time())


async def talk(url: str, folder: Path) -> dict[str, Any]:
    """A question about what the camera sees."""
    caller, camera = Caller(url), webrtc.VideoTrackGenerator()
    microphone = webrtc.MediaStreamTrackGenerator("audio")
    await caller.dial(microphone, camera.track)
    await caller.expect("session.created")
    jobs = [asyncio.create_task(show(camera, folder)), asyncio.create_task(say(microphone, folder))]
    await caller.expect("output_audio_buffer.stopped")
    await asyncio.sleep(0.3)  # what has been sent is still in the jitter buffer
    for job in jobs:
        job.cancel()
    caller.close()
    return {"events": caller.events, "pcm": base64.b64encode(caller.sound).decode()}


async def greet(url: str, ending: str) -> dict[str, Any]:
    """A call that ends as soon as it has begun."""
    caller = Caller(url)
    await caller.dial(webrtc.MediaStreamTrackGenerator("audio"))
    await caller.expect("session.created")
    if ending == "vanish":
        print(json.dumps({"events": caller.events}), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "hangup":
        await asyncio.to_thread(post, url.removesuffix("/v1/realtime/calls") + caller.location + "/hangup", "")
        await caller.until_hung_up()
    caller.close()
    return {"events": caller.events}


def main() -> None:
    webrtc.allow_loopback()
    what, url, argument, *_ = sys.argv[1:]
    heard = asyncio.run(talk(url, Path(argument)) if what == "talk" else greet(url, argument))
    print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    main()
