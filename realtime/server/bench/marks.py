"""Sound with marks in it, and when each came: how long a sound takes from one end of a wire to the other.

A mark is a beep of 10 ms every 200 ms, all of it in one packet; eight pitches in turn tell it from those before and after,
so one that was lost is nobody else's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

PACKET_MS = 20
EVERY = 10
"""Packets from mark to mark."""
PITCHES_HZ = tuple(500 + 400 * n for n in range(8))
BEEP_MS = 10
CYCLE = EVERY * len(PITCHES_HZ)
"""Packets until the first pitch comes again, 1.6 s: no mark may take longer."""
LOUD = 0.08


def cycle(rate: int) -> Float32:
    """All marks once: float32 [1.6 s * rate]. The first sample of a mark is 1 ms into its packet."""
    wave = np.zeros(CYCLE * PACKET_MS * rate // 1000, np.float32)
    times = np.arange(BEEP_MS * rate // 1000) / rate
    for index, pitch in enumerate(PITCHES_HZ):
        first = index * EVERY * PACKET_MS * rate // 1000 + rate // 1000
        wave[first : first + len(times)] = 0.5 * np.sin(2 * np.pi * pitch * times) * np.hanning(len(times)) ** 0.25
    return wave


def found(pieces: Sequence[tuple[float, Float32]], rate: int) -> list[tuple[float, int]]:
    """(when a piece came, float32 [samples]) in order -> (when each mark came, which pitch)."""
    wave = np.concatenate([pcm for _, pcm in pieces]) if pieces else np.zeros(0, np.float32)
    ends = np.cumsum([len(pcm) for _, pcm in pieces])
    made: list[tuple[float, int]] = []
    at, length = 0, BEEP_MS * rate // 1000
    while True:
        loud = np.flatnonzero(np.abs(wave[at:]) > LOUD)
        if not len(loud) or at + loud[0] + length > len(wave):
            return made
        first = at + int(loud[0])
        beep = wave[first : first + length]
        spectrum = np.abs(np.fft.rfft(beep * np.hanning(length), 8 * length))
        pitch = float(np.argmax(spectrum)) * rate / (8 * length)
        nearest = int(np.argmin([abs(pitch - p) for p in PITCHES_HZ]))
        made.append((pieces[int(np.searchsorted(ends, first, side="right"))][0], nearest))
        at = first + 4 * length


def delays(sent: Sequence[tuple[float, int]], came: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """(when sent, which pitch) and (when it came, which pitch), seconds of one clock -> (when sent, seconds that it took)."""
    taken = []
    for time, pitch in came:
        before = [at for at, p in sent if p == pitch and at <= time]
        if before:
            taken.append((before[-1], time - before[-1]))
    return taken
