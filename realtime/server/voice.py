"""The server's side of a call's sound: one packet after the other, at the pace of speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.loudspeaker import Loudspeaker

LATE_SECONDS = 0.1
"""A loop that is later than this skips packets rather than send them all at once."""


class Voice(MediaStreamTrack):
    """The server's side of the sound: one packet every 20 ms of the loop's clock, which no one sets, speech or silence."""

    kind = "audio"

    def __init__(self, speaker: Loudspeaker, report: Callable[[Played | Playing], None]) -> None:
        super().__init__()
        self._speaker = speaker
        self._report = report
        self._sender = opus.Sender()
        self._now = asyncio.get_running_loop().time
        self._began: float | None = None
        self._number = -1

    async def recv(self) -> av.Packet[Any]:
        """The next packet, when it is due: what was said until then and not heard yet.

        Raises:
            MediaStreamError: the call is over.
        """
        if self.readyState != "live":
            raise MediaStreamError
        await self._due()
        pcm, reports = self._speaker.take()
        for report in reports:
            self._report(report)
        packet = av.Packet(self._sender.encode(pcm))
        packet.pts = self._number * opus.PACKET_TICKS
        packet.time_base = Fraction(1, opus.CLOCK_HZ)
        return packet

    async def _due(self) -> None:
        seconds = opus.PACKET_MS / 1000
        now = self._now()
        self._began = self._began or now
        self._number += 1
        late = now - (self._began + self._number * seconds)
        if late > LATE_SECONDS:
            self._number += int(late / seconds)
        elif late < 0:
            await asyncio.sleep(-late)
