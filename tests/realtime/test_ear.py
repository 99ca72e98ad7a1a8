"""What the driver must get right about sound."""

import numpy as np
import pytest

from vivavoce.codecs.media import AudioChunk
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import AudioMismatch
from vivavoce.realtime.events import AudioIn
from vivavoce.realtime.session import Session


@pytest.mark.parametrize(
    ("samples", "rate", "start", "probabilities", "words"),
    [
        (512, 24_000, 0, (0.1,), "sound at 24000 Hz, expected 16000"),
        (512, 16_000, 100, (0.1,), "sound from sample 100, expected 0"),
        (511, 16_000, 0, (0.1,), "1 probabilities for 0 completed windows of 512"),
        (1_024, 16_000, 0, (0.1,), "1 probabilities for 2 completed windows of 512"),
    ],
)
def test_sound_that_does_not_fit_is_our_own_mistake(samples, rate, start, probabilities, words):
    session = Session(SessionConfig(), "s")
    with pytest.raises(AudioMismatch, match=words):
        session.receive(AudioIn(AudioChunk(np.zeros(samples, np.float32), rate, start), probabilities), 0)
