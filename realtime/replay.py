"""A conversation as JSON lines: everything that went in, when; run it again and the same comes out.

    {"session": "sess_1", "config": {...}}
    {"now_ms": 20, "event": {"kind": "AudioIn", "chunk": {...}, "probabilities": [0.02]}}
    {"now_ms": 900, "timer": true}

Arrays are base64 of their bytes, so nothing is rounded. Streams are handed in; this file opens none.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import numpy as np

from vivavoce.codecs import media
from vivavoce.realtime import actions, config, events
from vivavoce.realtime.actions import Action
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import Event
from vivavoce.realtime.receipts import Draw, no_jpeg
from vivavoce.realtime.session import Session
from vivavoce.realtime.wire import MakeEncoder, only_pcm16

KINDS: dict[str, Any] = {
    name: value
    for module in (media, config, events, actions)
    for name, value in vars(module).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
}


def pack(value: Any) -> Any:
    """An event, an action or a configuration as plain JSON values."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"kind": "array", "type": str(value.dtype), "shape": list(value.shape), "data": data}
    if isinstance(value, bytes):
        return {"kind": "bytes", "data": base64.b64encode(value).decode()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: pack(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, tuple):
        return {"kind": "tuple", "items": [pack(item) for item in value]}
    if isinstance(value, dict):
        return {"kind": "dict", "items": {key: pack(item) for key, item in value.items()}}
    if isinstance(value, list):
        return [pack(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def unpack(value: Any) -> Any:
    """What `pack` packed.

    Raises:
        ValueError: a kind that this version does not know.
    """
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, rest = value["kind"], {key: item for key, item in value.items() if key != "kind"}
    if kind == "array":
        return np.frombuffer(base64.b64decode(rest["data"]), rest["type"]).reshape(rest["shape"]).copy()
    if kind == "bytes":
        return base64.b64decode(rest["data"])
    if kind == "tuple":
        return tuple(unpack(item) for item in rest["items"])
    if kind == "dict":
        return {key: unpack(item) for key, item in rest["items"].items()}
    if kind not in KINDS:
        raise ValueError(f"a recording holds {kind!r}, which is none of {sorted(KINDS)}")
    return KINDS[kind](**{key: unpack(item) for key, item in rest.items()})


class Recorder:
    """Writes down what a session is given. Call it beside `Session.receive` and `Session.handle_timer`."""

    def __init__(self, stream: TextIO, settings: SessionConfig, session_id: str) -> None:
        self._stream = stream
        self._line({"session": session_id, "config": pack(settings)})

    def event(self, event: Event, now_ms: int) -> None:
        """The session is about to receive `event`."""
        self._line({"now_ms": now_ms, "event": pack(event)})

    def timer(self, now_ms: int) -> None:
        """The session's timer is about to be handled."""
        self._line({"now_ms": now_ms, "timer": True})

    def _line(self, value: dict[str, Any]) -> None:
        self._stream.write(json.dumps(value, separators=(",", ":")) + "\n")


def replay(lines: Iterable[str], make_encoder: MakeEncoder = only_pcm16, draw: Draw = no_jpeg) -> Iterator[Action]:
    """The actions of a recorded session, in order. `make_encoder` and `draw` as for `Session`.

    Raises:
        ValueError: no recording, or one of another version.
    """
    numbered = iter(lines)
    head = json.loads(next(numbered, "{}"))
    if "session" not in head:
        raise ValueError("a recording begins with a line that names its session")
    session = Session(unpack(head["config"]), head["session"], make_encoder, draw)
    yield from session.actions()
    for line in numbered:
        step = json.loads(line)
        if "timer" in step:
            session.handle_timer(step["now_ms"])
        else:
            session.receive(unpack(step["event"]), step["now_ms"])
        yield from session.actions()
