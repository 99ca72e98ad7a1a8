"""Where in a signal somebody can be heard: pure, float32 [samples] at `RATE_HZ` in, sample positions out.

A reply's first audible sample is found by its loudness in windows of 2.5 ms, not by a speech detector: silero judges windows of
32 ms, and is sure of a voice some of them after it began (`tests/realtime/server/bench/test_sound.py` measures both).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vivavoce.realtime.config import OUTPUT_RATE_HZ

Float32 = npt.NDArray[np.float32]
Span = tuple[int, int]
"""First sample, and the one behind the last."""

RATE_HZ = OUTPUT_RATE_HZ
"""Of everything here: samples of the media clock."""
TICK = RATE_HZ // 50
"""A microphone's packet: 20 ms."""
STEP = RATE_HZ // 400
"""2.5 ms, of which the loudness is taken, from each sample on: where an edge is found must not depend on where the tape begins.
(With a step every 0.6 ms it did, by up to 4.3 ms where a voice swells: one step is just above the bar, none of another grid
is, and the swell reaches it for good some steps later.)"""
BLOCK = RATE_HZ
"""Samples that are summed up at a time."""
FLOOR_DB = -50.0
"""Loudness (RMS of a step, of full scale) below which nobody hears anything ..."""
BELOW_LOUD_DB = 40.0
"""... and nothing is heard that is so much softer than the loudest of the same signal."""


def ms(samples: float) -> float:
    """Samples of the media clock -> milliseconds, to a hundredth."""
    return round(samples * 1000 / RATE_HZ, 2)


def samples(milliseconds: float) -> int:
    """Milliseconds -> samples of the media clock."""
    return round(milliseconds * RATE_HZ / 1000)


def power(pcm: Float32) -> Float32:
    """Mean square of the `STEP` that begins with each sample, float32 [samples]; behind the end it is silent."""
    made = np.empty(len(pcm), np.float32)
    for at in range(0, len(pcm), BLOCK):
        piece, block = np.asarray(pcm[at : at + BLOCK + STEP], np.float64), made[at : at + BLOCK]
        sums = np.cumsum(np.concatenate([[0.0], piece * piece, np.zeros(len(block) + STEP - len(piece))]))
        block[:] = (sums[STEP:] - sums[:-STEP])[: len(block)] / STEP
    return made


def audible(pcm: Float32, gap_ms: float = 0.0) -> list[Span]:
    """Where it can be heard, in order; pauses of up to `gap_ms` are passed over."""
    if not len(pcm):
        return []
    loud = power(pcm)
    threshold = max(10 ** (FLOOR_DB / 10), float(loud.max()) * 10 ** (-BELOW_LOUD_DB / 10))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud > threshold, [False]]).astype(np.int8)))
    spans = [(int(a), min(int(b) - 1 + STEP, len(pcm))) for a, b in edges.reshape(-1, 2)]
    drawn = [drawn_in(pcm, span, threshold**0.5) for span in spans]
    return merged(merged(drawn, 0), samples(gap_ms))


def drawn_in(pcm: Float32, span: Span, amplitude: float) -> Span:
    """A span of loud steps, without the samples of its first and its last step that are softer than `amplitude`."""
    first, behind = span
    loud = np.flatnonzero(np.abs(pcm[first : first + STEP]) >= amplitude)
    last = max(first, behind - STEP)
    loud_last = np.flatnonzero(np.abs(pcm[last:behind]) >= amplitude)
    return first + int(loud[0]), last + int(loud_last[-1]) + 1


def merged(spans: list[Span], gap: int) -> list[Span]:
    """Spans in order -> those with at most `gap` samples between them made one."""
    joined: list[Span] = []
    for first, behind in spans:
        if joined and first - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(behind, joined[-1][1]))
        else:
            joined.append((first, behind))
    return joined


def first_from(spans: list[Span], at: int) -> int | None:
    """The first audible sample at or after `at`; `at` itself in the middle of a span."""
    return next((max(first, at) for first, behind in spans if behind > at), None)


def is_audible(spans: list[Span], at: int) -> bool:
    """Whether `at` lies in a span."""
    return any(first <= at < behind for first, behind in spans)


def heard_samples(spans: list[Span], first: int, behind: int) -> int:
    """How many samples of [first, behind) lie in spans."""
    return sum(max(0, min(end, behind) - max(begin, first)) for begin, end in spans)
