"""What is made of a user's pauses: the model is asked, the wait is set, and what follows is learned from.

Sound that comes while the model weighs waits (`Ear`), so a decision depends on what was said and how long the silence was,
and not on when a packet arrived. A model that cannot say, or does not say in time, leaves `VadConfig.pause_ms` and
`end_ms` as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.realtime.actions import Weigh
from vivavoce.realtime.config import PatienceConfig
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.patience import Bar, Rhythm, Waits, patience
from vivavoce.realtime.settings import Settings


@dataclass(frozen=True)
class Question:
    """What the model was asked, after how much silence, and until when its word is waited for."""

    number: int
    silent_ms: int
    due_ms: int


class Pauses:
    """One user's. `asked` is the question that is open, if any."""

    def __init__(self, config: PatienceConfig, settings: Settings, out: Outbox) -> None:
        self._config = config
        self._settings = settings
        self._out = out
        self._numbers = 0
        self._ended: tuple[int, int] | None = None
        self.asked: Question | None = None
        self.rhythm = Rhythm(config)
        self.bar = Bar(config)

    def hushed(self, silent_ms: int, now_ms: int) -> None:
        """The user has just fallen silent: does that sound like the end?"""
        self._numbers += 1
        self.asked = Question(self._numbers, silent_ms, now_ms + self._config.weigh_wait_ms)
        self._out.tell(Weigh(self._numbers))

    def weighed(self, number: int, completeness: float | None) -> Waits | None:
        """The model's word; None if it has none, or it is about another pause."""
        asked = self.asked
        if asked is None or number != asked.number:
            return None
        self.asked = None
        if completeness is None:
            return None
        price, longest_ms = self._settings.eagerness or (1.0, self._config.longest_ms)
        return patience(
            completeness,
            asked.silent_ms,
            self.rhythm,
            self._config,
            bar=self.bar.value,
            price=price,
            longest_ms=longest_ms,
            end_ms=self._settings.silence_ms,
        )

    def ended(self, silent_since_ms: int, at_ms: int) -> None:
        """t4: the silence since then is taken for the end of the turn."""
        self._ended = silent_since_ms, at_ms

    def regrets(self, at_ms: int) -> bool:
        """A voice so soon after the end of a turn: it had not been the end."""
        return self._ended is not None and at_ms - self._ended[1] <= self._config.regret_ms

    def began(self, at_ms: int) -> None:
        """The user begins a turn."""
        if self._ended is not None and self.regrets(at_ms):
            self.rhythm.resumed(at_ms - self._ended[0])
        self._ended = None

    def went_on(self, pauses: list[int]) -> None:
        """The user went on after pauses of these lengths."""
        for ms in pauses:
            self.rhythm.resumed(ms)
        pauses.clear()
