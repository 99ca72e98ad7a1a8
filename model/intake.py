"""What callers say and show, waiting for the encoders: a queue a session, and one batch of everybody's next piece at a time.

Pieces of one conversation are encoded in order, since each goes on from the last; those of different conversations share a
batch. A batch is as large as there is time for: while somebody is being spoken to, it must be over before their next sound is
due. What a piece takes is learned from the batches before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from vivavoce.model.messages import AddCall, AddImage, AddText, Answer, Equip, Listen, Weigh
from vivavoce.model.pacing import Clock, Pulse

__all__ = ["Costly", "Intake", "Queued"]

Costly = Listen | AddImage
"""Requests for the encoders."""
Queued = Costly | AddText | Equip | AddCall | Answer | Weigh
"""Requests that may wait behind those. What stops a reply never does."""

FIRST_GUESS_MS = 20.0
"""Of a picture in the encoders, before any was measured."""
SECOND = 0.2
"""A second of sound, beside a picture."""
LEAST = 0.02
"""The shortest sound."""
LARGEST = 16
"""Pieces in a batch: more make none of them cheaper."""
LONGEST_MS = 50.0
"""A batch that nobody's sound limits: whoever asks meanwhile waits for all of it."""
PATIENCE = 3
"""So many steps the pieces may wait for those who are spoken to; then some go first."""
TOGETHER = 2
"""So many: together they cost half of what each costs alone."""


class Intake:
    """The queues of a process. Without a clock there is always time."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._queues: dict[str, deque[Queued]] = {}
        self._each = Pulse(clock, FIRST_GUESS_MS)
        self._longest_ms = math.inf if clock is None else LONGEST_MS
        self._yielded = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def holds(self, session: str) -> bool:
        """Something of this session waits."""
        return session in self._queues

    def put(self, request: Queued) -> None:
        """Wait, behind what the session has here. The first is one for the encoders."""
        self._queues.setdefault(request.session, deque()).append(request)

    def take(self, session: str) -> Iterator[Queued]:
        """Everything of one session, in order; it waits no more."""
        yield from self._queues.pop(session, ())

    def drop(self, session: str) -> None:
        """Nobody waits for what this session said any more."""
        self._queues.pop(session, None)

    def due(self, slack_ms: float | None) -> list[Costly]:
        """The first piece of each session, as many as there is time for in `slack_ms`; None: nobody's sound waits for them.

        Those go first whose turn may be over, since somebody waits for them. Else sessions take turns: whoever got in comes last
        the next time.
        """
        time_ms = min(self._longest_ms, math.inf if slack_ms is None else slack_ms)
        order = sorted(self._queues, key=self._has_time)
        costs = accumulate(weight(self._queues[session][0]) * self._each.ms for session in order[:LARGEST])
        count = sum(cost <= time_ms for cost in costs)
        if count == 0 and self._queues and time_ms < self._longest_ms:
            self._yielded += 1
            count = TOGETHER * (self._yielded // PATIENCE)
        elif count == 0 and self._queues:
            count = 1
        if count:
            self._yielded = 0
        return [self._next(session) for session in order[:count]]

    def _has_time(self, session: str) -> bool:
        """Nobody wants to know yet what is to come of it."""
        return not any(isinstance(request, Weigh | Answer) for request in self._queues[session])

    def light(self, session: str) -> Iterator[Queued]:
        """What follows in a session's queue without needing the encoders."""
        while (queue := self._queues.get(session)) and not isinstance(queue[0], Costly):
            yield queue.popleft()
            if not queue:
                del self._queues[session]

    def _next(self, session: str) -> Costly:
        queue = self._queues.pop(session)
        request = queue.popleft()
        assert isinstance(request, Costly), "a queue begins with a piece for the encoders"
        if queue:
            self._queues[session] = queue
        return request

    @contextmanager
    def measured(self, batch: Sequence[Costly]) -> Iterator[None]:
        """Around a batch: to know what the next will take."""
        with self._each.measured(sum(map(weight, batch))):
            yield


def weight(request: Queued) -> float:
    """What a piece takes, beside a picture, or the pair of a second."""
    match request:
        case Listen(chunk=chunk):
            return max(LEAST, bool(chunk.frames) + SECOND * (0 if chunk.audio is None else chunk.audio.ms / 1000))
        case AddImage():
            return 1
    return 0
