"""The server's side of a call's sound: one packet after the other, at the pace of speech.

Both sides send a packet every 20 ms. What the user says decides when they are answered, so decisions fall right behind the client's
packets; if ours leave a few milliseconds later, an answer waits that long, and not 10 ms on the average, 20 at worst.
"""

from __future__ import annotations

import asyncio
import cmath
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.loudspeaker import Loudspeaker

PERIOD = opus.PACKET_MS / 1000
LATE_SECONDS = 0.1
"""A loop that is later than this skips packets rather than send them all at once."""
BEHIND_SECONDS = 0.005
"""How long behind the client's packets ours leave: a packet is decoded, judged and answered by then."""
OFF_SECONDS = 0.002
"""Further from there than this, the next packet of a silence is moved."""
NEWEST = 0.05
"""How much one packet counts in when they come."""
STEADY = 0.7
"""Of packets that come at one time of each period the mean on a circle has the length 1, of those that come at any 0; with a
scatter of 2.7 ms it has this."""
GRACE_SECONDS = 0.02
"""How long a packet waits for sound in the middle of an answer: a client's buffer has as much to spare."""
POLL_SECONDS = 0.002


class Beat:
    """When in each 20 ms the client's packets come."""

    def __init__(self) -> None:
        self._mean = 0j

    def note(self, at: float) -> None:
        """A packet came, in seconds of any clock."""
        self._mean += NEWEST * (cmath.exp(2j * cmath.pi * at / PERIOD) - self._mean)

    def behind(self, at: float) -> float | None:
        """Seconds, 0 to 0.02, until the packets of the period come after `at`; None if they come at any time."""
        if abs(self._mean) < STEADY:
            return None
        turn: float = cmath.phase(self._mean * cmath.exp(-2j * cmath.pi * at / PERIOD)) / (2 * cmath.pi)
        return turn % 1 * PERIOD


class Voice(MediaStreamTrack):
    """The server's side of the sound: one packet every 20 ms of the loop's clock, which no one sets, speech or silence.

    Timestamps are those of the clock: where a silence is lengthened, they jump as far.
    """

    kind = "audio"

    def __init__(self, speaker: Loudspeaker, report: Callable[[Played | Playing], None]) -> None:
        super().__init__()
        self._speaker = speaker
        self._report = report
        self._sender = opus.Sender()
        self._now = asyncio.get_running_loop().time
        self._beat = Beat()
        self._began: float | None = None
        self._number = -1
        self._moved = 0
        """Ticks of RTP's clock by which silences were lengthened."""

    def heard(self) -> None:
        """A packet of the client's came."""
        self._beat.note(self._now())

    async def recv(self) -> av.Packet[Any]:
        """The next packet, when it is due: what was said until then and not heard yet.

        Raises:
            MediaStreamError: the call is over.
        """
        if self.readyState != "live":
            raise MediaStreamError
        until = await self._due() + GRACE_SECONDS
        while self._speaker.starved and self._now() < until:
            await asyncio.sleep(POLL_SECONDS)
        pcm, reports = self._speaker.take()
        for report in reports:
            self._report(report)
        packet = av.Packet(self._sender.encode(pcm, self._speaker.ahead(opus.LOOKAHEAD)))
        packet.pts = self._number * opus.PACKET_TICKS + self._moved
        packet.time_base = Fraction(1, opus.CLOCK_HZ)
        return packet

    async def _due(self) -> float:
        """Wait until the next packet is due. Returns when that was."""
        now = self._now()
        self._began = self._began or now
        self._number += 1
        if self._speaker.silent:
            self._follow(self._began + self._number * PERIOD)
        late = now - (self._began + self._number * PERIOD)
        if late > LATE_SECONDS:
            self._number += int(late / PERIOD)
        elif late < 0:
            await asyncio.sleep(-late)
        return self._began + self._number * PERIOD

    def _follow(self, due: float) -> None:
        """Go a little behind the client's packets, from the one that is `due` on."""
        wait = self._beat.behind(due - BEHIND_SECONDS)
        if self._began is not None and wait is not None and OFF_SECONDS < wait < PERIOD - OFF_SECONDS:
            ticks = round(wait * opus.CLOCK_HZ)
            self._moved += ticks
            self._began += ticks / opus.CLOCK_HZ
