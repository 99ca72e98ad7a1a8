"""Whether sound has edges where its chunks are joined: what a listener would hear as clicks, sixteen times a second.

A chunk is a speech frame of 60 ms. Two figures are taken of 24 places in every chunk, the first of which is its edge: the energy
of a short high-passed piece around it, where a click would be, and how much the spectrum changes across it. Both are in decibels
beside the mean of the places around, so that nothing depends on whether speech grows louder or fades. Edges cannot be told from
other places if they are off by no more than other places are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

CHUNK = 1440
"""Samples of one, at 24 kHz."""
PLACES = 24
"""In a chunk, 2.5 ms apart."""
STEP = CHUNK // PLACES
CLICK = 12
"""Samples on either side in which a click would be, 0.5 ms."""
WINDOW = 120
"""Samples on either side whose spectra are compared, 5 ms."""
QUIET = 1e-3
"""Root mean square of a pause."""


def profile(waves: Iterable[np.ndarray]) -> np.ndarray:
    """float32 [samples] each, chunks from the first sample on -> [chunks, 2, 24], dB beside the places around."""
    found = [row for wave in waves for row in _chunks(wave)]
    return np.array(found).reshape(-1, 2, PLACES)


def _chunks(wave: np.ndarray) -> Iterable[np.ndarray]:
    moments = np.arange(STEP * (WINDOW // STEP + 1), len(wave) - WINDOW, STEP)
    if len(moments) < 3 * PLACES:
        return
    high = np.diff(wave.astype(np.float64), 2, prepend=[0.0, 0.0]) ** 2
    around = np.add.outer(moments, np.arange(-CLICK, CLICK))
    figures = np.stack([10 * np.log10(high[around].sum(1) + 1e-12), _flux(wave, moments)])
    # A straight line would be its own mean: what swells or fades steadily stands out nowhere.
    mean = np.stack([np.convolve(row, np.full(PLACES + 1, 1 / (PLACES + 1)), "valid") for row in figures])
    half = PLACES // 2
    beside, at = figures[:, half:-half] - mean, moments[half:-half]
    first = int(np.argmax(at % CHUNK == 0))
    for start in range(first, len(at) - PLACES + 1, PLACES):
        piece = wave[at[start] - WINDOW : at[start] + CHUNK]
        if np.sqrt(np.mean(piece**2)) > QUIET:
            yield beside[:, start : start + PLACES]


def _flux(wave: np.ndarray, moments: np.ndarray) -> np.ndarray:
    window = np.hanning(WINDOW)
    before, after = (
        np.abs(np.fft.rfft(wave[np.add.outer(moments, np.arange(*span))] * window))
        for span in ((-WINDOW, 0), (0, WINDOW))
    )
    return 20 * np.log10(np.abs(np.log(after + 1e-4) - np.log(before + 1e-4)).mean(1) + 1e-6)  # type: ignore[no-any-return]


def standing_out(waves: Iterable[np.ndarray]) -> dict[str, float]:
    """Of both figures, by how many dB edges are off, beside what the other places are off (one standard deviation)."""
    found = profile(waves)
    if not len(found):
        return {"chunks": 0}
    off = found.mean(0)
    told: dict[str, float] = {"chunks": len(found)}
    for name, (edge, *others) in zip(("energy", "spectral flux"), off.tolist(), strict=True):
        told |= {f"{name} at edges, dB": round(edge, 2), f"{name} elsewhere, dB": round(float(np.std(others)), 2)}
    return told
