"""Sound as bytes and as numbers, and from one sample rate to another."""

from __future__ import annotations

import av
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
    """A live stream of mono sound from one rate to another.

    FFmpeg's resampler is 1 to 2 ms late, and always. soxr, which `resample` uses, is 21 ms late on the average and up to 37; it is
    more exact above 7 kHz, where speech has little. Nothing is lost, and the pieces joined, `flush` included, do not depend on
    how the input was cut.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        if in_rate <= 0 or out_rate <= 0:
            raise ValueError(f"sample rates must be positive, got {in_rate} and {out_rate}")
        self.in_rate = in_rate
        self.out_rate = out_rate
        self._begin()

    def push(self, pcm: Float32) -> Float32:
        """float32 [n] at `in_rate` -> what is ready, float32 [m] at `out_rate`."""
        if self._stream is None or not len(pcm):
            return pcm
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(pcm))
        frame.planes[0].update(np.ascontiguousarray(pcm, np.float32).tobytes())
        frame.sample_rate = self.in_rate
        self._fresh = False
        return _joined(self._stream.resample(frame))

    def flush(self) -> Float32:
        """The rest of the stream; the next `push` begins a new one."""
        if self._stream is None or self._fresh:
            return _joined([])
        rest = _joined(self._stream.resample(None))
        self._begin()
        return rest

    def _begin(self) -> None:
        same = self.in_rate == self.out_rate
        self._stream = None if same else av.AudioResampler(format="fltp", layout="mono", rate=self.out_rate)
        self._fresh = True


def _joined(frames: list[av.AudioFrame]) -> Float32:
    """The samples of all frames [n]. A plane may be longer than its frame."""
    pieces = [np.frombuffer(memoryview(frame.planes[0]), np.float32, frame.samples) for frame in frames]
    return pieces[0].copy() if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])


def resample(pcm: Float32, in_rate: int, out_rate: int) -> Float32:
    """The whole of float32 [n] at `in_rate` as float32 [about n * out_rate / in_rate] at `out_rate`.

    Raises:
        ValueError: a rate is not positive.
    """
    if in_rate <= 0 or out_rate <= 0:
        raise ValueError(f"sample rates must be positive, got {in_rate} and {out_rate}")
    return pcm if in_rate == out_rate else np.asarray(soxr.resample(pcm, in_rate, out_rate), np.float32)
