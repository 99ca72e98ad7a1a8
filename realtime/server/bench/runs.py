"""The measurements themselves: who says what to which server, over which wire, how many at once. What comes of it are takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from vivavoce.realtime.server.bench.calllink import calls_at, dial_call
from vivavoce.realtime.server.bench.corpus import Corpus, shuffled
from vivavoce.realtime.server.bench.link import Link, dial_socket
from vivavoce.realtime.server.bench.lossy import Weather
from vivavoce.realtime.server.bench.proxy import Trouble, troubled
from vivavoce.realtime.server.bench.recorder import Recorder
from vivavoce.realtime.server.bench.script import BACKCHANNEL, INTERRUPTION, NOISE, PAUSING, QUESTION, Clip, User
from vivavoce.realtime.server.bench.sound import samples
from vivavoce.realtime.server.bench.stats import LEAST
from vivavoce.realtime.server.bench.take import Take
from vivavoce.realtime.server.client import TalkFailed, endpoint

WS, WEBRTC = "ws", "webrtc"
LONGEST = 5
PATIENCE_S, RETRY_S = 5.0, 0.5
NOTHING = np.zeros(0, np.float32)
Progress = Callable[[int], None]
"""Told how many turns are over."""


@dataclass(frozen=True)
class Target:
    """A server and the way to it."""

    url: str
    transport: str = WS
    key: str | None = None
    playout_ms: float | None = None
    """See `Recorder`."""
    trouble: Trouble | None = None
    """What the network does; None for nothing."""
    seed: int = 5
    stands_still: bool = True
    """Of a client that plays what comes as events: its loudspeaker does, where the server knows to tell it."""

    @asynccontextmanager
    async def dial(self, patience_s: float = 0.0) -> AsyncIterator[Link]:
        """A session; one that is refused is asked for again for so long, by which a server may be rid of its last client.

        Raises:
            TalkFailed: none to be had.
        """
        now = asyncio.get_running_loop().time
        until = now() + patience_s
        async with AsyncExitStack() as stack:
            while True:
                try:
                    link = await stack.enter_async_context(self._dial())
                    break
                except TalkFailed:
                    if now() >= until:
                        raise
                await asyncio.sleep(RETRY_S)
            yield link

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Link]:
        trouble = self.trouble
        if self.transport == WEBRTC:
            weather = Weather(trouble.loss, trouble.jitter_ms, trouble.reorder) if trouble else None
            async with dial_call(self.url, self.key, weather, self.seed) as call:
                yield call
        elif trouble is None:
            async with dial_socket(self.url, self.key, self.stands_still) as socket:
                yield socket
        else:
            async with (
                troubled(endpoint(self.url), trouble, self.seed) as url,
                dial_socket(url, self.key, self.stands_still) as socket,
            ):
                yield socket

    @property
    def address(self) -> str:
        """Where it is, in full."""
        return calls_at(self.url) if self.transport == WEBRTC else endpoint(self.url)


def mixed(corpus: Corpus, turns: int, seed: int, thoughtful: float = 0.5) -> list[Clip]:
    """Questions, this share of them with pauses to think, in any order."""
    pausing = round(turns * thoughtful)
    clips = shuffled(corpus.of(PAUSING), pausing, seed) if pausing else []
    clips += shuffled(corpus.of(QUESTION), turns - pausing, seed + 1) if turns > pausing else []
    return shuffled(clips, turns, seed + 2)


async def latency(target: Target, clips: Sequence[Clip], progress: Progress, minutes: float | None = None) -> Take:
    """One conversation, question after question; for so many minutes if that is given, over and over. Raises TalkFailed."""
    user = User()
    end = samples(minutes * 60_000) if minutes is not None else None
    asked = clips if end is None else [clip for _, clip in zip(range(100_000), cycle(clips), strict=False)]

    def stop() -> bool:
        progress(user.progress)
        return end is not None and user.now >= end

    async with target.dial(PATIENCE_S) as link:
        return await Recorder(link, user, target.playout_ms).run(user.questions(asked, target.seed), stop)


async def duplex(target: Target, trials: Sequence[tuple[Clip, Clip]], progress: Progress) -> Take:
    """One conversation: a question each, and something said into its answer. Raises TalkFailed."""
    user = User()

    def stop() -> bool:
        progress(user.progress)
        return False

    async with target.dial(PATIENCE_S) as link:
        return await Recorder(link, user, target.playout_ms).run(user.overlaps(trials, target.seed), stop)


def overlapping(corpus: Corpus, openers: Sequence[Clip], each: int, seed: int) -> list[tuple[Clip, Clip]]:
    """`each` interruptions, backchannels and noises in any order, each said into the answer to an opener."""
    overlaps = [clip for kind in (INTERRUPTION, BACKCHANNEL, NOISE) for clip in shuffled(corpus.of(kind), each, seed)]
    asked = shuffled(openers, len(overlaps), seed + 1)
    return list(zip(asked, shuffled(overlaps, len(overlaps), seed + 2), strict=True))


async def load(target: Target, clips: Sequence[Clip], sessions: int, hold_s: float, ramp_s: float) -> list[Take]:
    """So many conversations at once, one more every `ramp_s`, all until `hold_s` after the last has begun; for longer, up to
    `LONGEST` times, where together they have not had the answers by then that a percentile wants.

    One that could not be had is an empty take; its `lost` says why.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    users: list[User] = []

    def over() -> bool:
        held = loop.time() - begun - sessions * ramp_s
        return held >= (hold_s if sum(user.progress for user in users) >= LEAST else hold_s * LONGEST)

    async def one(number: int) -> Take:
        await asyncio.sleep(number * ramp_s)
        user = User()
        users.append(user)
        turned = [*clips[number % len(clips) :], *clips[: number % len(clips)]]
        asked = [clip for _, clip in zip(range(100_000), cycle(turned), strict=False)]
        try:
            async with target.dial() as link:
                script = user.questions(asked, target.seed + number)
                return await Recorder(link, user, target.playout_ms).run(script, over)
        except TalkFailed as error:
            return Take(NOTHING, NOTHING, lost={"refused": str(error)})

    return list(await asyncio.gather(*(one(number) for number in range(sessions))))


async def chaos(target: Target, clips: Sequence[Clip], progress: Progress) -> list[Take]:
    """The same conversation through a network that makes trouble; a connection that is lost is dialled again for the rest.

    `lost["back_ms"]` of the take before says how long it was until the next session had begun.

    Raises:
        TalkFailed: not to be reached at all.
    """
    loop = asyncio.get_running_loop()
    takes: list[Take] = []
    left = list(clips)
    while left and len(takes) < MOST_CALLS:
        began = loop.time()
        user, before = User(), len(clips) - len(left)

        def stop(user: User = user, before: int = before) -> bool:
            progress(before + user.progress)
            return False

        async with target.dial(PATIENCE_S) as link:
            if takes:
                takes[-1].lost["back_ms"] = round((loop.time() - began) * 1000)
            takes.append(await Recorder(link, user, target.playout_ms).run(user.questions(left, target.seed), stop))
        if not takes[-1].lost:
            break
        left = left[max(1, user.progress) :]
    return takes


MOST_CALLS = 20
"""A network that lets nobody talk need not be tried for ever."""
