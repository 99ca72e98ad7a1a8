"""Packets of a call: silence told from a voice that pauses, and sound at its own rate."""

import numpy as np
import pytest

from vivavoce.realtime.server import opus
from vivavoce.realtime.server.bench.calllink import Decoder, Silence, calls_at


def test_silence_is_the_packet_that_is_always_the_same() -> None:
    sender, silence = opus.Sender(), Silence()
    hiss = np.random.default_rng(1).standard_normal((40, opus.PACKET_SAMPLES)).astype(np.float32) * 4e-4
    assert not any(silence.knows(sender.encode(piece)) for piece in hiss)
    assert [silence.knows(sender.encode(None)) for _ in range(3)] == [False, True, True]
    assert not silence.knows(sender.encode(hiss[0])) and silence.knows(sender.encode(None))


def test_sound_comes_back_as_long_as_it_was_and_nearly_as_loud() -> None:
    sender, decoder = opus.Sender(), Decoder()
    times = np.arange(50 * opus.PACKET_SAMPLES) / 24_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    heard = np.concatenate([decoder.decode(sender.encode(p)) for p in tone.reshape(-1, opus.PACKET_SAMPLES)])
    assert len(heard) == len(tone)
    assert np.std(heard[12_000:]) == pytest.approx(np.std(tone), rel=0.1)
    assert len(decoder.decode(b"")) == 0


@pytest.mark.parametrize("url", ["ws://host:1", "http://host:1/", "http://host:1/v1/realtime/calls"])
def test_calls_are_taken_at_one_address(url: str) -> None:
    assert calls_at(url) == "http://host:1/v1/realtime/calls"
