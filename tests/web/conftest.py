"""A scripted server and a browser whose microphone says something and whose camera shows a red circle."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from web.browser import Browser, find_browser, launch
from web.scripted import ScriptedServer, scripted_server


def write_question(path: Path) -> Path:
    """A WAV of one second of buzzing speech-like sound and four of silence, 16-bit mono at 48 kHz."""
    time = np.arange(48_000) / 48_000
    buzz = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    sound = 0.25 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        whole = 32767 * np.concatenate([sound, np.zeros(4 * 48_000)])
        file.writeframes(whole.clip(-32768, 32767).astype("<i2").tobytes())
    return path


def write_scene(path: Path) -> Path:
    """An MJPEG of a red circle on white, 640 by 480."""
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).ellipse((200, 120, 440, 360), fill=(220, 30, 30))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=92)
    path.write_bytes(jpeg.getvalue() * 4)
    return path


@pytest.fixture(scope="session")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_question(tmp_path_factory.mktemp("media") / "question.wav")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("media") / "scene.mjpeg")


@pytest.fixture(scope="session")
def chromium(question: Path, scene: Path) -> Iterator[Browser]:
    """A browser in which everything is allowed, shared by the tests; each opens its own tab."""
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    with launch(question, scene) as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running
