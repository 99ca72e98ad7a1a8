"""What the model's process did for whom, and for how long: told along with a reply's first sound.

The engine knows no clock; the host reads one around what it calls, and hands the durations out. A step is everybody's who had
a part in it: each of them waited for all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vivavoce.model.messages import Reply, Spoke, Stage, Stint

KEPT = 64
"""Pieces of work remembered for a session; from the end of a question to the first sound there are about ten."""


@dataclass(eq=False)
class _Account:
    """One session's."""

    work: deque[tuple[Stage, float, float]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """What, and from when to when, in milliseconds."""
    told: int | None = None
    """The reply whose effort has been told."""
    frames: int = 0
    shared: int = 0


class Watch:
    """Keeps account of the work for each session. `clock` gives milliseconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._accounts: dict[str, _Account] = {}

    def open(self, session: str) -> None:
        """A session begins."""
        self._accounts[session] = _Account()

    def close(self, session: str) -> None:
        """It has ended."""
        self._accounts.pop(session, None)

    def frames(self, session: str) -> int:
        """Steps of the session's replies that have been decoded."""
        account = self._accounts.get(session)
        return 0 if account is None else account.frames

    def decoded(self, session: str) -> None:
        """One more of them."""
        if (account := self._accounts.get(session)) is not None:
            account.frames += 1

    def worked(self, stage: Stage, sessions: Iterable[str], began: float) -> None:
        """A piece of work, done just now."""
        ended = self.now()
        for session in sessions:
            if (account := self._accounts.get(session)) is not None:
                account.work.append((stage, began, ended))

    def sensed(self, sessions: Sequence[str], began: float) -> None:
        """A batch of the encoders, done just now, with a piece of each of these."""
        for session in sessions:
            if (account := self._accounts.get(session)) is not None:
                account.shared += len(sessions) > 1
        self.worked("encode", sessions, began)

    def stepped(self, rows: Mapping[str, int], began: float) -> None:
        """A step of the engine, done just now: who had a part in it, with how many rows."""
        for session, count in rows.items():
            if (account := self._accounts.get(session)) is not None:
                account.shared += len(rows) > 1
            self.worked("prefill" if count > 1 else "decode", (session,), began)

    def tell(self, messages: Iterable[Reply]) -> list[Reply]:
        """The same messages; sound with how many steps were shared, the first of a reply with its effort."""
        return [self._told(message) for message in messages]

    def _told(self, message: Reply) -> Reply:
        account = self._accounts.get(message.session)
        if account is None or not isinstance(message, Spoke) or not len(message.pcm):
            return message
        if account.told == message.turn:
            return replace(message, shared=account.shared) if account.shared else message
        account.told, now = message.turn, self.now()
        effort = tuple(Stint(stage, round(now - begin, 3), round(end - begin, 3)) for stage, begin, end in account.work)
        return replace(message, effort=effort, shared=account.shared)
