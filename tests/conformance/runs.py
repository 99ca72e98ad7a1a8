"""The server, in a process of its own, and the clients in theirs, two at a time."""

from __future__ import annotations

import base64
import functools
import json
import re
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from conformance.environments import HERE, Missing
from conformance.matrix import CLIENTS, JUDGES, Client
from conformance.tls import in_front_of
from PIL import Image
from web.browser import PageError, find_browser, launch
from web.conftest import write_scene

from vivavoce.model.train import voices

QUESTIONS = {"who": "what is your name", "colour": "what colour is the circle"}
RATE = 24_000
PATIENCE = 180
"""Seconds for one client's four calls."""
AT_ONCE = 2
"""Clients; the browser is one of them, and there is one."""

Report = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """What a client is run against and with."""

    port: int
    tls_port: int
    media: Path
    """Recordings and a picture."""
    log: Path
    """What the server says besides its address."""


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """`vivavoce serve` on a free port, TLS in front of it, and something to say and to show."""
    record(folder)
    log = folder / "server.log"
    with ExitStack() as ends:
        port = ends.enter_context(serving(log))
        tls_port = ends.enter_context(in_front_of(port, folder))
        yield Stage(port, tls_port, folder, log)


@contextmanager
def serving(log: Path) -> Iterator[int]:
    """The port of a server with kitten, once it is ready."""
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", "serve", "--port", "0"]
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as running:
        try:
            while not (ready := re.search(r"http://localhost:(\d+)", log.read_text())):
                assert running.poll() is None, f"the server did not start: {log.read_text()}"
                time.sleep(0.05)
            yield int(ready[1])
        finally:
            running.terminate()


def record(folder: Path) -> None:
    """The questions, by a voice that kitten knows, and a red circle as a file and as a camera."""
    voice = voices.Voice("espeak", "en-us+m3", 50, 150)
    for name, question in QUESTIONS.items():
        pcm = np.asarray(soxr.resample(voices.speak(question, voice), voices.USER_RATE, RATE))
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((pcm.clip(-1, 1) * 32_767).astype("<i2").tobytes())
    Image.open(write_scene(folder / "scene.mjpeg")).save(folder / "scene.jpg", quality=92)


def run_all(stage: Stage, runners: Mapping[str, str | Missing]) -> dict[str, Report | Missing]:
    """What each client told, by its id. `runners` are the programs of the environments that could be installed."""
    told: dict[str, Report | Missing] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told |= {c.id: missing for c in CLIENTS if isinstance(missing := runners[c.environment], Missing)}
        here = [client for client in CLIENTS if client.id not in told]
        browser = pool.submit(run_in_browser, stage, [client for client in here if client.where == "Chromium"])
        others = {c.id: pool.submit(run, stage, c, str(runners[c.environment])) for c in here if c.where != "Chromium"}
        return told | browser.result() | {name: future.result() for name, future in others.items()}


def run(stage: Stage, client: Client, runner: str) -> Report:
    """A client that is a program of its own."""
    port = stage.tls_port if client.program == "openai_node.mjs" else stage.port
    command = [runner, str(HERE / "clients" / client.program), f"127.0.0.1:{port}", str(stage.media)]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        ran.check_returncode()
        report: Report = json.loads(ran.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return failed(f"{error}: {getattr(error, 'stderr', '')}")
    return report


def failed(why: str) -> Report:
    """Of a client that came to no end."""
    return {"events": {}, "errors": [why], **{capability: {"failed": why} for capability in JUDGES}}


def run_in_browser(stage: Stage, clients: Sequence[Client]) -> dict[str, Report | Missing]:
    """The bundle for browsers in a page, once for each transport."""
    if find_browser() is None:
        return {client.id: Missing("no Chromium on this machine") for client in clients}
    recordings = {name: base64.b64encode(sound(stage.media / f"{name}.wav")).decode() for name in QUESTIONS}
    reports: dict[str, Report | Missing] = {}
    with pages() as port, launch(None, stage.media / "scene.mjpeg") as browser:
        for client in clients:
            page = browser.open(f"http://localhost:{port}/clients/{client.program}")
            wanted = json.dumps([client.transport, f"localhost:{stage.port}", recordings])
            try:
                page.wait_for("Boolean(window.converse)")
                report: Report = json.loads(page.evaluate(f"converse(...{wanted})", timeout=PATIENCE))
            except (PageError, TimeoutError) as error:
                report = failed(str(error))
            reports[client.id] = report | {"errors": report["errors"] + page.log}
    return reports


def sound(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


class Shelf(SimpleHTTPRequestHandler):
    """This folder, for a browser."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def pages() -> Iterator[int]:
    """The port at which this folder is to be had."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Shelf, directory=str(HERE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)
