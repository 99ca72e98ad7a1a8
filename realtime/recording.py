"""A whole conversation as JSON lines: what went into the session, what it wanted done, and where the model stood meanwhile.

    {"recording": 1, "session": "sess_1", "config": {...}, "about": {...}}
    {"blob": "9f2c...", "data": "AAAA..."}                      sound or a picture, once, under its hash (SHA-256)
    {"now_ms": 20, "event": {"kind": "AudioIn", ...}}           what `replay.py` has, sound and pictures by their hashes
    {"now_ms": 900, "timer": true}
    {"did": {"kind": "Send", ...}}                              what the session wanted done, long values by their hashes
    {"opened": "5d41...", "seed": 0, "arithmetic": {...}}       the model's fingerprint, what its dice begin with, how it computes
    {"handled": "sess_1", "frames": 14}                         the model carried out one more request, so many steps into replies
    {"lost": true}                                              its process died, and a new one came
    {"end": "hung up"}

The session is pure: run again it does the same. The model runs again in its own time, request by request between the
same steps; both in `server/rerun.py`. Streams are handed in; this file opens none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vivavoce.realtime.actions import Action
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import Event
from vivavoce.realtime.replay import pack, unpack

VERSION = 1
LONG = 200
"""Characters from which on a value stands apart, under its hash."""

Json = dict[str, Any]
Write = Callable[[Json], None]


class Unreadable(ValueError):
    """This is no recording, or one of another version, or it is broken; says which line."""


def digest(text: str) -> str:
    """What a blob is called."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Writer:
    """Writes the lines of one recording; `write` takes each as a JSON value."""

    def __init__(self, write: Write, session: str, config: SessionConfig, about: Json) -> None:
        """`about`: whatever else is worth knowing, such as the model's fingerprint."""
        self._write = write
        self._known: set[str] = set()
        config = replace(config, record_to="")  # that it may be recorded matters, and not where
        write({"recording": VERSION, "session": session, "config": pack(config), "about": about})

    def event(self, event: Event, now_ms: int) -> None:
        """The session received `event`."""
        self._write({"now_ms": now_ms, "event": put_apart(pack(event), self._keep)})

    def timer(self, now_ms: int) -> None:
        """Its timer was handled."""
        self._write({"now_ms": now_ms, "timer": True})

    def did(self, action: Action) -> None:
        """It wanted `action` done."""
        self._write({"did": brief(action)})

    def opened(self, fingerprint: str, seed: int, arithmetic: Json | None = None) -> None:
        """The model began; `arithmetic`: `threads` of one operation, and what `kind` of machine."""
        self._write({"opened": fingerprint, "seed": seed} | ({"arithmetic": arithmetic} if arithmetic else {}))

    def handled(self, session: str, frames: int) -> None:
        """The model carried out one more request."""
        self._write({"handled": session, "frames": frames})

    def lost(self, restarting: bool) -> None:
        """The model's process died."""
        self._write({"lost": restarting})

    def end(self, why: str) -> None:
        """Nothing more happened."""
        self._write({"end": why})

    def _keep(self, data: str) -> str:
        name = digest(data)
        if name not in self._known:
            self._known.add(name)
            self._write({"blob": name, "data": data})
        return name


def put_apart(value: Any, keep: Callable[[str], str]) -> Any:
    """A packed value with its long strings replaced by `{"blob": name, "length": ...}`; `keep` gives a string its name."""
    if isinstance(value, dict):
        return {key: put_apart(item, keep) for key, item in value.items()}
    if isinstance(value, list):
        return [put_apart(item, keep) for item in value]
    if isinstance(value, str) and len(value) >= LONG:
        return {"blob": keep(value), "length": len(value)}
    return value


def fetched(value: Any, blobs: dict[str, str]) -> Any:
    """The packed value again. Raises KeyError for a blob that is not there."""
    if isinstance(value, dict):
        if value.keys() == {"blob", "length"}:
            return blobs[value["blob"]]
        return {key: fetched(item, blobs) for key, item in value.items()}
    return [fetched(item, blobs) for item in value] if isinstance(value, list) else value


def brief(value: Any) -> Any:
    """An action or an event, as it is shown and compared: long values by their hashes and lengths alone."""
    packed: Any = json.loads(json.dumps(pack(value)))
    return put_apart(packed, digest)


@dataclass(frozen=True)
class Step:
    """One thing that happened. Of the fields, those of its `kind` are set: event, timer, did, opened, handled, lost, end."""

    kind: str
    line: int
    now_ms: int = 0
    event: Event | None = None
    value: Any = None
    """What was done, in brief; the model's fingerprint; the name of its session; whether a new process came; why it ended."""
    frames: int = 0
    arithmetic: Json = field(default_factory=dict)
    """How the model computed, if its process said so: `threads`, `kind`."""


@dataclass
class Recording:
    """All of it."""

    session: str
    config: SessionConfig
    about: Json
    steps: list[Step] = field(default_factory=list)

    @property
    def length_ms(self) -> int:
        """How long it took."""
        return max((step.now_ms for step in self.steps), default=0)

    @property
    def arithmetic(self) -> Json:
        """How the model computed: `threads` of one operation, and what `kind` of machine; empty if nobody knows."""
        return next((step.arithmetic for step in self.steps if step.kind == "opened"), {})


def read(lines: Iterable[str]) -> Recording:
    """A recording from its lines.

    Raises:
        Unreadable: it is none.
    """
    blobs: dict[str, str] = {}
    recording: Recording | None = None
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            value = json.loads(line)
            if recording is None:
                if value.get("recording") != VERSION:
                    raise Unreadable(f"line 1 is not the head of a recording of version {VERSION}")
                recording = Recording(value["session"], unpack(value["config"]), value["about"])
            elif "blob" in value:
                if digest(value["data"]) != value["blob"]:
                    raise Unreadable(
                        f"line {number}: the hash of its data is {digest(value['data'])}, not {value['blob']}"
                    )
                blobs[value["blob"]] = value["data"]
            else:
                recording.steps.append(_step(value, number, blobs))
    except Unreadable:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreadable(f"line {number} cannot be read: {type(error).__name__}: {error}") from None
    if recording is None:
        raise Unreadable("there is nothing in it")
    return recording


def _step(value: Json, line: int, blobs: dict[str, str]) -> Step:
    if "event" in value:
        return Step("event", line, value["now_ms"], event=unpack(fetched(value["event"], blobs)))
    if "timer" in value:
        return Step("timer", line, value["now_ms"])
    if "handled" in value:
        return Step("handled", line, value=value["handled"], frames=value["frames"])
    if "opened" in value:
        return Step("opened", line, value=value["opened"], arithmetic=value.get("arithmetic") or {})
    (kind,) = value.keys() & {"did", "lost", "end"}
    return Step(kind, line, value=value[kind])
