"""How long a session may last, and the word before its end."""

from __future__ import annotations

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import Refused
from vivavoce.realtime.extensions import GOING_AWAY
from vivavoce.realtime.outbox import Outbox


class Lifetime:
    """Counts from the session's first millisecond."""

    def __init__(self, config: SessionConfig, out: Outbox) -> None:
        self._most_ms = config.max_session_ms
        self._notice_ms = config.going_away_ms
        self._out = out
        self._told = False

    def due_at(self) -> int | None:
        """When `tick` wants to be called."""
        if self._most_ms is None:
            return None
        wanted = GOING_AWAY in self._out.extensions and not self._told
        return max(0, self._most_ms - self._notice_ms) if wanted else self._most_ms

    def tick(self, now_ms: int) -> bool:
        """Time has passed: is the session over? A client that asked for it is told some time before."""
        due_ms = self.due_at()
        if self._most_ms is None or due_ms is None or now_ms < due_ms:
            return False
        if now_ms >= self._most_ms:
            return True
        self.announce(self._most_ms - now_ms)
        return False

    def announce(self, left_ms: int) -> None:
        """It will end in `left_ms`."""
        self._told = True
        self._out.offer({"type": GOING_AWAY, "time_left_ms": left_ms})

    @property
    def expired(self) -> Refused:
        """What the client is told at the end."""
        minutes = (self._most_ms or 0) / 60_000
        return Refused("session_expired", f"Your session hit the maximum duration of {minutes:g} minutes.")
