"""How something is spoken, as numbers: what is left of a style when a voice has gone through the codec."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW_S, HOP_S = 0.04, 0.01
LOWEST_HZ, HIGHEST_HZ = 90.0, 480.0
VOICED = 0.6
"""Least autocorrelation of a frame that is taken for voice."""
LOUD_ENOUGH = 0.05
"""Of the loudest frame: quieter ones are no speech."""
TOLD_BY = {"slow": "seconds", "fast": "seconds", "loud": "level_db", "quiet": "level_db", "cheerful": "pitch_hz"}
"""What of `Prosody` each style is heard by."""
HALF_WAY = 0.5
"""From the usual voice to the styled one: what is nearer to the latter is spoken in that style."""


@dataclass(frozen=True)
class Prosody:
    """Of one recording."""

    seconds: float
    """From its first sound to its last."""
    level_db: float
    """Root mean square of what is speech, beside full scale."""
    pitch_hz: float
    """Median; 0 without any voice."""
    lively: float
    """Octaves between the tenth and the ninetieth percentile of pitch."""


def measure(wave: np.ndarray, rate: int) -> Prosody:
    """Of float32 [samples]; silence is all zeros."""
    size, hop = int(WINDOW_S * rate), int(HOP_S * rate)
    if len(wave) < 2 * size or not wave.any():
        return Prosody(0.0, -120.0, 0.0, 0.0)
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(wave, np.float64), size)[::hop]
    power = (frames**2).mean(1)
    speech = np.flatnonzero(np.sqrt(power) > LOUD_ENOUGH * np.sqrt(power.max()))
    pitches = _pitches(frames[speech], rate)
    octaves = np.log2(pitches) if len(pitches) else np.zeros(1)
    low, middle, high = np.percentile(octaves, [10, 50, 90])
    seconds = (speech[-1] - speech[0]) * HOP_S + WINDOW_S
    level = 10 * np.log10(power[speech].mean())
    return Prosody(float(seconds), float(level), float(2**middle) if len(pitches) else 0.0, float(high - low))


def is_in_style(style: str, made: Prosody, usual: Prosody, styled: Prosody) -> bool:
    """Whether what was made is nearer to a recording of the same words in the style than to one as usual."""
    name = TOLD_BY[style]
    at, begin, end = (getattr(prosody, name) for prosody in (made, usual, styled))
    return bool((at - begin) / (end - begin) > HALF_WAY)


def _pitches(frames: np.ndarray, rate: int) -> np.ndarray:
    """Hz of the frames [n, size] that have a voice, by the peak of their autocorrelation."""
    size = frames.shape[1]
    spectrum = np.fft.rfft((frames - frames.mean(1, keepdims=True)) * np.hanning(size), 2 * size)
    alike = np.fft.irfft(np.abs(spectrum) ** 2)[:, :size]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2 * size)) ** 2)[:size]
    alike = alike / np.maximum(alike[:, :1], 1e-12) / np.maximum(window / window[0], 1e-3)
    shortest, longest = int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ)
    near = alike[:, shortest : longest + 1]
    best = near.max(1)
    # The first peak that is nearly as high: a period, and not two of them.
    first = (near > 0.9 * best[:, None]).argmax(1)
    peak = np.array([row[at : at + shortest].argmax() + at for row, at in zip(near, first, strict=True)], int)
    return rate / (peak[best > VOICED] + shortest)
