"""Sound with known edges, and conversations made of it."""

import numpy as np

from vivavoce.realtime.server.bench.script import Clip, Said
from vivavoce.realtime.server.bench.sound import Float32, samples
from vivavoce.realtime.server.bench.take import Take, Told


def voice(milliseconds: float) -> Float32:
    """As loud as a voice, from its first sample to its last."""
    times = np.arange(samples(milliseconds))
    return (0.2 * np.sign(np.sin(2 * np.pi * times / 120)) + 0.01).astype(np.float32)


def silence(milliseconds: float) -> Float32:
    return np.zeros(samples(milliseconds), np.float32)


def sounding(length_ms: float, *spans: tuple[float, float]) -> Float32:
    """A voice in each span, silence elsewhere; ms."""
    pcm = silence(length_ms)
    for first, behind in spans:
        pcm[samples(first) : samples(behind)] = voice(behind - first)[: samples(behind) - samples(first)]
    return pcm


def clip(*parts_ms: float, kind: str = "question") -> Clip:
    """Voice, pause, voice, ..."""
    pcm, speech = silence(0), []
    for n, length in enumerate(parts_ms):
        if n % 2 == 0:
            speech.append((len(pcm), len(pcm) + samples(length)))
        pcm = np.concatenate([pcm, voice(length) if n % 2 == 0 else silence(length)])
    return Clip(f"{kind} of {parts_ms}", kind, pcm, tuple(speech))


def said(at_ms: float, *parts_ms: float, kind: str = "question", turn: int = 0) -> Said:
    return Said(turn, samples(at_ms), clip(*parts_ms, kind=kind))


def told(at_ms: float, kind: str, **fields: object) -> Told:
    return Told(samples(at_ms), {"type": kind, **fields})


def take(length_ms: float, heard: list[tuple[float, float]], *what: Said, **fields: object) -> Take:
    """A conversation of so many ms, in which the loudspeaker sounds in these spans."""
    return Take(silence(length_ms), sounding(length_ms, *heard), what, **fields)  # type: ignore[arg-type]
