"""What a recorded model was asked, asked of a model again, request by request between the same steps: does it say the same?"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from vivavoce.model import messages
from vivavoce.realtime import events
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.recording import Step, Unreadable, brief
from vivavoce.realtime.server.child import HostLike
from vivavoce.realtime.server.translate import beside_name, from_model

TOLERANCE = 1e-3
"""Of samples in -1..1, -60 dB; only where steps were shared otherwise than now, or computed on another machine or by another number
of threads. All else is the same to the bit."""

LOST = None
"""Between requests: the process died, and what it had not handled by then it never did."""


@dataclass(frozen=True)
class Difference:
    """Where it first did otherwise, and both values."""

    where: str
    recorded: Any
    rerun: Any


@dataclass
class Outcome:
    """What came of it."""

    conversation_ms: int = 0
    seconds: float = 0.0
    actions: int = 0
    answers: int = 0
    sound_ms: int = 0
    """What the model said, guesses among it."""
    shared: int = 0
    """Steps that other conversations had a part in, and now do not, or the other way round."""
    elsewhere: str = ""
    """How the model computed then, if it does otherwise now."""
    worst: float = 0.0
    """The most that a sample differs."""
    difference: Difference | None = None


class Different(Exception):
    """Carries a `Difference` to the end."""

    def __init__(self, where: str, recorded: Any, rerun: Any) -> None:
        super().__init__(where)
        self.difference = Difference(where, recorded, rerun)


@dataclass
class Past:
    """What the model was asked in a recording, and what it said."""

    session: str
    asked: list[messages.Request | None] = field(default_factory=list)
    handled: dict[tuple[int, str], deque[Step]] = field(default_factory=lambda: defaultdict(deque))
    """By the model's process, the first being 0, and its session: when each of the requests was."""
    said: dict[int | None, list[events.Event]] = field(default_factory=lambda: defaultdict(list))
    """By the number of the answer."""
    fingerprint: str = ""
    arithmetic: dict[str, Any] = field(default_factory=dict)
    """See `Recording.arithmetic`."""


class Interview:
    """Asks a model what the recorded one was asked, when it was."""

    def __init__(self, past: Past, host: HostLike, outcome: Outcome) -> None:
        self._past, self._host, self._outcome = past, host, outcome
        self._said: dict[int | None, int] = defaultdict(int)
        self._open: set[str] = set()
        self._process = 0

    def run(self) -> None:
        """Ask the model everything that it was asked then.

        Raises:
            Different: it said something else.
            Unreadable: it is another model.
        """
        try:
            for request in self._past.asked:
                if request is LOST:
                    self._finish()
                    self._close()
                    self._process += 1
                else:
                    self._ask(request)
            self._finish()
        finally:
            self._close()
        for turn, then in self._past.said.items():
            if self._said[turn] < len(then):
                where = f"{named(turn)}, piece {self._said[turn] + 1}"
                raise Different(where, brief(then[self._said[turn]]), "nothing more")

    def _ask(self, request: messages.Request) -> None:
        name, host = request.session, self._host
        if isinstance(request, messages.Close):
            self._finish()
            self._open.discard(name)
        elif handled := self._past.handled[self._process, name]:
            due = handled.popleft()
            while host.frames(name) < due.frames and host.busy:
                self._heard(host.step())
            if (frames := host.frames(name)) != due.frames:
                where = f"steps of replies before a {type(request).__name__} (line {due.line})"
                raise Different(where, due.frames, frames)
        else:
            return  # its process, or the conversation, ended before it was handled
        if isinstance(request, messages.Open):
            self._open.add(name)
        self._heard(host.handle(request))

    def _finish(self) -> None:
        """Let the model say what it said then."""
        while self._host.busy and any(self._said[turn] < len(then) for turn, then in self._past.said.items()):
            self._heard(self._host.step())

    def _close(self) -> None:
        """A new process knows nothing, and neither shall who comes after this recording."""
        for name in sorted(self._open):
            self._host.handle(messages.Close(name))
        self._open.clear()

    def _heard(self, replies: list[messages.Reply]) -> None:
        for reply in replies:
            if isinstance(reply, messages.Opened):
                self._check_model(reply)
            elif isinstance(reply, messages.Handled):
                continue
            elif reply.session == self._past.session or not isinstance(reply, messages.Transcribed):
                self._compare(self._event(reply))

    def _check_model(self, reply: messages.Opened) -> None:
        then = self._past.fingerprint
        if then and reply.fingerprint != then:
            raise Unreadable(
                f"it was made with another model: {then}, and this one is {reply.fingerprint or 'unnamed'}"
            )
        self._check_arithmetic(reply.arithmetic)

    def _check_arithmetic(self, now: messages.Arithmetic | None) -> None:
        then = self._past.arithmetic
        if then and now is not None and then != asdict(now):
            threads = then.get("threads")
            self._outcome.elsewhere = f"{then.get('kind')}, {threads} {'thread' if threads == 1 else 'threads'}"

    def _event(self, reply: messages.Reply) -> events.Event:
        event = from_model(reply)
        if isinstance(event, events.ModelFailed) and reply.session != self._past.session:
            turns = (
                turn for turn in self._past.said if turn and beside_name(self._past.session, turn) == reply.session
            )
            return replace(event, turn=next(turns, event.turn))
        return event

    def _compare(self, now: events.Event) -> None:
        turn = getattr(now, "turn", None)
        then, at = self._past.said.get(turn, []), self._said[turn]
        self._said[turn] += 1
        if at >= len(then):
            return  # by then nobody listened any more
        where, before = f"{named(turn)}, piece {at + 1}", then[at]
        self._outcome.answers += isinstance(now, events.AnswerEnded)
        if not isinstance(now, events.AnswerSpoke) or not isinstance(before, events.AnswerSpoke):
            if brief(now) != brief(before):
                raise Different(where, brief(before), brief(now))
            return
        if (before.text, before.at_ms, len(before.pcm)) != (now.text, now.at_ms, len(now.pcm)):
            raise Different(where, words_of(before), words_of(now))
        self._outcome.sound_ms += len(now.pcm) * 1000 // OUTPUT_RATE_HZ
        shared = abs(before.shared - now.shared)  # sessions of this recording share steps with each other this time too
        self._outcome.shared = max(self._outcome.shared, shared)
        rounded = self._outcome.shared or self._outcome.elsewhere
        self._compare_sound(where, before.pcm, now.pcm, TOLERANCE if rounded else 0.0)

    def _compare_sound(self, where: str, before: np.ndarray, now: np.ndarray, tolerance: float) -> None:
        if before.tobytes() == now.tobytes():
            return
        apart = np.abs(before.astype(np.float64) - now)
        at = int(apart.argmax()) if apart.any() else 0
        self._outcome.worst = max(self._outcome.worst, float(apart[at]))
        if not apart[at] <= tolerance:
            raise Different(f"{where}, sample {at}", float(before[at]), float(now[at]))


def words_of(piece: events.AnswerSpoke) -> Any:
    """What must be the same of it besides the sound itself."""
    return brief(replace(piece, effort=(), shared=0))


def named(turn: int | None) -> str:
    """An answer in words."""
    return "what the model said of no answer" if turn is None else f"answer {turn}"
