"""Who must hear something soon: what each reply has said, against how much of it can have been played.

A listener plays from the first sound on, and runs dry when what has been made since is over. Until then there is time for
others: to hear the rest of a question, or to see. Sound made long before it is played helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from vivavoce.codecs.media import FRAME_MS, SPEAK_RATE

__all__ = ["Clock", "Hurry", "Pace", "Pulse"]

Clock = Callable[[], float]
"""Milliseconds, from any beginning."""

FIRST_SOUND_MS = 120.0
"""From the request for a reply to when its first sound should be there: a guess is let out 128 ms later at the soonest."""
IN_STORE_MS = 300.0
"""Sound ahead of its listener that need not become more now."""
CAUTION = 0.7
"""How much of the time that is left is given away: what was learned is an average, and some take half as long again."""
LEARNING = 0.2
"""How much the newest measurement counts."""


@dataclass(eq=False)
class _Voice:
    dry_ms: float
    """When its listener runs dry."""
    heard: bool = False


class Pace:
    """The replies being spoken. `clock` gives milliseconds; without one nobody is in a hurry."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._voices: dict[str, _Voice] = {}

    def asked(self, session: str) -> None:
        """A spoken reply begins."""
        if self._clock is not None:
            self._voices[session] = _Voice(self._clock() + FIRST_SOUND_MS)

    def spoke(self, session: str, samples: int) -> None:
        """So much more of it has been made, at the codec's rate."""
        voice = self._voices.get(session)
        if voice is None or self._clock is None or not samples:
            return
        now = self._clock()
        voice.dry_ms = max(now, voice.dry_ms if voice.heard else now) + samples * 1000 / SPEAK_RATE
        voice.heard = True

    def ended(self, session: str) -> None:
        """It is over, or nobody listens any more."""
        self._voices.pop(session, None)

    def slack_ms(self) -> dict[str, float]:
        """How long each of the listeners can still wait; negative for one who has run dry."""
        if self._clock is None:
            return {}
        now = self._clock()
        return {session: voice.dry_ms - now for session, voice in self._voices.items()}


class Pulse:
    """How long one piece of some work takes, learned from the latest."""

    def __init__(self, clock: Clock | None, guess_ms: float) -> None:
        self._clock = clock
        self.ms = guess_ms

    @contextmanager
    def measured(self, pieces: float = 1) -> Iterator[None]:
        """Around so many pieces of it."""
        if self._clock is None:
            yield
            return
        began = self._clock()
        yield
        self.ms += LEARNING * ((self._clock() - began) / pieces - self.ms)


class Hurry:
    """What may be done now, seen from those who listen; they are given as `Pace.slack_ms`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._step = Pulse(clock, FRAME_MS / 2)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Around a step of the engine with its voices."""
        with self._step.measured():
            yield

    def left(self, slack_ms: Mapping[str, float]) -> float | None:
        """Milliseconds for others before the step that somebody must have; None: all the time there is."""
        return CAUTION * (min(slack_ms.values()) - self._step.ms) if slack_ms else None

    def held(self, slack_ms: Mapping[str, float], others_wait: bool) -> set[str]:
        """Who has so much in store that this step can do without them: if somebody else needs it sooner, or waits to be heard."""
        if not others_wait and not self._is_urgent(slack_ms):
            return set()
        return {session for session, ms in slack_ms.items() if ms > IN_STORE_MS}

    def _is_urgent(self, slack_ms: Mapping[str, float]) -> bool:
        return bool(slack_ms) and min(slack_ms.values()) < FRAME_MS + self._step.ms
