"""The page over WebRTC: a real server whose model has learned its part by heart, and Chromium's own engine at the other end."""

from __future__ import annotations

import asyncio
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from web.browser import Browser, find_browser, launch
from web.conftest import write_scene

from vivavoce.model import messages
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.server.app import create_app
from vivavoce.realtime.server.ice import Ice
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.serving import address, bind, running

SERVER_TESTS = Path(__file__).parents[1] / "realtime" / "server"
sys.path.insert(0, str(SERVER_TESTS))

from relay import SECRET, TURNSERVER, WAYS, WITHOUT, relay  # noqa: E402
from scripted_host import WORDS, ScriptedHost  # noqa: E402

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")


@pytest.fixture
def host() -> ScriptedHost:
    return ScriptedHost()


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's sockets for media are opened on the loopback only."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
def where(host: ScriptedHost) -> Iterator[str]:
    with served(host) as address:
        yield address


@contextmanager
def served(host: ScriptedHost, ice: Ice | None = None, *, record_to: Path | None = None) -> Iterator[str]:
    """A server on the loopback, in a thread."""
    listener = bind("127.0.0.1", 0)
    ready, leave = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        config = SessionConfig(model="script", record_to=str(record_to) if record_to else None)
        async with running(create_app(LocalModel(host), config, ice), listener):
            ready.set()
            await leave.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield f"http://{address(listener)}/"
    finally:
        loops[0].call_soon_threadsafe(leave.set)
        thread.join()


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone asks once, after a while of quiet, and that may use the loopback for media."""
    folder = tmp_path_factory.mktemp("caller")
    speech, rate = soundfile.read(SERVER_TESTS / "question.flac", dtype="float32")
    spoken = soxr.resample(speech, rate, 48_000)
    whole = np.concatenate([np.zeros(96_000), spoken, np.zeros(48_000 * 30)])
    with wave.open(str(folder / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((whole * 32767).astype("<i2").tobytes())
    flags = ("--allow-loopback-in-peer-connection", "--ignore-certificate-errors")  # a relay's is signed by itself
    with launch(Path(f"{folder / 'question.wav'}%noloop"), write_scene(folder / "scene.mjpeg"), flags=flags) as browser:
        yield browser


def test_a_call_is_held_over_webrtc(caller: Browser, where: str, host: ScriptedHost) -> None:
    page = caller.open(where)
    page.start_call()
    assert page.evaluate("vivavoce.state.line") == "webrtc"
    answer = page.answer()
    page.wait_for("vivavoce.state.speaking === null")
    sound, rate = page.played()
    assert answer["text"] == "".join(WORDS)
    assert answer["latencyMs"] is not None
    loud = np.abs(sound) > 0.03
    assert loud.sum() > 0.4 * rate, "600 ms of a tone of 0.3, of which 0.03 or less is a fifteenth"
    spectrum = np.abs(np.fft.rfft(sound * loud))
    assert np.argmax(spectrum) * rate / len(sound) == pytest.approx(220, abs=4)
    frames = [f for r in host.requests if isinstance(r, messages.Listen) for f in r.chunk.frames]
    red, green, _ = frames[-1].rgb[frames[-1].rgb.shape[0] // 2, frames[-1].rgb.shape[1] // 2]
    assert red > 150 and green < 90, "the circle in the middle is red"
    page.click("#call")
    page.wait_for("vivavoce.state.connection === 'idle'")
    assert page.log == []


@pytest.mark.skipif(TURNSERVER is None, reason=WITHOUT)
@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_held_through_a_relay(caller: Browser, host: ScriptedHost, tmp_path: Path, way: str) -> None:
    with relay(tmp_path, way) as turn, served(host, Ice(turn=(turn.url,), secret=SECRET)) as where:
        page = caller.open(f"{where}?relay")
        page.start_call()
        assert page.evaluate("vivavoce.state.line") == "webrtc"
        assert page.answer()["text"] == "".join(WORDS)
        page.wait_for("vivavoce.state.speaking === null")
        sound, rate = page.played()
        page.click("#call")
        page.wait_for("vivavoce.state.connection === 'idle'")
        assert turn.users() - {"server"}, "the browser was given an address at the relay"
    assert (np.abs(sound) > 0.03).sum() > 0.4 * rate
    assert page.log == []


@pytest.mark.skipif(TURNSERVER is None, reason=WITHOUT)
def test_the_server_may_have_all_calls_go_through_a_relay(caller: Browser, host: ScriptedHost, tmp_path: Path) -> None:
    with relay(tmp_path) as turn, served(host, Ice(turn=(turn.url,), secret=SECRET, relay_only=True)) as where:
        page = caller.open(where)
        page.start_call()
        assert page.evaluate("vivavoce.state.line") == "webrtc"
        assert page.answer()["text"] == "".join(WORDS)
        assert len(turn.users()) == 2
    assert page.log == []


@pytest.mark.parametrize("way", ["record", "record&websocket"])
def test_who_ticks_the_box_is_recorded_and_can_see_it(
    caller: Browser, host: ScriptedHost, tmp_path: Path, way: str
) -> None:
    with served(host, record_to=tmp_path) as where:
        page = caller.open(where)
        assert page.evaluate("document.querySelector('#consent').offsetParent === null"), (
            "nobody is asked who was not invited"
        )
        page = caller.open(f"{where}?{way}")
        page.click("#record")
        page.start_call()
        page.wait_for("document.querySelector('#status').textContent.includes('recorded')")
        page.click("#call")
        page.wait_for("vivavoce.state.connection === 'idle'")
    assert len(list(tmp_path.iterdir())) == 1
    assert page.log == []


@pytest.mark.parametrize("door", ["RTCPeerConnection.prototype.setRemoteDescription", "window.fetch"])
def test_where_webrtc_does_not_get_through_the_websocket_does(caller: Browser, where: str, door: str) -> None:
    page = caller.open(where)
    page.evaluate(f"{door} = () => Promise.reject(new Error('blocked'))")
    page.start_call()
    assert page.evaluate("vivavoce.state.line") == "websocket"
    assert page.answer()["text"] == "".join(WORDS)
    assert page.log == []
