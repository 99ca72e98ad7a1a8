"""What became of the time and of the sound of each answer, for clients that ask: `response.metrics`.

Times are milliseconds since the session began. What is measured is what the session knows: when it asked, when something
came, when it sent it; what a client plays, and when, only the client can say.

    speech end ──pause──▶ speculative start ──speculation──▶ turn end ──rest──▶ first audio
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import AnswerSpoke
from vivavoce.realtime.extensions import METRICS
from vivavoce.realtime.outbox import Outbox

Json = dict[str, Any]


@dataclass
class Timing:
    """One answer. Samples are at 24 kHz."""

    asked_ms: int
    speech_end_ms: int | None
    rollbacks: int = 0
    wasted: int = 0
    """Samples of the guesses before it, which nobody heard."""
    certain_ms: int | None = None
    first_token_ms: int | None = None
    first_audio_ms: int | None = None
    came: int = 0
    """Samples that the model made ..."""
    sent: int = 0
    """... and those that went to the client."""

    def waits(self) -> Json | None:
        """From the user's last sound to the first of the answer, in its parts; None if no sound was sent."""
        if self.first_audio_ms is None or self.certain_ms is None:
            return None
        if self.speech_end_ms is None:  # nobody spoke: the wait begins with the request
            pause = speculation = 0
        else:
            pause, speculation = self.asked_ms - self.speech_end_ms, self.certain_ms - self.asked_ms
        rest = self.first_audio_ms - self.certain_ms
        return {"pause": pause, "speculation": speculation, "rest": rest, "total": pause + speculation + rest}

    def sound(self) -> Json:
        """Milliseconds of it."""
        sent, discarded = in_ms(self.sent), in_ms(self.wasted + self.came - self.sent)
        return {"sent": sent, "discarded": discarded, "decoded": sent + discarded}


class Meter:
    """Measures one session's answers. Its owner keeps `now_ms` up to date."""

    def __init__(self, out: Outbox) -> None:
        self.now_ms = 0
        self.guessed: Callable[[bool, int, int], None] = lambda hit, made, wasted: None
        """Told of every guess at the end of a spoken turn: was it right, samples that it made, samples thrown away."""
        self._out = out
        self._timings: dict[int, Timing] = {}
        self._rollbacks = self._wasted = 0

    def begin(self) -> None:
        """The user takes the floor, or asks in writing."""
        self._rollbacks = self._wasted = 0

    def asked(self, turn: int, speech_end_ms: int | None = None) -> None:
        """The model is to answer; perhaps too early."""
        self._timings[turn] = Timing(self.now_ms, speech_end_ms, self._rollbacks, self._wasted)

    def asked_beside(self, turn: int) -> None:
        """The same of an answer that is none of the conversation's."""
        self._timings[turn] = Timing(self.now_ms, None, certain_ms=self.now_ms)

    def rewound(self, turn: int) -> None:
        """It was too early."""
        timing = self._timings.pop(turn, None)
        if timing is not None:
            self._rollbacks, self._wasted = timing.rollbacks + 1, timing.wasted + timing.came
            self.guessed(False, timing.came, timing.came)

    def certain(self, turn: int) -> None:
        """It was not, and the client is told."""
        self._timings[turn].certain_ms = self.now_ms

    def came(self, piece: AnswerSpoke) -> None:
        """More of an answer, sent or not."""
        timing = self._timings[piece.turn]
        if timing.first_token_ms is None:
            timing.first_token_ms = self.now_ms
        timing.came += len(piece.pcm)

    def sent(self, turn: int, samples: int) -> None:
        """Sound of an answer goes to the client."""
        timing = self._timings[turn]
        if samples and timing.first_audio_ms is None:
            timing.first_audio_ms = self.now_ms
        timing.sent += samples

    def done(self, turn: int, response_id: str, status: str) -> None:
        """`response.done` was sent."""
        timing = self._timings.pop(turn)
        if timing.speech_end_ms is not None:
            self.guessed(True, timing.came, 0)
        self._out.offer(
            {
                "type": METRICS,
                "response_id": response_id,
                "status": status,
                "speech_end_ms": timing.speech_end_ms,
                "speculative_start_ms": timing.asked_ms,
                "turn_end_ms": timing.certain_ms,
                "first_token_ms": timing.first_token_ms,
                "first_audio_ms": timing.first_audio_ms,
                "done_ms": self.now_ms,
                "rollback_count": timing.rollbacks,
                "wait_ms": timing.waits(),
                "audio_ms": timing.sound(),
            }
        )


def in_ms(samples: int) -> int:
    return samples * 1000 // OUTPUT_RATE_HZ
