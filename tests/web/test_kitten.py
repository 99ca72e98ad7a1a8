"""The whole thing as a person has it: the page in a browser, a spoken question, a picture before the camera, kitten's answer."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from web.browser import find_browser, launch
from web.conftest import write_scene

from vivavoce.model.train import evaluate, hearing, skills, voices

QUESTION = "what colour is the circle"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with kitten on a free port."""
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        try:
            said = []
            for line in running.stdout:
                said.append(line)
                if found := re.search(r"http://\S+", line):
                    yield found[0]
                    break
            else:
                pytest.fail(f"the server did not start: {''.join(said)}")
        finally:
            running.terminate()


def spoken(path: Path) -> Path:
    """The question by a voice that kitten was trained with; 48 kHz, played once.

    Before it are six seconds of quiet, in which a call by WebRTC may fail and a WebSocket take its place.
    """
    voice = voices.Voice("espeak", "en-us+m3", 50, 150)
    speech = np.asarray(soxr.resample(voices.speak(QUESTION, voice), voices.USER_RATE, 48_000))
    whole = np.concatenate([np.zeros(288_000), speech, np.zeros(48_000 * 30)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((whole.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the question is spoken by espeak-ng")
def test_a_spoken_question_about_the_camera_is_answered_aloud_and_captioned(address: str, tmp_path: Path) -> None:
    question = spoken(tmp_path / "question.wav")
    with launch(Path(f"{question}%noloop"), write_scene(tmp_path / "scene.mjpeg")) as browser:
        page = browser.open(address)
        page.start_call()
        answer = page.answer()
        assert "red" in answer["text"].lower(), "the picture is seen"
        page.wait_for("vivavoce.meter.wave.length > 40", timeout=10)
        sound, rate = page.played()
        question_caption = page.evaluate("vivavoce.state.turns.find(({ role }) => role === 'user').text")

    assert "colour" in question_caption, "what was heard is captioned"
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert len(loud) > 0.2 * rate, "the answer is heard"
    candidates = sorted({t.reply for i in range(200) for t in skills.dialogue(random.Random(i), turns=1).turns})
    heard = evaluate.grammar_recogniser([*candidates, answer["text"]])(sound[loud[0] : loud[-1] + 1], rate)
    errors, words = hearing.word_errors(" ".join(evaluate.spoken_words(answer["text"])), heard)
    assert errors <= words / 2, f"captioned {answer['text']!r}, the recogniser heard {heard!r}"
