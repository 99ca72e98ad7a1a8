"""One conversation held in real time: a script speaks, a link carries, and both sides go onto one tape.

The media clock begins when the microphone is opened. A packet leaves when its last sample has been picked up, as a sound card's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from vivavoce.realtime.extensions import PAUSED, RESUMED
from vivavoce.realtime.server.bench.link import Json, Link
from vivavoce.realtime.server.bench.script import Ear, Script, User
from vivavoce.realtime.server.bench.sound import RATE_HZ, TICK, Float32, samples
from vivavoce.realtime.server.bench.take import Take, Told
from vivavoce.realtime.server.bench.tape import Loudspeaker, Receiver

LAST_WORDS_S = 0.3
"""How long after the last packet events are still taken in, such as the account of the last answer."""
CALL_PLAYOUT_MS = 40.0
"""What a call's loudspeaker collects before it plays: a packet may be so late. Browsers adapt, 33 to 53 ms on a good one."""
STARTED = "input_audio_buffer.speech_started"


class Recorder:
    """A `Listener` with a microphone."""

    def __init__(self, link: Link, user: User, playout_ms: float | None = None) -> None:
        """`playout_ms`: what the loudspeaker collects before it plays; None for 0 where sound comes as events, else 40."""
        self._link = link
        self._user = user
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        wait = samples(CALL_PLAYOUT_MS if playout_ms is None and link.plays_itself else playout_ms or 0.0)
        self._loudspeaker = Loudspeaker(wait)
        self._receiver = Receiver(wait)
        self._plays = self._receiver if link.plays_itself else self._loudspeaker
        self._microphone: list[Float32] = []
        self._late_ms: list[float] = []
        self._told: list[Told] = []
        self._pending = 0
        self._cut: set[str] = set()
        self._words: set[asyncio.Task[None]] = set()

    async def run(self, script: Script, stop: Callable[[], bool] = lambda: False) -> Take:
        """Until the script ends, the connection does, or `stop` says so."""
        listening = asyncio.create_task(self._link.listen(self))
        lost: Json = {}
        self._began = self._now()
        try:
            await self._speak(script, listening, stop)
            if listening.done():
                lost = {"at_ms": round((self._now() - self._began) * 1000)}
                listening.result()
            else:
                await asyncio.wait([listening], timeout=LAST_WORDS_S)
        finally:
            listening.cancel()
            script.close()
            await asyncio.gather(listening, *self._words, return_exceptions=True)
        return self._take(lost)

    async def _speak(self, script: Script, listening: asyncio.Task[None], stop: Callable[[], bool]) -> None:
        packet = next(script)
        while not listening.done() and not stop():
            due = self._began + (len(self._microphone) + 1) * TICK / RATE_HZ
            await asyncio.sleep(due - self._now())
            self._late_ms.append(max(0.0, self._now() - due) * 1000)
            self._microphone.append(packet)
            try:
                await self._link.say(packet)
            except Exception:  # the connection is gone; whoever listens knows why
                await asyncio.wait([listening], timeout=LAST_WORDS_S)
                return
            try:
                packet = script.send(self._ear())
            except StopIteration:
                return

    def _ear(self) -> Ear:
        """What has been heard until now."""
        at = len(self._microphone) * TICK
        return Ear(self._plays.last_audible(at), self._plays.busy(at), self._pending)

    def _at(self, time: float) -> int:
        return max(0, round((time - self._began) * RATE_HZ))

    # --- what comes --------------------------------------------------------------------------------------------------

    def event(self, time: float, event: Json) -> None:
        """See `Listener`."""
        at = self._at(time)
        self._told.append(Told(at, event))
        kind = event.get("type")
        if kind == "response.created":
            self._pending += 1
        elif kind == "response.done":
            self._pending = max(0, self._pending - 1)
        elif not self._link.plays_itself:
            self._obey(at, kind)

    def sound(self, time: float, pcm: Float32, item: str) -> None:
        """See `Listener`."""
        if item not in self._cut:
            self._loudspeaker.push(self._at(time), pcm, item)

    def packet(self, time: float, pcm: Float32, due: int, blank: bool) -> None:
        """See `Listener`."""
        self._receiver.push(self._at(time), pcm, due, blank)

    def _obey(self, at: int, kind: str | None) -> None:
        """What the server says to who plays its sound."""
        if kind == STARTED:
            self._fall_silent(at)
        elif kind == PAUSED:
            self._loudspeaker.pause(at)
        elif kind == RESUMED:
            self._loudspeaker.resume(at)

    def _fall_silent(self, at: int) -> None:
        """The user was heard to speak: drop what waits, and tell how much was played, as the API asks of clients."""
        gone = self._loudspeaker.clear(at)
        if gone is not None:
            self._cut.add(gone.item)
            told = {"type": "conversation.item.truncate", "item_id": gone.item, "content_index": 0}
            word = self._link.send({**told, "audio_end_ms": gone.played * 1000 // RATE_HZ})
            self._words.add(asyncio.ensure_future(word))

    def _take(self, lost: Json) -> Take:
        end = len(self._microphone) * TICK
        return Take(
            microphone=np.concatenate([np.zeros(0, np.float32), *self._microphone]),
            loudspeaker=self._plays.until(end),
            said=self._user.said,
            told=self._told,
            pieces=self._plays.pieces,
            gaps=self._plays.gaps,
            cleared=self._plays.cleared,
            plays_itself=self._link.plays_itself,
            late_ms=self._late_ms,
            model=self._link.session.get("model"),
            lost=lost,
        )
