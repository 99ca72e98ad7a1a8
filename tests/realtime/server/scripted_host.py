"""A host that has learned its part by heart, for tests of everything around the model. It crosses to a child process too."""

from __future__ import annotations

import os
from collections import Counter, deque

import numpy as np

from vivavoce.model.messages import (
    AddText,
    Answer,
    Cancel,
    Close,
    Cut,
    Doubt,
    Doubted,
    Ended,
    Failed,
    Handled,
    Listen,
    Open,
    Opened,
    Reply,
    Request,
    Rewind,
    Spoke,
    Transcribed,
    Usage,
    Weigh,
    Weighed,
)
from vivavoce.realtime.server.port import ModelRefused

QUESTION = "what colour is the circle"
WORDS = ("The circle", " is red.")
PIECE = 24_000 * 3 // 10
"""Samples said with each of the WORDS: 300 ms."""


def tone() -> np.ndarray:
    """300 ms of something audible."""
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(PIECE) / 24_000)).astype(np.float32)


class ScriptedHost:
    """Answers every turn with WORDS. `requests` keeps what it was asked.

    The user's text "die" ends the process it lives in, "fail" makes a `Failed`.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: deque[Reply] = deque()
        self._frames: Counter[str] = Counter()
        self._handled: list[Handled] = []

    @property
    def busy(self) -> bool:
        return bool(self._script)

    def handled(self) -> list[Handled]:
        handled, self._handled = self._handled, []
        return handled

    def handle(self, message: Request) -> list[Reply]:
        self.requests.append(message)
        if not isinstance(message, Close):
            self._handled.append(Handled(message.session, self.frames(message.session)))
        match message:
            case Open(session):
                return [Opened(session, 4096, 24_000)]
            case AddText(_, _, "die"):
                os._exit(7)
            case AddText(session, _, "fail"):
                return [Failed(session, None, "the script says so")]
            case Weigh(session, number):
                return [Weighed(session, number, None)]
            case Doubt(session, number):
                return [Doubted(session, number, None)]
            case Answer(session, turn):
                self._script += [
                    Transcribed(session, turn, QUESTION),
                    *(Spoke(session, turn, word, tone(), 300 * n) for n, word in enumerate(WORDS)),
                    Ended(session, turn, "done", Usage(text_in=2, audio_in=13, text_out=5, audio_out=10)),
                ]
            case Rewind() | Cut() | Cancel() | Close():
                self._script = deque(line for line in self._script if line.session != message.session)
                if isinstance(message, Close):
                    del self._frames[message.session]
        return []

    def step(self) -> list[Reply]:
        if not self._script:
            return []
        line = self._script.popleft()
        self._frames[line.session] += 1
        return [line]

    def frames(self, session: str) -> int:
        return self._frames[session]

    def asked(self, session: str, kind: type) -> list[Request]:
        """Requests of one kind of a session."""
        return [request for request in self.requests if request.session == session and isinstance(request, kind)]

    def heard_ms(self) -> int:
        """Sound it was given to listen to."""
        chunks = [request.chunk for request in self.requests if isinstance(request, Listen)]
        return sum(chunk.audio.ms for chunk in chunks if chunk.audio is not None)


def refused() -> ScriptedHost:
    """What a checkpoint that does not fit looks like."""
    raise ModelRefused("model.safetensors: lm_head.weight is [8, 4], expected [16, 4]\n  and more of that kind")


def stillborn() -> ScriptedHost:
    """A process that dies while it loads."""
    os._exit(3)
