"""What becomes of an answer when the user makes a short sound: `vivavoce bench asides`.

In virtual time, through the very session that serves people: voices that training never had say "mhm" or "stop", cough or hum,
0.2 to 0.7 s into an answer; the turn detector hears it, the model is asked what the session asks it. Twice: with a client that
can stand still, as the server's own playback over WebRTC does, and with one that knows no pause.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vivavoce.codecs.media import AudioChunk
from vivavoce.model.aside import BACKCHANNEL, NOISE, Aside
from vivavoce.model.train import asides, endings, voices
from vivavoce.model.train.listener import Listener
from vivavoce.realtime.actions import Answer, Doubt, Send, StopPlayback, Weigh
from vivavoce.realtime.config import INPUT_RATE_HZ, OUTPUT_RATE_HZ, VAD_WINDOW, VAD_WINDOW_MS, SessionConfig
from vivavoce.realtime.events import AnswerSpoke, AudioIn, Doubted, Weighed
from vivavoce.realtime.extensions import PAUSED, RESUMED
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.speech import Silero, SpeechMeter
from vivavoce.realtime.session import Session

STOP, MORE = "stop", "more"
KINDS = ("backchannel", "noise", STOP, MORE)
"""What is made: "stop" is a short word alone, "more" such a word and what follows, a question at once, or the rest of one."""
QUESTION_MS, END_MS, INTO_MS, AFTER_MS = 960, 320, (200, 700), 2_000
"""The question before, the silence behind it, where in the answer the sound begins, and what is heard after that."""
Ask = Callable[[np.ndarray], float | None]


@dataclass(frozen=True)
class Course:
    """What became of one answer; milliseconds from the first sample of the sound."""

    silent_ms: int | None
    """Silent for good from then on; None: it went on."""
    held_ms: int
    """How long it stood still altogether before it went on."""


@dataclass(frozen=True)
class Row:
    """One kind of sound, one kind of client."""

    kind: str
    client: str
    sounds: int
    cut: float
    """Share of the answers that were stopped."""
    silent_p50_ms: int | None
    silent_p95_ms: int | None
    held_p95_ms: int | None


def recording(rng: random.Random, kind: str, group: str, seed: int) -> tuple[np.ndarray, int]:
    """float32 [samples] at 16 kHz: the silence before, the sound, silence; and where the sound begins."""
    if kind in (STOP, MORE):
        said = rng.choice(asides.STOPS)
        while kind == MORE and said in asides.STOPS:
            said = asides.takes_floor(rng, held=True)
        sound = voices.speak(said, voices.random_voice(rng, group))
    else:
        sound = asides.made(rng, {"backchannel": BACKCHANNEL, "noise": NOISE}[kind], held=True, group=group)
    before = int(rng.uniform(*INTO_MS) * INPUT_RATE_HZ / 1000)
    after = np.zeros(AFTER_MS * INPUT_RATE_HZ // 1000, np.float32)
    return endings.in_the_room(np.concatenate([np.zeros(before, np.float32), sound, after]), seed), before


def course(wave: np.ndarray, begin: int, probabilities: Sequence[float], ask: Ask, pauses: bool) -> Course:
    """One answer, and the sound in it. `pauses`: the client can stand still."""
    wanted = {"extensions": [PAUSED]} if pauses else {}
    session = Session(SessionConfig(wanted=wanted), "bench")
    lead = (QUESTION_MS + END_MS) // VAD_WINDOW_MS
    before = [0.95] * (QUESTION_MS // VAD_WINDOW_MS) + [0.0] * (END_MS // VAD_WINDOW_MS)
    onset_ms = lead * VAD_WINDOW_MS + begin * 1000 // INPUT_RATE_HZ
    pcm = np.concatenate([np.zeros(lead * VAD_WINDOW, np.float32), wave])
    stood_ms: int | None = None
    held_ms = 0
    for number, probability in enumerate([*before, *probabilities]):
        at, now_ms = number * VAD_WINDOW, (number + 1) * VAD_WINDOW_MS
        session.receive(AudioIn(AudioChunk(pcm[at : at + VAD_WINDOW], INPUT_RATE_HZ, at), (probability,)), now_ms)
        while actions := session.actions():
            for action in actions:
                match action:
                    case Weigh(number=asked):
                        session.receive(Weighed(asked, 1.0), now_ms)
                    case Doubt(number=asked, sound=sound):
                        session.receive(Doubted(asked, ask(sound.pcm)), now_ms)
                    case Answer(turn=turn) if number <= lead:
                        spoken = np.full(OUTPUT_RATE_HZ * 10, 0.5, np.float32)
                        session.receive(AnswerSpoke(turn, "and so on", spoken, 0), now_ms)
                    case Send(event={"type": kind}) if kind == PAUSED:
                        stood_ms = now_ms
                    case Send(event={"type": kind}) if kind == RESUMED and stood_ms is not None:
                        held_ms, stood_ms = held_ms + now_ms - stood_ms, None
                    case StopPlayback():
                        return Course((stood_ms or now_ms) - onset_ms, held_ms)
    return Course(None, held_ms)


def hear(checkpoint: Path, count: int, seed: int, group: str) -> list[Row]:
    """`count` sounds of each kind.

    Raises:
        Unusable: the checkpoint cannot tell them apart.
    """
    net = Aside.load(checkpoint)
    if net is None:
        raise Unusable(f"{checkpoint} has no {Aside.FILE}; `vivavoce train turns` makes it")
    listener = Listener(checkpoint)
    found: dict[tuple[str, str], list[Course]] = {}
    for index in track(range(count * len(KINDS)), f"listening to voices: {group}"):
        kind, rng = KINDS[index % len(KINDS)], random.Random(f"asides {seed} {index}")
        wave, begin = recording(rng, kind, group, seed + index)
        probabilities = SpeechMeter(Silero.shared()).push(wave)
        for client in ("stands still", "plays on"):
            ended = course(wave, begin, probabilities, lambda pcm: heard(net, listener, pcm), client == "stands still")
            found.setdefault((kind, client), []).append(ended)
    return [row(kind, client, courses) for (kind, client), courses in found.items()]


def heard(net: Aside, listener: Listener, pcm: np.ndarray) -> float | None:
    """As the model's process does it."""
    frames = listener.frames(pcm)
    return net.interrupting(frames, listener.encoder) if len(frames) else None


def row(kind: str, client: str, courses: Sequence[Course]) -> Row:
    """Counted."""
    stopped = [course.silent_ms for course in courses if course.silent_ms is not None]
    held = [course.held_ms for course in courses if course.silent_ms is None]
    p50, p95, hold = (
        int(np.percentile(values, share)) if values else None
        for values, share in ((stopped, 50), (stopped, 95), (held, 95))
    )
    return Row(kind, client, len(courses), round(len(stopped) / len(courses), 4), p50, p95, hold)


def show(rows: dict[str, list[Row]], console: Console) -> None:
    """A table for each group of voices."""
    for group, some in rows.items():
        table = Table("sound", "client", "n", "cut", "silent after, median", "95 %", "held, 95 %", title=group)
        for one in some:
            times = (
                f"{ms} ms" if ms is not None else "" for ms in (one.silent_p50_ms, one.silent_p95_ms, one.held_p95_ms)
            )
            table.add_row(one.kind, one.client, str(one.sounds), f"{one.cut:.1%}", *times)
        console.print(table)


def save(rows: dict[str, list[Row]], out: Path) -> None:
    """The same as JSON."""
    out.write_text(json.dumps({group: [asdict(one) for one in some] for group, some in rows.items()}, indent=2) + "\n")
