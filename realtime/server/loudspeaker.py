"""What the model says, cut into packets of 20 ms, and how much of it has gone out. No clock: whoever asks decides when."""

from __future__ import annotations

from collections import deque

import numpy as np

from vivavoce.codecs.pcm import Float32
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server.opus import PACKET_SAMPLES


class Strip:
    """The sound of one answer that waits, and the count of what does not any more."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.waiting = np.zeros(0, np.float32)
        self.taken = 0

    def take(self) -> Float32:
        """The next packet's worth, filled up with silence at the end."""
        piece, self.waiting = self.waiting[:PACKET_SAMPLES], self.waiting[PACKET_SAMPLES:]
        self.taken += len(piece)
        return np.pad(piece, (0, PACKET_SAMPLES - len(piece)))

    def report(self, stopped: bool = False) -> Played:
        """How much has gone out."""
        return Played(self.turn, self.taken * 1000 // OUTPUT_RATE_HZ, stopped)


class Loudspeaker:
    """Answers one after the other. Sound waits here, where `stop` can reach it, and nowhere behind."""

    def __init__(self) -> None:
        self._strips: deque[Strip] = deque()
        self._is_dry = True
        self._stands = False

    def play(self, turn: int, pcm: Float32) -> None:
        """More of an answer: float32 [samples] at 24 kHz."""
        if not self._strips or self._strips[-1].turn != turn:
            self._strips.append(Strip(turn))
        strip = self._strips[-1]
        strip.waiting = np.concatenate([strip.waiting, pcm])
        self._is_dry = False

    def take(self) -> tuple[Float32 | None, list[Played | Playing]]:
        """What is to be heard for the next 20 ms, float32 [480], or None; and what begins with it, or has been heard to its end.

        The last answer's count is kept, because the model may only be slow.
        """
        if self._stands:
            return None, []
        reports: list[Played | Playing] = []
        while self._strips and not len(self._strips[0].waiting):
            if not self._is_dry:
                reports.append(self._strips[0].report())
            if len(self._strips) == 1:
                self._is_dry = True
                return None, reports
            self._strips.popleft()
        if not self._strips:
            return None, reports
        if not self._strips[0].taken:
            reports.append(Playing(self._strips[0].turn))
        return self._strips[0].take(), reports

    def pause(self) -> None:
        """What waits stands still, to the sample: `take` gives silence."""
        self._stands = True

    def resume(self) -> None:
        """It goes on where it was."""
        self._stands = False

    def stop(self) -> list[Played]:
        """Nothing that waits is played any more. Returns how much of each answer was."""
        reports = [strip.report(stopped=True) for strip in self._strips]
        self._strips.clear()
        self._is_dry, self._stands = True, False
        return reports
