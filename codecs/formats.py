"""The sound formats of the wire, in the words of the OpenAI Realtime API: bytes to samples and back, at any rate.

audio/pcm    24 kHz, 16-bit little-endian
audio/pcmu    8 kHz, G.711 mu-law
audio/pcma    8 kHz, G.711 A-law
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vivavoce.codecs import g711
from vivavoce.codecs.media import WIRE_RATES
from vivavoce.codecs.pcm import Float32, Resampler, float_to_pcm16, pcm16_to_float


@dataclass(frozen=True)
class Format:
    """One of the formats above. `law` is None for plain 16-bit samples."""

    name: str
    rate: int
    """Hz"""
    law: g711.Law | None = None

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.law is None else 1

    def unpack(self, data: bytes) -> Float32:
        """Bytes -> float32 [n] in -1..1 at `rate`.

        Raises:
            ValueError: half a sample.
        """
        if self.law is None:
            return pcm16_to_float(data)
        return pcm16_to_float(g711.decode(data, self.law).astype("<i2").tobytes())

    def pack(self, pcm: Float32) -> bytes:
        """float32 [n] at `rate` -> bytes; what lies outside -1..1 is clipped."""
        pcm16 = float_to_pcm16(pcm)
        return pcm16 if self.law is None else g711.encode(np.frombuffer(pcm16, "<i2"), self.law)


FORMATS = {
    known.name: known
    for known in (
        Format("audio/pcm", WIRE_RATES["audio/pcm"]),
        Format("audio/pcmu", WIRE_RATES["audio/pcmu"], "mu"),
        Format("audio/pcma", WIRE_RATES["audio/pcma"], "A"),
    )
}
"""By name."""


class Decoder:
    """A stream of bytes becomes samples at `rate`; how the stream is cut makes no difference.

    Raises:
        KeyError: a format that is none of `FORMATS`.
    """

    def __init__(self, name: str, rate: int) -> None:
        self.format = FORMATS[name]
        self._resampler = Resampler(self.format.rate, rate)

    def push(self, data: bytes) -> Float32:
        """Whole samples -> what is ready. Raises ValueError for half a sample."""
        return self._resampler.push(self.format.unpack(data))

    def flush(self) -> Float32:
        """The rest of the stream; the next `push` begins a new one."""
        return self._resampler.flush()


class Encoder:
    """A stream of samples at `rate` becomes bytes; how the stream is cut makes no difference.

    Raises:
        KeyError: a format that is none of `FORMATS`.
    """

    def __init__(self, name: str, rate: int) -> None:
        self.format = FORMATS[name]
        self._resampler = Resampler(rate, self.format.rate)

    def push(self, pcm: Float32) -> bytes:
        """float32 [n] -> the bytes that are ready."""
        return self.format.pack(self._resampler.push(pcm))

    def flush(self) -> bytes:
        """The rest of the stream; the next `push` begins a new one."""
        return self.format.pack(self._resampler.flush())
