"""Sound as bytes and as numbers, and from one sample rate to another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

Float32 = npt.NDArray[np.float32]

PCM16_SCALE = 32768.0
"""What 1.0 is in 16-bit samples; the largest one is 32767."""


def pcm16_to_float(data: bytes) -> Float32:
    """16-bit little-endian mono samples -> float32 [n] in -1..1.

    Raises:
        ValueError: an odd number of bytes.
    """
    if len(data) % 2:
        raise ValueError(f"16-bit samples come in pairs of bytes, got {len(data)} bytes")
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(PCM16_SCALE)


def float_to_pcm16(pcm: npt.NDArray[np.floating]) -> bytes:
    """Float [n] -> 16-bit little-endian mono samples, rounded; what lies outside -1..1 is clipped."""
    samples: npt.NDArray[np.int16] = np.clip(np.rint(pcm * PCM16_SCALE), -PCM16_SCALE, PCM16_SCALE - 1).astype("<i2")
    return samples.tobytes()


class Resampler:
    """A stream of mono sound from one rate to another.

    The filter needs to see a little of the future, so the output comes some milliseconds late; nothing is lost, and the
    pieces joined, `flush` included, do not depend on how the input was cut.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        if in_rate <= 0 or out_rate <= 0:
            raise ValueError(f"sample rates must be positive, got {in_rate} and {out_rate}")
        self.in_rate = in_rate
        self.out_rate = out_rate
        self._stream = None if in_rate == out_rate else soxr.ResampleStream(in_rate, out_rate, 1, dtype="float32")

    def push(self, pcm: Float32) -> Float32:
        """float32 [n] at `in_rate` -> what is ready, float32 [m] at `out_rate`."""
        return self._run(pcm, last=False)

    def flush(self) -> Float32:
        """The rest of the stream; the next `push` begins a new one."""
        rest = self._run(np.zeros(0, dtype=np.float32), last=True)
        if self._stream is not None:
            self._stream.clear()
        return rest

    def _run(self, pcm: Float32, last: bool) -> Float32:
        if self._stream is None:
            return pcm
        return np.asarray(self._stream.resample_chunk(pcm, last=last), dtype=np.float32)


def resample(pcm: Float32, in_rate: int, out_rate: int) -> Float32:
    """The whole of float32 [n] at `in_rate` as float32 [about n * out_rate / in_rate] at `out_rate`.

    Raises:
        ValueError: a rate is not positive.
    """
    stream = Resampler(in_rate, out_rate)
    return np.concatenate([stream.push(pcm), stream.flush()])
