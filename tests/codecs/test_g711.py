"""The two laws of the telephone, beside libsndfile's."""

import io

import numpy as np
import pytest
import soundfile

from vivavoce.codecs import g711

EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)
LAWS = [("mu", "ULAW"), ("A", "ALAW")]


@pytest.mark.parametrize(("law", "subtype"), LAWS)
def test_every_byte_means_what_it_means_elsewhere(law, subtype):
    raw = io.BytesIO(bytes(range(256)))
    theirs, _ = soundfile.read(raw, dtype="int16", samplerate=8_000, channels=1, subtype=subtype, format="RAW")
    assert g711.decode(bytes(range(256)), law).tolist() == theirs.tolist()


@pytest.mark.parametrize(("law", "subtype"), LAWS)
def test_every_sample_becomes_the_byte_it_becomes_elsewhere(law, subtype):
    raw = io.BytesIO()
    soundfile.write(raw, EVERY_SAMPLE, 8_000, subtype=subtype, format="RAW")
    assert g711.encode(EVERY_SAMPLE, law) == raw.getvalue()


@pytest.mark.parametrize(("law", "silence"), [("mu", 0xFF), ("A", 0xD5)])
def test_silence_is_the_byte_of_the_recommendation(law, silence):
    assert g711.encode(np.zeros(1, np.int16), law) == bytes([silence])


@pytest.mark.parametrize("law", ["mu", "A"])
def test_what_was_decoded_is_encoded_to_the_same_sound(law):
    meant = g711.samples(law)
    assert g711.decode(g711.encode(meant, law), law).tolist() == meant.tolist()
