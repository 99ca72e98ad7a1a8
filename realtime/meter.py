"""What became of the time and of the sound of each answer, for clients that ask: `response.metrics`.

Times are milliseconds since the session began. What is measured is what the session knows: when sound came, when it asked, when
something came back, with what the model says of its own time, when it sent it, and, where the server plays (WebRTC), when
that was played; what another client plays, and when, only it can say.

    speech end ──pause──▶ speculative start ──speculation──▶ turn end ──rest──▶ first audio
    capture │ pause │ transit, queue, encode, prefill, decode, codec │ held │ playback      the same, by who had it (stages.py)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vivavoce.realtime.actions import Measured
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import AnswerSpoke, Stint
from vivavoce.realtime.extensions import METRICS
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.stages import PARTS, Lateness, code_ago, shares

Json = dict[str, Any]

AUDIBLE = 10 ** (-50 / 20)
"""A sample that can be heard, -50 dB."""


@dataclass
class Timing:
    """One answer. Samples are at 24 kHz."""

    asked_ms: int
    speech_end_ms: int | None
    rollbacks: int = 0
    wasted: int = 0
    """Samples of the guesses before it, which nobody heard."""
    beside: bool = False
    """None of the conversation's; nobody plays it."""
    capture_ms: int = 0
    """How late the last of the user's voice came."""
    certain_ms: int | None = None
    first_token_ms: int | None = None
    first_sound_ms: int | None = None
    """The first of its sound was here, perhaps before it might be sent."""
    first_audio_ms: int | None = None
    """It was sent."""
    played_ms: int | None = None
    """It has been played, as far as the server knows."""
    effort: tuple[Stint, ...] = ()
    """What the model says of its time, with the first sound."""
    silent: int = 0
    """Samples before the first that can be heard."""
    audible: bool = False
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

    def parts(self) -> Json | None:
        """The same wait, and the first sound's way to the ear where it is known, by who had it; None if no sound was sent."""
        if self.first_audio_ms is None or self.first_sound_ms is None:
            return None
        spoken = self.speech_end_ms is not None
        parts: Json = dict.fromkeys(PARTS, 0)
        parts |= shares(self.first_sound_ms - self.asked_ms, self.effort)
        parts["capture"] = self.capture_ms if spoken else 0
        parts["pause"] = self.asked_ms - self.speech_end_ms if self.speech_end_ms is not None else 0
        parts["held"] = self.first_audio_ms - self.first_sound_ms
        parts["playback"] = None if self.played_ms is None else self.played_ms - self.first_audio_ms
        return {**parts, "total": sum(part or 0 for part in parts.values())}

    def first_code_ms(self) -> int | None:
        """When the model made the first speech frame."""
        ago = code_ago(self.effort)
        return None if ago is None or self.first_sound_ms is None else max(self.asked_ms, self.first_sound_ms - ago)

    def sound(self) -> Json:
        """Milliseconds of it."""
        sent, discarded = in_ms(self.sent), in_ms(self.wasted + self.came - self.sent)
        return {"sent": sent, "discarded": discarded, "decoded": sent + discarded}


class Meter:
    """Measures one session's answers. Its owner keeps `now_ms` up to date."""

    def __init__(self, out: Outbox, server_plays: bool = False) -> None:
        """`server_plays`: it will be known when the first of an answer has been played; its figures wait for that."""
        self.now_ms = 0
        self.guessed: Callable[[bool, int, int], None] = lambda hit, made, wasted: None
        """Told of every guess at the end of a spoken turn: was it right, samples that it made, samples thrown away."""
        self._out = out
        self._server_plays = server_plays
        self._lateness = Lateness()
        self._capture_ms = 0
        self._ended: dict[int, tuple[Timing, Json]] = {}
        self._timings: dict[int, Timing] = {}
        self._rollbacks = self._wasted = 0

    def arrived(self, end_ms: int) -> None:
        """Sound up to `end_ms` of its own time line came."""
        self._lateness.arrived(end_ms, self.now_ms)

    def voiced(self, at_ms: int) -> None:
        """What ends there is the user's voice."""
        self._capture_ms = self._lateness.of(at_ms, self.now_ms)

    def begin(self) -> None:
        """The user takes the floor, or asks in writing."""
        self._rollbacks = self._wasted = 0

    def asked(self, turn: int, speech_end_ms: int | None = None) -> None:
        """The model is to answer; perhaps too early."""
        self._timings[turn] = Timing(
            self.now_ms, speech_end_ms, self._rollbacks, self._wasted, capture_ms=self._capture_ms
        )

    def asked_beside(self, turn: int) -> None:
        """The same of an answer that is none of the conversation's."""
        self._timings[turn] = Timing(self.now_ms, None, certain_ms=self.now_ms, beside=True)

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
        if len(piece.pcm) and timing.first_sound_ms is None:
            timing.first_sound_ms, timing.effort = self.now_ms, piece.effort
        if not timing.audible:
            loud = np.abs(piece.pcm) >= AUDIBLE
            timing.audible = bool(loud.any())
            timing.silent += int(loud.argmax()) if timing.audible else len(piece.pcm)
        timing.came += len(piece.pcm)

    def sent(self, turn: int, samples: int) -> None:
        """Sound of an answer goes to the client."""
        timing = self._timings[turn]
        if samples and timing.first_audio_ms is None:
            timing.first_audio_ms = self.now_ms
        timing.sent += samples

    def playing(self, turn: int) -> None:
        """The first of an answer's sound has been played."""
        timing = self._ended[turn][0] if turn in self._ended else self._timings.get(turn)
        if timing is not None and timing.played_ms is None:
            timing.played_ms = self.now_ms
        self.unplayed(turn)

    def unplayed(self, turn: int) -> None:
        """No more will be known of when it was played."""
        if turn in self._ended:
            self._tell(*self._ended.pop(turn))

    def close(self) -> None:
        """The session is over, and its client is told nothing more."""
        for timing, head in self._ended.values():
            self._out.do(Measured({**head, **figures(timing)}))
        self._ended.clear()

    def done(self, turn: int, response_id: str, status: str) -> None:
        """`response.done` was sent."""
        timing = self._timings.pop(turn)
        if timing.speech_end_ms is not None:
            self.guessed(True, timing.came, 0)
        head = {"response_id": response_id, "status": status, "done_ms": self.now_ms}
        if self._server_plays and timing.first_audio_ms is not None and timing.played_ms is None and not timing.beside:
            self._ended[turn] = timing, head
        else:
            self._tell(timing, head)

    def _tell(self, timing: Timing, head: Json) -> None:
        report = {**head, **figures(timing)}
        self._out.do(Measured(report))
        self._out.offer({"type": METRICS, **report})


def figures(timing: Timing) -> Json:
    """All that was measured of one answer."""
    return {
        "speech_end_ms": timing.speech_end_ms,
        "speculative_start_ms": timing.asked_ms,
        "turn_end_ms": timing.certain_ms,
        "first_token_ms": timing.first_token_ms,
        "first_code_ms": timing.first_code_ms(),
        "first_sound_ms": timing.first_sound_ms,
        "first_audio_ms": timing.first_audio_ms,
        "played_ms": timing.played_ms,
        "rollback_count": timing.rollbacks,
        "wait_ms": timing.waits(),
        "parts_ms": timing.parts(),
        "leading_silence_ms": in_ms(timing.silent) if timing.audible else None,
        "audio_ms": timing.sound(),
    }


def in_ms(samples: int) -> int:
    return samples * 1000 // OUTPUT_RATE_HZ
