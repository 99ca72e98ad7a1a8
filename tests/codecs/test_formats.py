"""Sound as it comes off the wire and goes onto it, in one piece or in many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.codecs.formats import FORMATS, Decoder, Encoder

NAMES = sorted(FORMATS)
CUTS = st.lists(st.integers(0, 9_000), max_size=8)


def tone(rate: int, ms: int = 300) -> np.ndarray:
    """440 Hz, which every rate can carry."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(rate * ms // 1000) / rate)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_tone_survives_the_telephone(name):
    encoder, decoder = Encoder(name, 24_000), Decoder(name, 16_000)
    sent = encoder.push(tone(24_000)) + encoder.flush()
    assert len(sent) == FORMATS[name].rate * 300 // 1000 * FORMATS[name].sample_bytes
    heard = np.concatenate([decoder.push(sent), decoder.flush()])
    assert len(heard) == 4_800
    middle = slice(400, -400)
    assert heard[middle] == pytest.approx(tone(16_000)[middle], abs=0.02)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(cuts=CUTS)
def test_it_does_not_matter_how_speech_is_cut_before_it_is_sent(name, cuts):
    def sent(*pieces: np.ndarray) -> bytes:
        encoder = Encoder(name, 24_000)
        return b"".join(map(encoder.push, pieces)) + encoder.flush()

    assert sent(*np.split(tone(24_000), sorted(cuts))) == sent(tone(24_000))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(cuts=CUTS)
def test_it_does_not_matter_how_sound_is_cut_on_its_way_here(name, cuts):
    def heard(pieces: list[np.ndarray]) -> np.ndarray:
        decoder = Decoder(name, 16_000)
        return np.concatenate([*(decoder.push(piece.tobytes()) for piece in pieces), decoder.flush()])

    samples = np.frombuffer(FORMATS[name].pack(tone(FORMATS[name].rate)), f"V{FORMATS[name].sample_bytes}")
    assert heard(np.split(samples, sorted(cuts))) == pytest.approx(heard([samples]), abs=1e-6)


def test_a_decoder_may_be_used_again():
    decoder = Decoder("audio/pcmu", 16_000)
    data = FORMATS["audio/pcmu"].pack(tone(8_000))
    first, second = (np.concatenate([decoder.push(data), decoder.flush()]) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_half_a_sample_is_refused_with_its_size():
    with pytest.raises(ValueError, match="3 bytes"):
        Decoder("audio/pcm", 16_000).push(b"abc")
    assert len(Decoder("audio/pcma", 8_000).push(b"abc")) == 3
