"""The server's side of `bench wire`, in a process of its own: ours, or one as aiortc's documentation has it."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from vivavoce.codecs.pcm import PCM16_SCALE, Float32
from vivavoce.realtime.config import INPUT_RATE_HZ, OUTPUT_RATE_HZ, SessionConfig
from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.app import create_app
from vivavoce.realtime.server.bench.parrot import Parrot
from vivavoce.realtime.server.loudspeaker import Loudspeaker
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.serving import address, bind, running
from vivavoce.realtime.server.taps import SoundTap, put_in
from vivavoce.realtime.server.voice import Voice
from vivavoce.realtime.server.webrtc import DIRECT, Call, NoAddress, configuration

OURS, BARE, PLAIN = "ours", "our path alone", "aiortc's own"
"""A whole call; only its way from packets to samples and back; and that way as aiortc has it, nothing in it replaced."""
MANUAL = {"audio": {"input": {"turn_detection": None}}}
"""Callers never stop to be answered, so they end their turns themselves."""
ANSWER_S = 600.0
LAG_EVERY_S = 0.005


@dataclass
class Used:
    """What was measured between `begin` and `end`."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    lags: list[float] = field(default_factory=list)
    """How late the event loop was, seconds, 200 times a second."""
    heard: list[tuple[float, Float32]] = field(default_factory=list)
    """The first call's sound at 16 kHz, and when each piece of it was there."""


class Endpoint:
    """The other process, seen from this one."""

    def __init__(self, side: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, side), daemon=True)
        self._process.start()
        theirs.close()

    async def answer(self, offer: str) -> str:
        """An SDP offer -> the answer. Raises NoAddress if this machine has none that media could be sent to."""
        answer = await self._ask("offer", offer)
        if answer is None:
            raise NoAddress("this machine has no network address for media")
        return str(answer)

    async def address(self) -> str:
        """host:port of the server; ours alone has one."""
        return str(await self._ask("address"))

    async def begin(self) -> None:
        """Measure from now on."""
        await self._ask("begin")

    async def end(self) -> Used:
        """What was measured."""
        used = await self._ask("end")
        assert isinstance(used, Used)
        return used

    async def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        await asyncio.to_thread(self._process.join, 10)
        self._process.kill()

    async def _ask(self, *what: str) -> Any:
        self._pipe.send(what)
        return await asyncio.to_thread(self._pipe.recv)


def work(pipe: Connection, side: str) -> None:
    """What runs there, until the pipe ends."""
    asyncio.run(Side(side).serve(pipe))


class Side:
    """Answers offers, and keeps count."""

    def __init__(self, side: str) -> None:
        self._side = side
        self._model = Parrot(ANSWER_S)
        self._config = SessionConfig(model="parrot", wanted=MANUAL)
        self._calls: list[Call | Plain] = []
        self._used = Used()
        self._cpu = self._wall = 0.0

    async def serve(self, pipe: Connection) -> None:
        """Carry out what comes through the pipe."""
        listener = bind("127.0.0.1", 0)
        watch = asyncio.create_task(self._watch())
        async with running(create_app(self._model, self._config), listener):
            while True:
                try:
                    what, *rest = await asyncio.to_thread(pipe.recv)
                except EOFError:
                    break
                if what == "offer":
                    pipe.send(await self._answer(*rest))
                elif what == "address":
                    pipe.send(address(listener))
                elif what == "begin":
                    self._used = Used()
                    self._cpu, self._wall = time.process_time(), time.monotonic()
                    pipe.send(None)
                else:
                    self._used.cpu_s = time.process_time() - self._cpu
                    self._used.wall_s = time.monotonic() - self._wall
                    pipe.send(self._used)
            await asyncio.gather(*(call.hang_up() for call in self._calls))
        watch.cancel()

    async def _answer(self, offer: str) -> str | None:
        first = not self._calls
        call = self._new_call()
        self._calls.append(call)
        if first:
            self._overhear(call)
        try:
            return await call.answer(offer)
        except NoAddress:
            return None

    def _new_call(self) -> Call | Plain:
        if self._side == OURS:
            return Call(self._model, self._config, Metrics(), network=DIRECT)
        return Bare() if self._side == BARE else Plain()

    def _overhear(self, call: Call | Plain) -> None:
        """Note when sound gets to where the session takes it, without a change to what is measured."""
        taker = call._driver if isinstance(call, Call) else call
        hear = taker.hear

        def noted(pcm: Float32) -> None:
            self._used.heard.append((time.monotonic(), pcm))
            hear(pcm)

        taker.hear = noted  # type: ignore[method-assign]

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._used.lags.append(loop.time() - due)


TONE = (0.3 * np.sin(2 * np.pi * 200 * np.arange(OUTPUT_RATE_HZ // 50) / OUTPUT_RATE_HZ)).astype(np.float32)
"""20 ms, four periods: what is said all the time."""


class Tone(MediaStreamTrack):
    """A voice as aiortc's examples make one: frames of 20 ms, which aiortc encodes."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pcm = (TONE * PCM16_SCALE).astype(np.int16)[np.newaxis]
        self._began = time.monotonic()
        self._count = 0

    async def recv(self) -> av.AudioFrame:
        """The next frame, when it is due."""
        await asyncio.sleep(self._began + self._count / 50 - time.monotonic())
        frame = av.AudioFrame.from_ndarray(self._pcm, format="s16", layout="mono")
        frame.sample_rate, frame.time_base = OUTPUT_RATE_HZ, Fraction(1, OUTPUT_RATE_HZ)
        frame.pts = self._count * self._pcm.shape[1]
        self._count += 1
        return frame


class Plain:
    """A call by aiortc alone, nothing in it replaced: `track.recv()`, resampled to 16 kHz as a model wants it."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(configuration(DIRECT))
        self._jobs: set[asyncio.Task[None]] = set()
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=INPUT_RATE_HZ)

    def _furnish(self) -> None:
        """Both ways, before the answer is made."""
        for transceiver in self._connection.getTransceivers():
            self._jobs.add(asyncio.create_task(self._listen(transceiver.receiver.track)))
        self._connection.addTrack(Tone())

    async def answer(self, offer: str) -> str:
        """An SDP offer -> the answer."""
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._furnish()
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return str(self._connection.localDescription.sdp)

    def hear(self, pcm: Float32) -> None:
        """float32 [samples] at 16 kHz; nobody listens."""

    async def hang_up(self) -> None:
        """End the call."""
        await self._connection.close()

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, av.AudioFrame):
                for piece in self._resampler.resample(frame):
                    self.hear(piece.to_ndarray().reshape(-1).astype(np.float32) / np.float32(PCM16_SCALE))


class Singing(Loudspeaker):
    """Never out of sound."""

    def take(self) -> tuple[Float32 | None, list[Played | Playing]]:
        """See `Loudspeaker`."""
        return TONE, []

    def ahead(self, count: int) -> Float32:
        """See `Loudspeaker`."""
        return TONE[:count]


class Bare(Plain):
    """The same by our own path (`taps.py`, `opus.py`, `Voice`), without a conversation behind it."""

    def _furnish(self) -> None:
        receiver = opus.Receiver()
        for transceiver in self._connection.getTransceivers():
            put_in(transceiver.receiver, SoundTap(lambda number, packet: self.hear(receiver.push(number, packet))))
        self._connection.addTrack(Voice(Singing(), lambda report: None))
