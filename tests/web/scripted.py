"""A server that speaks the wire but does not think: the test says what happens and when.

It serves the page's files over HTTP and ``/v1/realtime`` over WebSocket, notes every event a client sends, and answers
a truncation the way the protocol asks. Runs in a thread, on a free port of this machine.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

WEB = Path(__file__).resolve().parents[2] / "web"
RATE = 24_000
Event = dict[str, Any]


def tone(ms: int, hz: float = 440.0, level: float = 0.4) -> np.ndarray:
    """A sine of ``ms`` milliseconds as int16 ``[n]`` at 24 kHz."""
    time = np.arange(RATE * ms // 1000) / RATE
    return (32767 * level * np.sin(2 * np.pi * hz * time)).astype("<i2")


class Conversation:
    """One client's connection: what it sent, and the events the test sends it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._inbox: queue.Queue[Event | None] = queue.Queue()
        self._count = 0
        self.events: list[Event] = []
        """Every event received except audio and pictures."""
        self.audio = bytearray()
        """PCM16 received."""
        self.images: list[Event] = []

    def send(self, kind: str, **fields: Any) -> None:
        """Sends one event with an id of its own."""
        self._count += 1
        self._connection.send(json.dumps({"type": kind, "event_id": f"event_{self._count}", **fields}))

    def listen(self) -> None:
        """Receives until the client leaves; runs in the connection's thread."""
        self.send("session.created", session={"id": "sess_1", "type": "realtime", "object": "realtime.session"})
        try:
            for message in self._connection:
                self._receive(json.loads(message))
        except ConnectionClosed:
            pass
        self._inbox.put(None)

    def wait(self, kind: str, timeout: float = 20.0) -> Event:
        """Next event of that type (audio and pictures excepted). Raises AssertionError when the client leaves first."""
        while True:
            event = self._inbox.get(timeout=timeout)
            assert event is not None, f"the client left before {kind}; it had sent {[e['type'] for e in self.events]}"
            if event["type"] == kind:
                return event

    def wait_gone(self, timeout: float = 20.0) -> None:
        """Returns once the client has hung up."""
        while self._inbox.get(timeout=timeout) is not None:
            pass

    def hang_up(self, code: int, reason: str) -> None:
        """Ends the call from this side."""
        self._connection.close(code, reason)

    def _receive(self, event: Event) -> None:
        if event["type"] == "input_audio_buffer.append":
            self.audio += base64.b64decode(event["audio"])
            return
        if event["type"] == "input_image_buffer.append":
            self.images.append(event)
            return
        self.events.append(event)
        if event["type"] == "session.update":
            self.send("session.updated", session={"id": "sess_1", "object": "realtime.session"} | event["session"])
        elif event["type"] == "conversation.item.truncate":
            place = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
            self.send("conversation.item.truncated", **place)
        self._inbox.put(event)

    def heard(self, item: str, words: str) -> None:
        """The person said ``words``: speech starts and stops where the audio stands, then the transcript comes."""
        now_ms = len(self.audio) // 48
        self.send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=max(0, now_ms - 1000))
        self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=now_ms)
        self.send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        for event in ("added", "done"):
            message = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
            self.send(f"conversation.item.{event}", item=message)
        usage = {"type": "duration", "seconds": 1}
        self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item, content_index=0, transcript=words, usage=usage,
        )  # fmt: skip

    def say(self, item: str, words: str, pcm: np.ndarray) -> None:
        """Begins a reply and sends all of its words and sound, faster than it plays, in pieces of 60 ms."""
        place = {"response_id": f"resp_{item}", "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self.send("response.created", response={"id": f"resp_{item}", "status": "in_progress", "output": []})
        self.send("response.output_item.added", response_id=f"resp_{item}", output_index=0, item=message)
        for word in words.split(" "):
            self.send("response.output_audio_transcript.delta", delta=f"{word} ", **place)
        for start in range(0, len(pcm), 1440):
            piece = base64.b64encode(pcm[start : start + 1440].tobytes()).decode()
            self.send("response.output_audio.delta", delta=piece, **place)

    def finish(self, item: str, words: str, status: str = "completed", reason: str | None = None) -> None:
        """Ends a reply."""
        place = {"response_id": f"resp_{item}", "item_id": item, "output_index": 0, "content_index": 0}
        self.send("response.output_audio.done", **place)
        self.send("response.output_audio_transcript.done", transcript=words, **place)
        output = [{"id": item, "type": "message", "role": "assistant"}]
        details = {"type": status, "reason": reason} if reason else None
        ended = {"id": f"resp_{item}", "status": status, "status_details": details, "output": output}
        self.send("response.done", response=ended)


class ScriptedServer:
    """The page and the wire on one port. `voices`: those of its model; without any it does not say."""

    def __init__(self) -> None:
        self.voices: list[str] = []
        self._calls: queue.Queue[Conversation] = queue.Queue()
        self._server: Server = serve(
            self._talk, "127.0.0.1", 0, process_request=self._page, select_subprotocol=_realtime
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        port = self._server.socket.getsockname()[1]
        self.url = f"http://localhost:{port}/"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()

    def call(self, timeout: float = 20.0) -> Conversation:
        """The next client that connects."""
        return self._calls.get(timeout=timeout)

    def _talk(self, connection: ServerConnection) -> None:
        conversation = Conversation(connection)
        self._calls.put(conversation)
        conversation.listen()

    def _page(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/v1/realtime":
            return None
        if path == "/v1/models" and self.voices:
            return connection.respond(200, json.dumps({"data": [{"voices": self.voices}]}))
        file = (WEB / (path.lstrip("/") or "index.html")).resolve()
        if not file.is_relative_to(WEB) or not file.is_file():
            return connection.respond(404, f"no {path}\n")
        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0] or "text/plain"
        body = file.read_bytes()
        headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
        return Response(200, "OK", headers, body)


def _realtime(connection: ServerConnection, offered: Any) -> Any:
    return "realtime" if "realtime" in offered else None


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A running server."""
    with ScriptedServer() as server:
        yield server
