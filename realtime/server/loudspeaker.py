"""What the model says, cut into packets of 20 ms, and how much of it has gone out. No clock: whoever asks decides when.

A model that is slow for a moment is waited for (`starved`). One that lets an answer run dry all the same is not trusted with
the next sound: that waits until there is more of it, 120 or 240 ms, so that there is one pause instead of many. An answer that
did not run dry halves what is waited for; at first, and as a rule, it is nothing.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vivavoce.codecs.pcm import Float32
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server.opus import PACKET_SAMPLES

LEAST_CUSHION = 6 * PACKET_SAMPLES
"""What is collected before an answer goes on that has run dry: two of the model's pieces, 120 ms ..."""
MOST_CUSHION = 12 * PACKET_SAMPLES
"""... or, if it keeps doing so, four."""
MOST_MISSED = 50
"""An answer of which nothing has come for so many packets, 1 s, is not waited for any more."""


class Strip:
    """The sound of one answer that waits, and the count of what does not any more."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.waiting = np.zeros(0, np.float32)
        self.taken = 0
        self.complete = False
        """No more of it comes."""
        self.stopped = True
        """It has not begun, or has run dry."""
        self.dried = False
        """It ran dry before its end."""
        self.held = 0
        """Samples of silence that went out while it collected."""
        self.missed = 0
        """Packets of silence since it ran dry."""

    @property
    def comes(self) -> bool:
        """There will be more of it, and soon."""
        return not self.complete and self.missed < MOST_MISSED

    def take(self) -> Float32:
        """The next packet's worth, filled up with silence at the end."""
        piece, self.waiting = self.waiting[:PACKET_SAMPLES], self.waiting[PACKET_SAMPLES:]
        self.taken += len(piece)
        self.stopped, self.held, self.missed = False, 0, 0
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
        self._cushion = 0

    def play(self, turn: int, pcm: Float32) -> None:
        """More of an answer: float32 [samples] at 24 kHz."""
        if not self._strips or self._strips[-1].turn != turn:
            self._strips.append(Strip(turn))
        strip = self._strips[-1]
        strip.waiting = np.concatenate([strip.waiting, pcm])
        self._is_dry = False

    def complete(self, turn: int) -> None:
        """Nothing more of an answer comes."""
        for strip in self._strips:
            if strip.turn == turn and not strip.complete:
                strip.complete = True
                if not strip.dried:
                    self._cushion = self._cushion // 2 if self._cushion > LEAST_CUSHION else 0

    @property
    def starved(self) -> bool:
        """In the middle of an answer there is nothing at hand, and more will come."""
        if len(self._strips) != 1 or self._stands:
            return False
        strip = self._strips[0]
        return not len(strip.waiting) and strip.comes

    @property
    def silent(self) -> bool:
        """Nothing is being said, or about to be."""
        return self._stands or not any(len(strip.waiting) or strip.comes for strip in self._strips)

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
                self._run_dry(self._strips[0])
                return None, reports
            self._strips.popleft()
        if not self._strips:
            return None, reports
        strip = self._strips[0]
        if self._collects(strip):
            strip.held += PACKET_SAMPLES
            return None, reports
        if not strip.taken:
            reports.append(Playing(strip.turn))
        return strip.take(), reports

    def ahead(self, count: int) -> Float32:
        """Up to `count` samples of what follows, float32; they are still to be taken."""
        waiting = next((strip.waiting for strip in self._strips if len(strip.waiting)), None)
        return np.zeros(0, np.float32) if waiting is None else waiting[:count]

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

    def _run_dry(self, strip: Strip) -> None:
        self._is_dry = True
        strip.missed += 1
        if strip.complete or strip.stopped:
            return
        strip.stopped = strip.dried = True
        self._cushion = min(MOST_CUSHION, max(LEAST_CUSHION, 2 * self._cushion))

    def _collects(self, strip: Strip) -> bool:
        """It had better wait for more; but for no longer than what it waits for would last."""
        return strip.stopped and not strip.complete and max(len(strip.waiting), strip.held) < self._cushion
