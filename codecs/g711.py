"""Telephone sound: ITU-T G.711 mu-law and A-law, one byte a sample.

Both laws are logarithmic: a sign, a segment of 3 bits and a step of 4 bits within it. The two tables of each law are
computed here from the Recommendation's definition: 256 bytes to 16-bit samples, and 65536 samples to bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Law = Literal["mu", "A"]
Int16 = npt.NDArray[np.int16]

MU_BIAS = 33
"""Added to a mu-law magnitude of 13 bits, so that every segment begins at a power of two."""
MU_CLIP = 0x1FFF
"""The largest biased mu-law magnitude."""
A_CLIP = 0x7FF
"""The largest A-law magnitude, 11 bits."""
A_TOGGLE = 0x55
"""A-law sends every other bit inverted."""


def decode(data: bytes, law: Law) -> Int16:
    """One byte a sample -> int16 [n]."""
    return samples(law)[np.frombuffer(data, np.uint8)]


def encode(pcm: Int16, law: Law) -> bytes:
    """int16 [n] -> one byte a sample."""
    return codes(law)[pcm.astype(np.int16).view(np.uint16)].tobytes()


@cache
def samples(law: Law) -> Int16:
    """int16 [256]: what each byte means, scaled to 16 bits."""
    byte = np.arange(256)
    if law == "mu":
        sent = ~byte & 0xFF
        segment, step = sent >> 4 & 7, sent & 15
        magnitude = ((step * 2 + MU_BIAS) << segment) - MU_BIAS
        return (np.where(sent & 0x80, -magnitude, magnitude) * 4).astype(np.int16)
    sent = byte ^ A_TOGGLE
    segment, step = sent >> 4 & 7, sent & 15
    magnitude = np.where(segment == 0, step * 2 + 1, (step * 2 + MU_BIAS) << np.maximum(segment - 1, 0))
    return (np.where(sent & 0x80, magnitude, -magnitude) * 8).astype(np.int16)


@cache
def codes(law: Law) -> npt.NDArray[np.uint8]:
    """uint8 [65536]: the byte for each 16-bit sample, found by its bits read as unsigned."""
    pcm = np.arange(65_536).astype(np.uint16).view(np.int16).astype(np.int32)
    negative = pcm < 0
    magnitude = np.abs(pcm)
    if law == "mu":
        biased = np.minimum((magnitude >> 2) + MU_BIAS, MU_CLIP)
        segment = highest_bit(biased) - 5
        sent = segment << 4 | biased >> (segment + 1) & 15
        return (~(sent | negative << 7) & 0xFF).astype(np.uint8)
    clipped = np.minimum(magnitude >> 4, A_CLIP)
    segment = np.maximum(highest_bit(clipped) - 3, 0)
    sent = segment << 4 | clipped >> np.maximum(segment - 1, 0) & 15
    return ((sent | ~negative << 7) & 0xFF ^ A_TOGGLE).astype(np.uint8)


def highest_bit(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The place of each value's highest set bit, 0 for the lowest; 0 for values below 2."""
    return np.floor(np.log2(np.maximum(values, 1))).astype(np.int32)
