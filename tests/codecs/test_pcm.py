"""Bytes to numbers and back; one sample rate to another, whole or in pieces."""

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.pcm import Resampler, float_to_pcm16, pcm16_to_float, resample


def tone(hz: float, rate: int, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_samples_survive_the_round_trip(data: bytes) -> None:
    assert float_to_pcm16(pcm16_to_float(data)) == data


def test_the_scale_is_two_to_the_fifteenth() -> None:
    assert pcm16_to_float(b"\x00\x80\x00\x40\xff\x7f").tolist() == [-1.0, 0.5, 32767 / 32768]


def test_too_loud_is_clipped_and_does_not_wrap() -> None:
    assert float_to_pcm16(np.array([1.0, 7.0, -7.0], np.float32)) == b"\xff\x7f\xff\x7f\x00\x80"


def test_half_a_sample_is_an_error_that_says_how_many_bytes() -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        pcm16_to_float(bytes(7))


@pytest.mark.parametrize("rates", [(24_000, 16_000), (16_000, 24_000), (48_000, 16_000), (16_000, 16_000)])
def test_a_tone_stays_the_same_tone(rates: tuple[int, int]) -> None:
    heard = resample(tone(440, rates[0], 0.5), *rates)
    assert len(heard) == rates[1] // 2
    middle = slice(rates[1] // 10, -rates[1] // 10)
    np.testing.assert_allclose(heard[middle], tone(440, rates[1], 0.5)[middle], atol=2e-3)


@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_pieces_joined_equal_the_whole(cuts: list[int]) -> None:
    wave = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    stream = Resampler(24_000, 16_000)
    pieces = [stream.push(piece) for piece in np.split(wave, sorted(cuts))]
    joined = np.concatenate([*pieces, stream.flush()])
    np.testing.assert_allclose(joined, soxr.resample(wave, 24_000, 16_000), atol=1e-4)


def test_after_a_flush_the_stream_begins_anew() -> None:
    wave = tone(300, 24_000, 0.1)
    stream = Resampler(24_000, 16_000)
    first, second = (np.concatenate([stream.push(wave), stream.flush()]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="24000 and 0"):
        Resampler(24_000, 0)
