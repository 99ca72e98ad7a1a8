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


RATES = [(24_000, 16_000), (8_000, 16_000), (24_000, 8_000)]
"""Of the wire: a microphone's PCM and telephone sound inwards, telephone sound outwards."""


@pytest.mark.parametrize("rates", RATES)
@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_pieces_joined_equal_the_whole(rates: tuple[int, int], cuts: list[int]) -> None:
    wave = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    stream, whole = Resampler(*rates), Resampler(*rates)
    pieces = [stream.push(piece) for piece in np.split(wave, sorted(cuts))]
    joined = np.concatenate([*pieces, stream.flush()])
    np.testing.assert_array_equal(joined, np.concatenate([whole.push(wave), whole.flush()]))
    assert len(joined) == pytest.approx(4000 * rates[1] / rates[0], abs=1)


@pytest.mark.parametrize("rates", RATES)
def test_a_live_stream_is_what_soxr_makes_of_the_whole_and_two_milliseconds_late_at_most(
    rates: tuple[int, int],
) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(rates[0] // 2))
    spectrum[np.fft.rfftfreq(rates[0] // 2, 1 / rates[0]) > 3_400] = 0  # the band of a telephone
    wave = 0.1 * np.fft.irfft(spectrum).astype(np.float32)
    stream, made, late_ms = Resampler(*rates), 0, []
    pieces = []
    for end in range(160, len(wave) + 1, 160):
        pieces.append(stream.push(wave[end - 160 : end]))
        made += len(pieces[-1])
        late_ms.append(1000 * (end / rates[0] - made / rates[1]))
    joined = np.concatenate([*pieces, stream.flush()])
    middle = slice(rates[1] // 20, -rates[1] // 20)
    whole = soxr.resample(wave, *rates)
    np.testing.assert_allclose(joined[: len(whole)][middle], whole[: len(joined)][middle], atol=5e-4)
    assert max(late_ms) < 2.2


def test_after_a_flush_the_stream_begins_anew() -> None:
    wave = tone(300, 24_000, 0.1)
    stream = Resampler(24_000, 16_000)
    first, second = (np.concatenate([stream.push(wave), stream.flush()]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="24000 and 0"):
        Resampler(24_000, 0)
