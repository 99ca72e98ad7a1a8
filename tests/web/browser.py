"""A headless Chromium with a microphone that plays a file and a camera that shows one.

Driven over the DevTools protocol by way of ``websockets``, which the server needs anyway. Use it from any test::

    with launch(question=Path("question.wav"), scene=Path("scene.mjpeg")) as browser:
        page = browser.open("http://127.0.0.1:8000/")
        page.start_call()
        print(page.answer()["text"], page.played())
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "about:blank",
)


class PageError(AssertionError):
    """A script in the page threw, or what was waited for did not come."""


def find_browser() -> str | None:
    """Path of a Chromium or Chrome on this machine, None where there is none."""
    found = [path for name in NAMES if (path := shutil.which(name))]
    return next(iter(found + [place for place in PLACES if Path(place).exists()]), None)


class DevTools:
    """Requests and their answers over one DevTools connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self.log: dict[str | None, list[str]] = defaultdict(list)
        """Exceptions and console errors, by session, that is by tab."""

    def call(self, method: str, session: str | None = None, timeout: float = 60.0, **params: Any) -> dict[str, Any]:
        """Result of a DevTools method. Raises PageError when it fails, TimeoutError after ``timeout`` seconds."""
        self._last += 1
        request = {"id": self._last, "method": method, "params": params}
        self._socket.send(json.dumps(request | ({"sessionId": session} if session else {})))
        deadline = time.monotonic() + timeout
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            if message.get("id") == self._last:
                break
            self._note(message)
        if "error" in message:
            raise PageError(f"{method}: {message['error']['message']}")
        result: dict[str, Any] = message["result"]
        return result

    def _note(self, message: dict[str, Any]) -> None:
        params, log = message.get("params", {}), self.log[message.get("sessionId")]
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            log.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            log.append("console: " + " ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))


class Page:
    """One tab."""

    def __init__(self, devtools: DevTools, session: str) -> None:
        self._devtools = devtools
        self._session = session

    @property
    def log(self) -> list[str]:
        """Exceptions and console errors of the page so far."""
        return self._devtools.log[self._session]

    def call(self, method: str, timeout: float = 60.0, **params: Any) -> dict[str, Any]:
        """Result of a DevTools method on this tab."""
        return self._devtools.call(method, self._session, timeout, **params)

    def evaluate(self, script: str, timeout: float = 60.0) -> Any:
        """JSON value of a JavaScript expression; a promise is waited for. Raises PageError when it throws."""
        how: dict[str, Any] = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        reply = self.call("Runtime.evaluate", timeout, expression=script, **how)
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise PageError(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return reply["result"].get("value")

    def wait_for(self, condition: str, timeout: float = 20.0) -> Any:
        """First true value of a JavaScript expression, looked at every 20 ms. Raises PageError after ``timeout`` s."""
        script = f"""new Promise((resolve) => {{
            const end = performance.now() + {1000 * timeout};
            const look = () => {{
                let value = null;
                try {{ value = {condition}; }} catch {{}}
                if (value || performance.now() > end) resolve(value || null);
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        value = self.evaluate(script, timeout + 30)
        if not value:
            state = self.evaluate("JSON.stringify(window.vivavoce?.state ?? null)")
            raise PageError(f"not within {timeout} s: {condition}; log: {self.log}; state: {state}")
        return value

    def text(self, selector: str) -> str:
        """Text a person sees in the first element that matches."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of an element."""
        box = self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            const {{ x, y, width, height }} = (element.closest("label") ?? element).getBoundingClientRect();
            return [x + width / 2, y + height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        """A key of the keyboard, by DOM name and Windows key code (Enter is 13)."""
        text: dict[str, Any] = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Size of the window in CSS pixels, and the colour scheme the person prefers."""
        size: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=width < 600, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Writes a PNG of what is visible."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def start_call(self, timeout: float = 30.0) -> None:
        """Presses Start, records what is played from then on, and waits until the call is open."""
        self.evaluate("vivavoce.meter.recording = true")
        self.click("#call")
        self.wait_for("vivavoce.state.connection === 'open' || vivavoce.state.notice", timeout)
        if self.evaluate("vivavoce.state.connection") != "open":
            raise PageError(f"no call: {self.text('#notice-text')}")

    def answer(self, number: int = 0, timeout: float = 60.0) -> dict[str, Any]:
        """The caption of the ``number``-th answer (text, latencyMs, ...), once it has ended and was played."""
        turn = f"vivavoce.state.turns.filter(({{ role }}) => role === 'assistant')[{number}]"
        caption: dict[str, Any] = self.wait_for(f"{turn}.status !== 'live' && {turn}.played && {turn}", timeout)
        return caption

    def played(self) -> tuple[np.ndarray, int]:
        """What went to the loudspeaker since ``start_call``, once that is silent: float32 ``[n]`` and its rate in Hz.

        Of a call by WebRTC the server has played all before the browser has.
        """
        self.wait_for("""(() => {
            const { wave, rate } = vivavoce.meter;
            for (let block = wave.length - 1, left = rate / 4; left > 0; block--) {
                if (block < 0 || wave[block].some((sample) => Math.abs(sample) > 0.01)) return false;
                left -= wave[block].length;
            }
            return true;
        })()""")
        text = self.evaluate("""(async () => {
            const bytes = new Uint8Array(await new Blob(vivavoce.meter.wave).arrayBuffer());
            let text = "";
            for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
            return btoa(text);
        })()""")
        return np.frombuffer(base64.b64decode(text), dtype="<f4"), int(self.evaluate("vivavoce.meter.rate"))


class Browser:
    """A running browser; ``open`` gives its tabs."""

    def __init__(self, devtools: DevTools) -> None:
        self._devtools = devtools

    def open(self, url: str) -> Page:
        """A new tab on ``url``, once its scripts have run."""
        target = self._devtools.call("Target.createTarget", url="about:blank")["targetId"]
        session = self._devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self._devtools, session)
        page.call("Runtime.enable")
        page.call("Page.enable")
        page.resize(1280, 800)
        page.call("Page.navigate", url=url)
        page.wait_for(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")
        return page

    def permit(self, origin: str, **settings: str) -> None:
        """Answers a site's permission prompts beforehand: ``permit(url, camera="denied", microphone="granted")``."""
        for name, setting in settings.items():
            self._devtools.call("Browser.setPermission", permission={"name": name}, setting=setting, origin=origin)


def _command(program: str, profile: str, question: Path | None, scene: Path | None, allow: bool) -> list[str]:
    command = [program, f"--user-data-dir={profile}", *FLAGS]
    if question:
        command.append(f"--use-file-for-fake-audio-capture={question.absolute()}")
    if scene:
        command.append(f"--use-file-for-fake-video-capture={scene.absolute()}")
    if allow:
        command.append("--use-fake-ui-for-media-stream")
    return command


def _address(process: subprocess.Popen[str]) -> str:
    """DevTools address a starting browser prints. Raises RuntimeError with its last words when it does not start."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("DevTools listening on "):
            return line.removeprefix("DevTools listening on ").strip()
    raise RuntimeError("the browser did not start: " + "".join(said[-5:]))


@contextmanager
def launch(
    question: Path | None = None, scene: Path | None = None, allow: bool = True, flags: Sequence[str] = ()
) -> Iterator[Browser]:
    """A browser with a fresh profile.

    ``question``: uncompressed WAV the microphone plays over and over; append ``%noloop`` to its name to hear it once.
    ``scene``: Y4M or MJPEG file the camera shows. ``allow``: say yes to every permission prompt.
    ``flags``: more of the command line's.
    Raises RuntimeError when there is no browser or it does not start.
    """
    program = find_browser()
    if program is None:
        raise RuntimeError(f"no browser found: looked for {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        command = [*_command(program, profile, question, scene, allow), *flags]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            with connect(_address(process), max_size=None, open_timeout=30) as socket:
                yield Browser(DevTools(socket))
        finally:
            process.terminate()
            process.wait(30)
            if process.stderr is not None:
                process.stderr.close()
