"""A sound of the user's during an answer: "mhm", a cough, or do they take the floor?

    voice   ─────▂▅▇▅▂──────────────────────▂▅▇▅▃▅▇▆▅▇▆▃
    model        ?  ? ?                     ?  ? !
    answer  ▅▇▅▃▂▅▇│      │▂▅▇▅▅▇▆▅▃▂▅▇▆▃▂▅▇│    ╳ cut
                pause    resume           pause

The answer waits with the first 96 ms of it, and the model is asked what it makes of the sound (`Doubt`), again as the sound goes
on, and when it is over. An interruption is one even if it is short, and a "mhm" is none even if it is long, or comes right after
the end of the turn. Where the model cannot tell, length does: what falls silent before `voice_ms` was nothing, and the answer
goes on at the sample where it stood; the rest is an interruption, and so is any voice right after the end of the turn. Clients
that know no pause play on what they have; there the decision must be quicker, for they can only be told to throw it away.
"""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.codecs.media import AudioChunk
from vivavoce.realtime.actions import Doubt
from vivavoce.realtime.config import OverlapConfig
from vivavoce.realtime.floor import Floor


@dataclass(frozen=True)
class Question:
    """What the model was asked about a sound; `silent_since_ms`: since when it has been over, None while it goes on."""

    number: int
    due_ms: int
    silent_since_ms: int | None


class Overlap:
    """One user's. `since_ms`: when the sound began that is being doubted; None: there is none."""

    def __init__(self, config: OverlapConfig, floor: Floor) -> None:
        self._config = config
        self._floor = floor
        self._numbers = 0
        self._tells = True
        """The model can tell, as far as is known."""
        self._word: float | None = None
        self._wanted = self._again = False
        self._asked_ms = 0
        self._passed_ms: int | None = None
        self.since_ms: int | None = None
        self.asked: Question | None = None
        """The question that is open, if any."""
        self.due_ms: int | None = None
        """When the answer goes on if no sound comes any more that could decide."""

    def reset(self) -> None:
        """There is no such sound any more."""
        self.since_ms = self.due_ms = self.asked = self._word = None
        self._asked_ms = 0

    def may_interrupt(self, now_ms: int) -> bool:
        """A client's echo canceller has had time to learn."""
        first_ms = self._floor.delivery.first_sound_ms
        return first_ms is None or now_ms - first_ms >= self._config.echo_guard_ms

    def began(self, at_ms: int, now_ms: int, expected: bool) -> bool:
        """A voice during the answer. False if there is nothing to doubt. `expected`: the user had hardly finished."""
        soonest, latest = self._config.again_ms
        self._again = self._passed_ms is not None and soonest <= at_ms - self._passed_ms <= latest
        self._wanted = expected or self._again
        if not self._longest_ms or (self._wanted and not self._tells):
            return False
        self.since_ms = at_ms
        self.goes_on(now_ms)
        self._floor.overlap_began(now_ms)
        return True

    def goes_on(self, now_ms: int) -> None:
        """There is sound to decide by."""
        self.due_ms = now_ms + self._config.stalled_ms

    # --- what the model makes of it --------------------------------------------------------------------------------

    def wonders(self, at_ms: int) -> bool:
        """The sound has gone on for so long, up to `at_ms`, that the model ought to be asked about it, or asked again."""
        if self.since_ms is None or not self._tells:
            return False
        return any(self._asked_ms < ms <= at_ms - self.since_ms for ms in self._config.ask_ms)

    def ask(self, sound: AudioChunk, now_ms: int, silent_since_ms: int | None = None) -> bool:
        """What is it, or what was it? False if there is nobody who could tell."""
        if self.since_ms is None or not self._tells:
            return False
        self._numbers += 1
        self._asked_ms = sound.end // (sound.rate // 1000) - self.since_ms
        self.asked = Question(self._numbers, now_ms + self._config.doubt_wait_ms, silent_since_ms)
        self._floor.out.do(Doubt(self._numbers, sound))
        return True

    def sound_from(self) -> int:
        """Where what the model is to hear begins."""
        return (self.since_ms or 0) - self._config.lead_ms

    def answered(self, number: int, interrupting: float | None) -> Question | None:
        """The model's word; None if it is about another sound."""
        asked = self.asked
        if asked is None or asked.number != number:
            return None
        self.asked, self._word, self._tells = None, interrupting, interrupting is not None
        return asked

    def unanswered(self) -> Question | None:
        """The model's word has not come in time."""
        asked, self.asked = self.asked, None
        return asked

    def takes_floor(self, at_ms: int, over: bool) -> bool:
        """It is an interruption, by what is known of a sound that has gone on until `at_ms`, or is `over`."""
        voice_ms = at_ms - (self.since_ms or 0)
        if self._word is None:
            return self._wanted or (not over and voice_ms >= self._longest_ms)
        if not over and voice_ms >= self._config.longest_voice_ms:
            return True
        late = over or voice_ms >= self._longest_ms
        likely = self._config.likely_again if self._again else self._config.likely
        return self._word >= (likely if late else self._config.certain)

    def passed(self, at_ms: int, now_ms: int) -> None:
        """It was nothing."""
        self.reset()
        self._passed_ms = at_ms
        self._floor.overlap_passed(now_ms)

    @property
    def _longest_ms(self) -> int:
        return self._config.voice_ms if self._floor.pauses else self._config.unpaused_voice_ms
