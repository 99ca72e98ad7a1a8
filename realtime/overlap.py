"""A sound of the user's during an answer: "mhm", a cough, or do they take the floor?

    voice   ─────▂▅▇▅▂──────────────────────▂▅▇▅▃▅▇▆▅▇▆▃
    answer  ▅▇▅▃▂▅▇│      │▂▅▇▅▅▇▆▅▃▂▅▇▆▃▂▅▇│       ╳ cut
                pause    resume           pause

The answer waits with the first 96 ms of it. Nothing in so short a sound says what it is, so its length does: what falls silent
before `voice_ms` was nothing, and the answer goes on at the sample where it stood; the rest is an interruption. Clients that know
no pause play on what they have; there the decision must be quicker, for they can only be told to throw it away.
"""

from __future__ import annotations

from vivavoce.realtime.config import OverlapConfig
from vivavoce.realtime.floor import Floor


class Overlap:
    """One user's. `since_ms`: when the sound began that is being doubted; None: there is none."""

    def __init__(self, config: OverlapConfig, floor: Floor) -> None:
        self._config = config
        self._floor = floor
        self._passed_ms: int | None = None
        self.since_ms: int | None = None
        self.due_ms: int | None = None
        """When the answer goes on if no sound comes any more that could decide."""

    def reset(self) -> None:
        """There is no such sound any more."""
        self.since_ms = self.due_ms = None

    def may_interrupt(self, now_ms: int) -> bool:
        """A client's echo canceller has had time to learn."""
        first_ms = self._floor.delivery.first_sound_ms
        return first_ms is None or now_ms - first_ms >= self._config.echo_guard_ms

    def began(self, at_ms: int, now_ms: int) -> bool:
        """A voice during the answer. False if there is nothing to doubt."""
        soonest, latest = self._config.again_ms
        again = self._passed_ms is not None and soonest <= at_ms - self._passed_ms <= latest
        if again or not self._longest_ms:
            return False
        self.since_ms, self.due_ms = at_ms, now_ms + self._config.stalled_ms
        self._floor.overlap_began(now_ms)
        return True

    def is_long(self, at_ms: int) -> bool:
        """Nobody says "mhm" for so long."""
        return self.since_ms is not None and at_ms - self.since_ms >= self._longest_ms

    def passed(self, at_ms: int, now_ms: int) -> None:
        """It was nothing."""
        self.reset()
        self._passed_ms = at_ms
        self._floor.overlap_passed(now_ms)

    @property
    def _longest_ms(self) -> int:
        return self._config.voice_ms if self._floor.pauses else self._config.unpaused_voice_ms
