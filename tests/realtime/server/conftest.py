"""A spoken question, and this folder on the path, also for child processes.

question.flac is `espeak-ng "What colour is the circle?"`, resampled to 16 kHz, its silence cut off.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from vivavoce.codecs.pcm import resample  # noqa: E402


@pytest.fixture(scope="session")
def question() -> np.ndarray:
    """float32 [samples] at 16 kHz."""
    pcm, rate = soundfile.read(HERE / "question.flac", dtype="float32")
    assert rate == 16_000
    return pcm


@pytest.fixture(scope="session")
def wire_question(question: np.ndarray) -> np.ndarray:
    """The same at 24 kHz, as a client sends it."""
    return resample(question, 16_000, 24_000)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets for media are opened on the loopback only."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture(scope="session")
def spoken(question: np.ndarray) -> np.ndarray:
    """The question at 48 kHz."""
    return resample(question, 16_000, 48_000)
