"""Short sounds: what there is of each kind, and where it is listened to."""

import random

import numpy as np
import pytest
import torch

from vivavoce.model.aside import BACKCHANNEL, FRAMES, INTERRUPTION
from vivavoce.model.train import asides, endings, voices


@pytest.mark.parametrize("seed", range(12))
def test_a_noise_is_heard_and_is_short(seed):
    wave = asides.noise(random.Random(seed))
    assert 0.03 <= len(wave) / asides.RATE <= 3.1
    assert float(np.abs(wave).max()) == pytest.approx(0.5, abs=1e-3)


def test_who_takes_the_floor_says_stop_or_goes_on():
    said = {asides.takes_floor(random.Random(seed), held=False) for seed in range(60)}
    assert said & set(asides.STOPS)
    assert any(text.split(",")[0] in asides.STOPS and "," in text for text in said)
    assert not said & set(asides.BACKCHANNELS)


def test_a_sound_is_listened_to_while_it_lasts_and_when_it_is_over(monkeypatch):
    monkeypatch.setattr(voices, "speak", lambda text, voice: np.full(8_000, 0.5, np.float32))
    monkeypatch.setattr(endings, "in_the_room", lambda wave, seed: wave)

    class Hears:
        def at_moments(self, wave, moments):
            self.lead = int(np.flatnonzero(wave)[0])
            self.moments = [moment - self.lead for moment in moments]
            return (torch.zeros(1, 1) for _ in moments)

        def excerpt(self, frames, length, label, at_ms):
            return (length, label, at_ms)

    for label in (INTERRUPTION, BACKCHANNEL):
        monkeypatch.setattr(asides, "SHARES", [float(kind == label) for kind in range(3)])
        monkeypatch.setattr(asides, "hum", lambda rng, nods: np.full(8_000, 0.5, np.float32))
        listener = Hears()
        *during, (length, kind, over) = asides.excerpts(listener, 1, 5, False, "seen")
        assert (length, kind, len(during)) == (FRAMES, label, 2)
        assert 0 < listener.lead <= 0.22 * asides.RATE
        assert all(0 < moment <= 8_000 for moment in listener.moments[:2]) and listener.moments[2] > 8_000
        assert over > asides.ENDED + 500
