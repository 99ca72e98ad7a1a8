"""Where an answer begins to be heard: what is inaudible before it is left out, so that nobody waits for it.

A decoder begins from silence, and a first word from a closed mouth: tens of milliseconds in which nothing but a faint tick at its
start says that sound has begun.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vivavoce.codecs.media import SPEAK_RATE
from vivavoce.codecs.pcm import Float32

STEP = SPEAK_RATE // 400
"""Samples, 2.5 ms: as exactly as the beginning is found."""
STEPS = 4
"""That must be audible on average. A tick of one or two milliseconds is not; a soft "h" is."""
AUDIBLE = 10 ** (-50 / 10)
"""Power, in full scale: -50 dB. Speech is 20 to 40 dB above, a codec's silence 6 to 15 below."""
LONGEST = SPEAK_RATE // 5
"""Samples, 200 ms: a silence that is longer belongs to what is said."""


class Onset(NamedTuple):
    """Before the first audible sample, and after it."""

    held: Float32 = np.zeros(0, np.float32)
    """What may belong to the beginning, if it is next."""
    dropped: int = 0
    """Samples left out so far."""
    begun: bool = False

    def push(self, pcm: Float32) -> tuple[Float32, Onset]:
        """The next sound, float32 [samples] at 24 kHz -> what of all so far is to be heard now, and how it goes on."""
        if self.begun:
            return pcm, self
        sound = np.concatenate([self.held, pcm])
        power = np.square(sound[: len(sound) // STEP * STEP].reshape(-1, STEP), dtype=np.float64).mean(axis=1)
        windows = np.convolve(power, np.full(STEPS, 1 / STEPS), "valid") if len(power) >= STEPS else power[:0]
        room = LONGEST - self.dropped
        heard = np.flatnonzero(windows >= AUDIBLE)
        if len(heard):
            first = int(heard[0])
            at = (first + int((power[first : first + STEPS] >= AUDIBLE).argmax())) * STEP
        else:
            at = len(windows) * STEP
        at = min(at, room)
        begun = bool(len(heard)) or at == room
        kept = sound[at:]
        return (
            (kept, Onset(dropped=self.dropped + at, begun=True))
            if begun
            else (kept[:0], Onset(kept, self.dropped + at))
        )
