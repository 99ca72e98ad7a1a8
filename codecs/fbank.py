"""Waveform to log-mel frames, whole or as it arrives: what the ear of the model and the speech tokeniser read.

The order is fbank, then mean and variance (`cmvn.py`), then splicing (`splice.py`). Frames are 25 ms every 10 ms; no
padding at either end, so only windows that are full count. The recipe is Kaldi's with a Povey window, without removal
of the mean and without dither.

Source: Povey et al., "The Kaldi speech recognition toolkit" (2011), `feature-window.cc` and `mel-computations.cc`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vivavoce.codecs.cmvn import Cmvn as Cmvn
from vivavoce.codecs.cmvn import read_cmvn as read_cmvn
from vivavoce.codecs.cmvn import write_cmvn as write_cmvn
from vivavoce.codecs.splice import SpliceState as SpliceState
from vivavoce.codecs.splice import splice as splice
from vivavoce.codecs.splice import splice_flush as splice_flush
from vivavoce.codecs.splice import splice_step as splice_step

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCK_FRAMES = 4096
"""Frames transformed at once: bounds the memory that an hour of sound needs (4096 frames are 41 s, about 40 MB)."""


@dataclass(frozen=True)
class FbankConfig:
    """How a waveform becomes log-mel frames. The defaults are the Omni audio encoder's.

    Raises:
        ValueError: the window does not fit the transform, the hop exceeds the window, or the mel range is empty.
    """

    sample_rate: int = 16_000
    """Hz."""

    n_mels: int = 80
    """Mel bands, the width of a frame."""

    frame: int = 400
    """Samples in a window: 25 ms."""

    hop: int = 160
    """Samples from one window to the next: 10 ms."""

    n_fft: int = 512
    """Samples transformed; windows are padded with zeros on the right."""

    preemphasis: float = 0.97
    """p in x[n] - p x[n-1], inside each window; its first sample counts as its own past."""

    low_hz: float = 40.0
    """Lower edge of the first band."""

    high_hz: float = -200.0
    """Upper edge of the last band; zero or negative counts from half the sample rate (-200 is 7800 Hz)."""

    amplitude: float = 32768.0
    """What 1.0 is multiplied by: 32768 for the audio encoder, 32767 for the codec's semantic encoder."""

    floor: float = 1.19e-7
    """Smallest band energy before the logarithm."""

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.frame <= self.n_fft:
            raise ValueError(
                f"need 0 < hop <= frame <= n_fft, got hop {self.hop}, frame {self.frame} and n_fft {self.n_fft}"
            )
        if not 0 <= self.low_hz < self.top_hz <= self.sample_rate / 2:
            raise ValueError(
                f"bands must lie in 0..{self.sample_rate / 2} Hz in rising order, got {self.low_hz} to {self.top_hz}"
            )

    @property
    def top_hz(self) -> float:
        """Upper edge of the last band in Hz, resolved."""
        return self.high_hz if self.high_hz > 0 else self.sample_rate / 2 + self.high_hz

    def frames(self, samples: int) -> int:
        """Full windows in `samples` samples: (N - frame) // hop + 1, and 0 under one window."""
        return max(0, (samples - self.frame) // self.hop + 1)


SEMANTIC_FBANK = FbankConfig(amplitude=32767.0)
"""The codec's semantic encoder differs from the audio encoder by the amplitude."""


@lru_cache(maxsize=8)
def povey_window(length: int) -> Float64:
    """[length]: a symmetric Hann window to the power 0.85."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    return np.asarray(hann**0.85, dtype=np.float64)


def hz_to_mel(hz: npt.NDArray[np.floating] | float) -> Float64:
    """Kaldi's mel scale: 1127 ln(1 + f / 700)."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0), dtype=np.float64)


@lru_cache(maxsize=8)
def mel_matrix(cfg: FbankConfig) -> Float64:
    """[n_fft / 2 + 1, n_mels]: triangles equally wide in mel; the last bin (half the sample rate) weighs nothing."""
    low, high = hz_to_mel(cfg.low_hz), hz_to_mel(cfg.top_hz)
    width = (high - low) / (cfg.n_mels + 1)
    left = low + width * np.arange(cfg.n_mels)
    bins = hz_to_mel(np.arange(cfg.n_fft // 2, dtype=np.float64) * (cfg.sample_rate / cfg.n_fft))[:, None]
    triangles = np.minimum((bins - left) / width, (left + 2 * width - bins) / width)
    weights = np.zeros((cfg.n_fft // 2 + 1, cfg.n_mels))
    weights[:-1] = np.maximum(triangles, 0.0)
    return weights


def fbank(wave: npt.NDArray[np.floating], cfg: FbankConfig) -> Float32:
    """float [N] in -1..1 -> float32 [F, n_mels], F = `cfg.frames(N)`.

    Raises:
        ValueError: the waveform is not one-dimensional.
    """
    if wave.ndim != 1:
        raise ValueError(f"fbank takes [samples], got {list(wave.shape)}")
    count = cfg.frames(len(wave))
    out = np.empty((count, cfg.n_mels), dtype=np.float32)
    for start in range(0, count, BLOCK_FRAMES):
        stop = min(count, start + BLOCK_FRAMES)
        samples = wave[start * cfg.hop : (stop - 1) * cfg.hop + cfg.frame]
        out[start:stop] = _log_mel(samples.astype(np.float64) * cfg.amplitude, cfg)
    return out


def _log_mel(samples: Float64, cfg: FbankConfig) -> Float64:
    """[n] -> [F, n_mels]; in float64, so that a frame does not depend on its neighbours in the block."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, cfg.frame)[:: cfg.hop]
    emphasised = np.empty(windows.shape)
    np.multiply(windows[:, :-1], -cfg.preemphasis, out=emphasised[:, 1:])
    emphasised[:, 1:] += windows[:, 1:]
    emphasised[:, 0] = windows[:, 0] * (1.0 - cfg.preemphasis)
    emphasised *= povey_window(cfg.frame)
    spectrum = np.fft.rfft(emphasised, cfg.n_fft)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.asarray(np.log(np.maximum(power @ mel_matrix(cfg), cfg.floor)), dtype=np.float64)


def _silence() -> Float32:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class FbankState:
    """What a stream remembers between calls: the samples that the next window still needs."""

    tail: Float32 = field(default_factory=_silence)
    """float32 [0..frame-1]."""


def fbank_step(wave: npt.NDArray[np.floating], state: FbankState, cfg: FbankConfig) -> tuple[Float32, FbankState]:
    """float [n] -> float32 [k, n_mels] and the next state: every window that these samples complete.

    Joined, the frames of a stream equal `fbank` of the whole. There is nothing to flush: an unfilled window is dropped.
    """
    samples = np.concatenate([state.tail, wave.astype(np.float32)])
    frames = fbank(samples, cfg)
    return frames, FbankState(samples[len(frames) * cfg.hop :].copy())
