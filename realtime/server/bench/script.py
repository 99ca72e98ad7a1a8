"""What a user says and when, one packet after the other, by what they have heard so far. Pure: scripts are generators.

packet = script.send(ear)  # float32 [TICK], what the microphone picks up next
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vivavoce.realtime.server.bench.sound import TICK, Float32, Span, samples

QUESTION, PAUSING, BACKCHANNEL, INTERRUPTION, NOISE = "question", "pausing", "backchannel", "interruption", "noise"
KINDS = (QUESTION, PAUSING, BACKCHANNEL, INTERRUPTION, NOISE)
"""What a clip is: a question, one with pauses to think in it, "mhm", something that wants the floor, no speech at all."""
OVERLAPS = (INTERRUPTION, BACKCHANNEL, NOISE)

QUIET = samples(1_200)
"""An answer of which nothing was heard for so long, and nothing is announced, is over."""
PATIENCE = samples(15_000)
"""A user who has heard nothing for so long asks the next question."""
ENDLESS = samples(60_000)
"""Nor does anybody listen any longer than this."""
JUST_NOW = samples(120)
"""A voice that was audible so recently is speaking."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording: float32 [samples] at `RATE_HZ`, and where somebody speaks in it."""

    name: str
    kind: str
    pcm: Float32
    speech: tuple[Span, ...]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Said:
    """A clip on the tape."""

    turn: int
    at: int
    clip: Clip

    @property
    def speech(self) -> list[Span]:
        """Where the user speaks, on the tape."""
        return [(self.at + first, self.at + behind) for first, behind in self.clip.speech]

    @property
    def first(self) -> int:
        """The first sample of speech."""
        return self.at + self.clip.speech[0][0]

    @property
    def end(self) -> int:
        """Behind the last sample of speech."""
        return self.at + self.clip.speech[-1][1]


@dataclass(frozen=True)
class Ear:
    """What the user knows of the other side."""

    last_audible: int | None = None
    busy: bool = False
    """Sound is still waiting to be played."""
    pending: int = 0
    """Answers that have begun and not ended."""


Script = Generator[Float32, Ear, None]


@dataclass
class User:
    """Speaks, and remembers when. Each of the methods is a part of a script."""

    now: int = 0
    said: list[Said] = field(default_factory=list)
    progress: int = 0
    """Turns that are over."""

    def questions(self, clips: Sequence[Clip], seed: int, first_wait: int = 0) -> Script:
        """One after the other, each when the answer to the last is over."""
        dice = np.random.default_rng(seed)
        ear = yield from self.silence(first_wait)
        for turn, clip in enumerate(clips):
            yield from self.silence(samples(dice.uniform(300, 800)))
            said = yield from self.say(clip, turn)
            ear = yield from self.hear_out(said.end, ear)
            self.progress += 1

    def overlaps(self, trials: Sequence[tuple[Clip, Clip]], seed: int) -> Script:
        """A question each, and while its answer can be heard, something else."""
        dice = np.random.default_rng(seed)
        for turn, (question, overlap) in enumerate(trials):
            yield from self.silence(samples(dice.uniform(300, 800)))
            asked = yield from self.say(question, turn)
            into = samples(dice.uniform(200, 700))
            ear, speaking = yield from self.hear_begin(asked.end, into)
            end = asked.end
            if speaking:
                said = yield from self.say(overlap, turn)
                end = said.end if overlap.kind == INTERRUPTION else end
            yield from self.hear_out(end, ear)
            self.progress += 1

    def say(self, clip: Clip, turn: int) -> Generator[Float32, Ear, Said]:
        """The clip from now on, and silence up to the next packet."""
        said = Said(turn, self.now, clip)
        self.said.append(said)
        padded = np.pad(clip.pcm, (0, -len(clip.pcm) % TICK)).astype(np.float32)
        for packet in padded.reshape(-1, TICK):
            yield from self._send(packet)
        return said

    def silence(self, length: int) -> Generator[Float32, Ear, Ear]:
        """At least so many samples of it."""
        ear = Ear()
        for _ in range(-(-length // TICK)):
            ear = yield from self._send(SILENCE)
        return ear

    def hear_begin(self, since: int, into: int) -> Generator[Float32, Ear, tuple[Ear, bool]]:
        """Until an answer has been audible for `into` samples -> whether it is; False if it ended before, or never came."""
        begun: int | None = None
        while True:
            ear = yield from self._send(SILENCE)
            heard = ear.last_audible is not None and ear.last_audible > since
            if heard and begun is None:
                begun = self.now
            if begun is not None and self.now - begun >= into:
                return ear, self.now - (ear.last_audible or 0) <= JUST_NOW
            if self.now - since > PATIENCE or (heard and self._is_over(ear, since)):
                return ear, False

    def hear_out(self, since: int, ear: Ear) -> Generator[Float32, Ear, Ear]:
        """Until the answer to what ended at `since` is over, or none comes."""
        while not self._is_over(ear, since):
            ear = yield from self._send(SILENCE)
        return ear

    def _is_over(self, ear: Ear, since: int) -> bool:
        waited = self.now - since
        if waited > ENDLESS:
            return True
        if ear.last_audible is None or ear.last_audible <= since:
            return waited > PATIENCE
        return not ear.busy and not ear.pending and self.now - ear.last_audible > QUIET

    def _send(self, packet: Float32) -> Generator[Float32, Ear, Ear]:
        ear = yield packet
        self.now += TICK
        return ear


SILENCE = np.zeros(TICK, np.float32)
