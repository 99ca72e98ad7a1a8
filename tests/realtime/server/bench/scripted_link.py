"""A server whose delays are known, because they were built in: it hears when sound begins and ends, and keeps its own account."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from signals import silence, voice

from vivavoce.realtime.server.bench.link import Json, Listener
from vivavoce.realtime.server.bench.sound import Float32, samples

PACKET_S = 0.02


@dataclass
class Delays:
    """Milliseconds."""

    decides: float = 300
    """Of silence, after which it takes the turn."""
    answers: float = 45
    """From that to the first sound that leaves."""
    leading: float = 20
    """Silence that the sound begins with."""
    speaks: float = 1_000
    piece: float = 60
    """Sound that leaves at once, one piece after the other, as fast as it is heard."""
    stops: float = 150
    """From the first packet with a voice, while it speaks, to its noticing."""
    stalls: float = 0
    """Once, in the middle of an answer."""
    ignores: bool = False
    """Whatever is said while it speaks."""
    pauses: float | None = None
    """From the same packet to its telling the client to stand still, before it is sure."""
    resumes: bool = False
    """Then it finds that it was nothing, instead of stopping."""


@dataclass
class ScriptedLink:
    """A `Link` without a wire; times in `account` are the loop's."""

    delays: Delays = field(default_factory=Delays)
    plays_itself: bool = False
    session: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account: list[tuple[str, float]] = []
        self.received: list[Json] = []
        self._now = asyncio.get_running_loop().time
        self._listener: Listener | None = None
        self._heard_voice = False
        self._jobs: set[asyncio.Task[None]] = set()
        self._silent_s = 0.0
        self._loud_s = 0.0
        self._speaking: asyncio.Task[None] | None = None
        self._answers = 0

    async def listen(self, listener: Listener) -> None:
        self._listener = listener
        await asyncio.Event().wait()

    async def send(self, event: Json) -> None:
        self.received.append(event)
        if event["type"] == "conversation.item.truncate":
            self._tell("conversation.item.truncated", item_id=event["item_id"], audio_end_ms=event["audio_end_ms"])

    async def say(self, pcm: Float32) -> None:
        loud = bool(np.abs(pcm).max() > 0.05)
        busy = self._speaking is not None and not self._speaking.done()
        self._loud_s = self._loud_s + PACKET_S if loud else 0.0
        if loud:
            self._heard_voice, self._silent_s = True, 0.0
            if self._loud_s == PACKET_S:
                self.account.append(("onset", self._now()))
                if busy and not self.delays.ignores:
                    self._begin(self._stop())
            return
        if self._silent_s == 0.0 and self._heard_voice:
            self.account.append(("end", self._now() - PACKET_S))
        self._silent_s += PACKET_S
        if self._heard_voice and self._silent_s * 1000 >= self.delays.decides - 1e-6 and not busy:
            self._heard_voice = False
            self._speaking = self._begin(self._answer())

    async def _answer(self) -> None:
        self._answers += 1
        item, response = f"item_{self._answers}", {"id": f"resp_{self._answers}"}
        self.account.append(("decided", self._now()))
        self._tell("input_audio_buffer.committed")
        self._tell("response.created", response=response)
        await asyncio.sleep(self.delays.answers / 1000)
        self.account.append(("sent", self._now()))
        pcm = np.concatenate([silence(self.delays.leading), voice(self.delays.speaks)])
        piece = samples(self.delays.piece)
        begun = self._now()
        stalled = 0.0
        for n, at in enumerate(range(0, len(pcm), piece)):
            if self.delays.stalls and at >= len(pcm) // 2 and not stalled:
                stalled = self.delays.stalls / 1000
            await asyncio.sleep(begun + stalled + n * self.delays.piece / 1000 - self._now())
            assert self._listener is not None
            self._listener.sound(self._now(), pcm[at : at + piece], item)
        self._tell("response.done", response=response | {"status": "completed"})

    async def _stop(self) -> None:
        paused = self.delays.pauses or 0.0
        if self.delays.pauses is not None:
            await asyncio.sleep(paused / 1000)
            self._tell("output_audio_buffer.paused")
        await asyncio.sleep((self.delays.stops - paused) / 1000)
        if self.delays.resumes:
            self._tell("output_audio_buffer.resumed")
            return
        assert self._speaking is not None
        if not self._speaking.done():
            self._speaking.cancel()
            self.account.append(("stopped", self._now()))
            self._tell("input_audio_buffer.speech_started")
            self._tell("response.done", response={"id": f"resp_{self._answers}", "status": "cancelled"})

    def _tell(self, kind: str, **fields: Any) -> None:
        assert self._listener is not None
        self._listener.event(self._now(), {"type": kind, **fields})

    def _begin(self, story: Any) -> asyncio.Task[None]:
        task = asyncio.ensure_future(story)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task
