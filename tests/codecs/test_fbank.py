"""Log-mel frames against a slow float64 reference written from the recipe, and streams against the whole."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.fbank import BLOCK_FRAMES, FbankConfig, FbankState, fbank, fbank_step, mel_matrix

CFG = FbankConfig()


def noise(samples: int, loud: float = 0.1) -> np.ndarray:
    return (loud * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)


def reference(wave: np.ndarray, cfg: FbankConfig) -> np.ndarray:
    """One frame, one sample, one band at a time: 25 ms every 10 ms, pre-emphasis, Povey window, 512 bins, 80 mels."""

    def mel(hz: float) -> float:
        return 1127.0 * math.log(1.0 + hz / 700.0)

    low, high = mel(40.0), mel(7800.0)
    edges = [low + i * (high - low) / 81 for i in range(82)]
    frames = []
    for at in range(0, len(wave) - 399, 160):
        x = [float(sample) * cfg.amplitude for sample in wave[at : at + 400]]
        x = [x[0] - 0.97 * x[0]] + [x[n] - 0.97 * x[n - 1] for n in range(1, 400)]
        x = [v * (0.5 - 0.5 * math.cos(2 * math.pi * n / 399)) ** 0.85 for n, v in enumerate(x)]
        turns = np.exp(-2j * np.pi * np.outer(np.arange(256), np.arange(400)) / 512)
        power = np.abs(turns @ np.array(x)) ** 2
        bands = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k in range(256):
                m = mel(k * 16000 / 512)
                energy += power[k] * max(0.0, min((m - left) / (centre - left), (right - m) / (right - centre)))
            bands.append(math.log(max(energy, 1.19e-7)))
        frames.append(bands)
    return np.array(frames)


@pytest.mark.parametrize("amplitude", [32768.0, 32767.0])
def test_frames_equal_the_recipe_worked_by_hand(amplitude: float) -> None:
    cfg = FbankConfig(amplitude=amplitude)
    wave = noise(960)
    np.testing.assert_allclose(fbank(wave, cfg), reference(wave, cfg), atol=1e-4)


@pytest.mark.parametrize("samples, frames", [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (960, 4), (16_000, 98)])
def test_only_full_windows_count(samples: int, frames: int) -> None:
    assert fbank(noise(samples), CFG).shape == (frames, 80)
    assert CFG.frames(samples) == frames


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    band = 30
    bins = mel_matrix(CFG)[:, band]
    hz = float(bins.argmax()) * 16_000 / 512
    wave = (0.3 * np.sin(2 * np.pi * hz * np.arange(4000) / 16_000)).astype(np.float32)
    assert set(fbank(wave, CFG).argmax(1)) == {band}


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(fbank(np.zeros(400, np.float32), CFG), math.log(1.19e-7), rtol=1e-6)


def test_long_sound_is_cut_into_blocks_that_do_not_show() -> None:
    wave = noise((BLOCK_FRAMES + 3) * 160 + 240)
    at = BLOCK_FRAMES - 1
    around = fbank(wave[at * 160 : (at + 2) * 160 + 240], CFG)
    np.testing.assert_allclose(fbank(wave, CFG)[at : at + 2], around, atol=1e-5)


@given(cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_a_stream_gives_the_frames_of_the_whole(cuts: list[int]) -> None:
    wave, state, frames = noise(5000), FbankState(), []
    for piece in np.split(wave, sorted(cuts)):
        some, state = fbank_step(piece, state, CFG)
        frames.append(some)
    np.testing.assert_allclose(np.concatenate(frames), fbank(wave, CFG), atol=1e-4)
    assert len(state.tail) < 400


def test_a_state_is_a_value_from_which_two_streams_go_on() -> None:
    _, mark = fbank_step(noise(1000), FbankState(), CFG)
    first, _ = fbank_step(noise(800), mark, CFG)
    fbank_step(noise(300), mark, CFG)
    again, _ = fbank_step(noise(800), mark, CFG)
    np.testing.assert_array_equal(first, again)


def test_impossible_sizes_are_refused_with_their_numbers() -> None:
    with pytest.raises(ValueError, match="frame 600 and n_fft 512"):
        FbankConfig(frame=600)
    with pytest.raises(ValueError, match="9000"):
        FbankConfig(high_hz=9000.0)
    with pytest.raises(ValueError, match=r"\[2, 400\]"):
        fbank(np.zeros((2, 400), np.float32), CFG)
