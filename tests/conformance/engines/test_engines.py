"""Engines that share no line with the server's own, each in a process of its own, talk to `vivavoce serve` with kitten.

libwebrtc is what browsers are built on; libdatachannel and werift were written apart from it and from aiortc. `make engines`
installs them, and `make test` does.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from av.codec.context import CodecContext

from vivavoce.model.train import evaluate, hearing, skills, voices

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import media  # noqa: E402

PYTHON = HERE / ".env/bin/python"
COMMANDS = {
    "libwebrtc": (str(PYTHON), "libwebrtc.py"),
    "libdatachannel": ("node", "caller.mjs", "libdatachannel"),
    "werift": ("node", "caller.mjs", "werift"),
}
CONVERSATIONS = [
    ("libwebrtc", "VP8", "red"),  # its H.264 has to be fetched from elsewhere
    ("libdatachannel", "VP8", "blue"),
    ("libdatachannel", "H264", "red"),
    ("werift", "VP8", "green"),
    ("werift", "H264", "blue"),
]
ENDINGS = ("vanish", "hangup", "close")
CALLS = 12
GONE_SECONDS = 25
"""A client that vanished is missed after 15 s, and machines may be busy; aiortc by itself needs 27 s at least."""


@dataclass(frozen=True)
class Server:
    """`vivavoce serve`, in a process with a child."""

    address: str
    pid: int

    def calls(self) -> str:
        return f"{self.address}/v1/realtime/calls"

    def sessions(self) -> int:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.address}/metrics") as metrics:
            return int(float(re.search(r"^vivavoce_sessions (\S+)", metrics.read().decode(), re.M)[1]))  # type: ignore[index]

    def belongings(self) -> tuple[int, int]:
        """Threads and file descriptors, the child's too; none where there is no /proc."""
        process = Path(f"/proc/{self.pid}")
        if not process.exists():
            return 0, 0
        children = [child for file in process.glob("task/*/children") for child in file.read_text().split()]
        everyone = [process, *(Path("/proc") / child for child in children)]
        return tuple(sum(len(list((one / what).iterdir())) for one in everyone) for what in ("task", "fd"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    command = [sys.executable, str(HERE / "loopback_server.py"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        try:
            said = []
            for line in running.stdout:
                said.append(line)
                if found := re.search(r"http://\S+", line):
                    yield Server(found[0], running.pid)
                    break
            else:
                pytest.fail(f"the server did not start: {''.join(said)}")
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """The question by a voice that kitten was trained with, float32 [samples] at 48 kHz."""
    need(shutil.which("espeak-ng"), "the question is spoken by espeak-ng")
    speech = voices.speak("what colour is the circle", voices.Voice("espeak", "en-us+m3", 50, 150))
    return np.asarray(soxr.resample(speech, voices.USER_RATE, media.RATE))


@pytest.fixture(scope="module")
def recognise() -> Callable[[np.ndarray, str], str]:
    """An independent recogniser: sound at 48 kHz and what it may be -> words, among all that kitten has learned to say."""
    sentences = {turn.reply for seed in range(200) for turn in skills.dialogue(random.Random(seed), turns=1).turns}
    return lambda sound, said: evaluate.grammar_recogniser(sorted(sentences | {said}))(sound, media.RATE)


@pytest.mark.parametrize(("engine", "codec", "colour"), CONVERSATIONS)
def test_a_spoken_question_about_the_camera_is_answered_aloud(
    engine: str,
    codec: str,
    colour: str,
    server: Server,
    spoken: np.ndarray,
    recognise: Callable[[np.ndarray, str], str],
    tmp_path: Path,
) -> None:
    heard = run(engine, "talk", server.calls(), str(media.write(tmp_path, spoken, colour)), codec)
    order = ["session.created", "input_audio_buffer.speech_started", "output_audio_buffer.started", "response.done"]
    assert [e["type"] for e in heard["events"] if e["type"] in order] == order
    assert heard.get("lost", 2) >= 2, "the server asks for the frames that it wants"
    said = "".join(e["delta"] for e in heard["events"] if e["type"] == "response.output_audio_transcript.delta")
    assert colour in said.lower(), "the picture is seen"

    sound = pcm(heard)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert len(loud) > 0.2 * media.RATE, "the answer is heard"
    words = recognise(sound[loud[0] : loud[-1] + 1], said)
    wrong, all_of_them = hearing.word_errors(" ".join(evaluate.spoken_words(said)), words)
    assert wrong <= all_of_them / 2, f"captioned {said!r}, the recogniser heard {words!r}"


def test_twelve_calls_of_twelve_come_about_and_however_they_end_nothing_is_left(server: Server) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: run(engine, "greet", server.calls(), "close"), COMMANDS))
        until(lambda: server.sessions() == 0)
        before = server.belongings()
        greeted = list(pool.map(lambda engine: reconnect(engine, server), COMMANDS))
    assert greeted == [CALLS] * len(COMMANDS)
    until(lambda: server.sessions() == 0)
    until(lambda: all(now <= then for now, then in zip(server.belongings(), before, strict=True)))


def reconnect(engine: str, server: Server) -> int:
    """Calls one after the other, by turns hung up, closed, and gone without a word. Returns how many were greeted."""
    endings = itertools.islice(itertools.cycle(ENDINGS), CALLS)
    calls = [run(engine, "greet", server.calls(), ending) for ending in endings]
    return sum(call["events"][0]["type"] == "session.created" for call in calls)


def run(engine: str, *arguments: str) -> dict[str, Any]:
    """One call -> what was heard. A caller that vanishes is one that was killed."""
    command = COMMANDS[engine]
    if command[0] == "node":
        need(shutil.which("node") and (HERE / "node_modules").exists(), f"{engine} needs Node and npm")
    else:
        need(PYTHON.exists(), f"{engine} could not be installed")
    done = subprocess.run([*command, *arguments], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (-9 if arguments[-1] == "vanish" else 0), done.stderr[-2_000:]
    heard: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return heard


def need(found: object, reason: str) -> None:
    """Where these tests have to run, whatever is missing is a failure."""
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def pcm(heard: dict[str, Any]) -> np.ndarray:
    """What came by RTP, decoded by the engine or here -> float32 [samples] at 48 kHz."""
    if "pcm" in heard:
        return np.frombuffer(base64.b64decode(heard["pcm"]), np.int16) / np.float32(32_768)
    decoder = CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", media.RATE
    packets = [av.Packet(base64.b64decode(payload)) for payload in heard["packets"]]
    pieces = [frame.to_ndarray().reshape(-1) for packet in packets for frame in decoder.decode(packet)]
    return np.concatenate(pieces) / np.float32(32_768)


def until(holds: Callable[[], bool]) -> None:
    """Returns once that is so."""
    deadline = time.monotonic() + GONE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never was"
        time.sleep(0.1)
