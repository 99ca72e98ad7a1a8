"""What happens to a voice between a mouth and the model: rooms, noise, cheap microphones, telephone lines.

Waveforms are float32 [samples] at 16 kHz in and out. All randomness comes from the generator handed in.
"""

from __future__ import annotations

import numpy as np
import soxr

RATE = 16_000


def room(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small room: decaying noise as impulse response, 80 to 350 ms of reverberation, mostly direct sound."""
    length = int(rng.uniform(0.08, 0.35) * RATE)
    response = rng.normal(0, 1, length) * np.exp(-6.9 * np.arange(length) / length)
    response *= rng.uniform(0.05, 0.45) / max(1e-9, float(np.sqrt((response**2).sum())))
    response[0] = 1.0
    size = 1 << (len(wave) + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(response, size), size)
    return wet[: len(wave)].astype(np.float32)


def coloured_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose spectrum falls by a random power of frequency (0 white, 1 pink, 2 brown), sometimes with mains hum."""
    spectrum = np.fft.rfft(rng.normal(0, 1, samples))
    spectrum *= np.maximum(np.arange(len(spectrum)), 8) ** (-rng.uniform(0, 2) / 2)
    noise = np.fft.irfft(spectrum, samples)
    if rng.random() < 0.15:
        t = np.arange(samples) / RATE
        noise += noise.std() * rng.uniform(0.5, 2) * np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * t)
    return (noise / max(1e-9, float(noise.std()))).astype(np.float32)


def add_noise(wave: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    level = float(np.sqrt(np.mean(wave**2))) * 10 ** (-snr_db / 20)
    return (wave + level * coloured_noise(len(wave), rng)).astype(np.float32)


def telephone(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """8 kHz and mu-law."""
    narrow = soxr.resample(wave, RATE, RATE // 2)
    narrow = np.sign(narrow) * np.log1p(255 * np.abs(narrow).clip(0, 1)) / np.log(256)
    narrow = np.round(narrow * 127) / 127
    narrow = np.sign(narrow) * (256 ** np.abs(narrow) - 1) / 255
    return np.asarray(soxr.resample(narrow.astype(np.float32), RATE // 2, RATE), np.float32)


def filtered(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A microphone's own colour: a smooth random curve of up to 8 dB over frequency."""
    spectrum = np.fft.rfft(wave)
    knots = rng.uniform(-8, 8, 7)
    curve = np.interp(np.linspace(0, 6, len(spectrum)), np.arange(7), knots)
    return np.fft.irfft(spectrum * 10 ** (curve / 20), len(wave)).astype(np.float32)


def warped(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Read up to 12 % faster or slower: pitch, formants and speed move together."""
    return np.asarray(soxr.resample(wave, RATE, RATE * rng.uniform(0.88, 1.12)), np.float32)


def with_silence(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What voice activity detection hands over: 100 to 450 ms before the words and 120 to 400 ms after them."""
    before, after = int(rng.uniform(0.10, 0.45) * RATE), int(rng.uniform(0.12, 0.40) * RATE)
    return np.pad(wave, (before, after)).astype(np.float32)


def degrade(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random mixture of everything above, between clean and hard; the length may change."""
    if rng.random() < 0.5:
        wave = warped(wave, rng)
    wave = with_silence(wave, rng)
    if rng.random() < 0.4:
        wave = filtered(wave, rng)
    if rng.random() < 0.35:
        wave = room(wave, rng)
    wave = add_noise(wave, rng.uniform(8, 30) if rng.random() < 0.55 else rng.uniform(35, 60), rng)
    if rng.random() < 0.1:
        wave = telephone(wave, rng)
    wave = wave / max(1e-6, float(np.abs(wave).max())) * 10 ** (rng.uniform(-22, 0) / 20)
    if rng.random() < 0.08:
        wave = np.clip(wave * 3, -0.9, 0.9)
    return wave.astype(np.float32)
