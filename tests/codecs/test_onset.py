"""An answer begins where it can be heard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.media import SPEAK_RATE
from vivavoce.codecs.onset import LONGEST, STEP, Onset

MS = SPEAK_RATE // 1000
RNG = np.random.default_rng(1)


def noise(ms: float, db: float) -> np.ndarray:
    """float32 [ms * 24] of white noise."""
    return (RNG.standard_normal(round(ms * MS)) * 10 ** (db / 20)).astype(np.float32)


def begun(sound: np.ndarray) -> tuple[np.ndarray, Onset]:
    return Onset().push(sound)


def test_silence_before_the_first_word_is_left_out():
    sound = np.concatenate([noise(33, -62), noise(200, -25)])
    heard, onset = begun(sound)
    assert onset.begun and len(heard) + onset.dropped == len(sound)
    assert onset.dropped == pytest.approx(33 * MS, abs=STEP)
    assert np.array_equal(heard, sound[onset.dropped :])


def test_a_tick_where_the_decoder_begins_is_no_word():
    heard, onset = begun(np.concatenate([noise(1.5, -45), noise(18, -60), noise(100, -25)]))
    assert onset.dropped == pytest.approx(19.5 * MS, abs=STEP)


def test_a_soft_sound_is_a_word_already():
    _, onset = begun(np.concatenate([noise(20, -62), noise(60, -46), noise(100, -20)]))
    assert onset.dropped == pytest.approx(20 * MS, abs=STEP)


def test_what_begins_at_once_is_whole():
    sound = noise(60, -20)
    heard, onset = begun(sound)
    assert onset.dropped == 0 and np.array_equal(heard, sound)


def test_a_long_silence_is_meant():
    sound = np.concatenate([np.zeros(20 * LONGEST, np.float32), noise(60, -20)])
    heard, onset = begun(sound)
    assert onset.dropped == LONGEST and len(heard) == len(sound) - LONGEST


@given(st.integers(0, 300), st.lists(st.integers(1, 3000), max_size=30))
def test_in_pieces_it_is_as_in_one(quiet_ms: int, sizes: list[int]):
    sound = np.concatenate([noise(1, -45), noise(quiet_ms, -60), noise(80, -30)])
    whole, at_once = begun(sound)
    onset, heard, at = Onset(), [], 0
    for size in [*sizes, len(sound)]:
        piece, onset = onset.push(sound[at : at + size])
        heard.append(piece)
        at += size
    assert onset.begun == at_once.begun and onset.dropped == at_once.dropped
    assert np.array_equal(np.concatenate(heard), whole)
