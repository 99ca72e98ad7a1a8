"""What a wrong guess costs those who made the model guess: `vivavoce bench rollback`.

In every pause to think the model begins an answer that nobody hears; the user goes on, it is taken back, and in the end there
is the true answer. The same is said to the same model once more without a guess: by how much later does the true answer's first
sound come after the guesses, and is it the same? Without a wire and without real time, so that what is measured is the model's
process alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from vivavoce.codecs.media import AudioChunk, MediaChunk
from vivavoce.codecs.pcm import Float32, resample
from vivavoce.model import messages
from vivavoce.realtime.config import INPUT_RATE_HZ
from vivavoce.realtime.server.bench.script import Clip
from vivavoce.realtime.server.bench.sound import RATE_HZ
from vivavoce.realtime.server.bench.stats import share, summary
from vivavoce.realtime.server.child import HostLike

Json = dict[str, Any]

FLUSHED_MS = 96
"""How much of a silence the model has heard when it begins to guess."""
PORTION_MS = 1_000
MOST_STEPS = 12
"""Of a wrong guess; the more, the more there is to take back."""


@dataclass(frozen=True)
class Asked:
    """One time that a question was asked."""

    first_sound_ms: float
    """From the request for the true answer to its first sound."""
    rewinds_ms: tuple[float, ...]
    """What taking each guess back took."""
    words: str
    sound: bytes


def measure(host: HostLike, clips: Sequence[Clip], turns: int, seed: int) -> Json:
    """Ask `turns` questions, each with guesses in its pauses and without, in changing order."""
    dice = np.random.default_rng(seed)
    added: list[float] = []
    rewinds: list[float] = []
    same = 0
    for number in track(range(turns), "guessing wrong"):
        clip = clips[number % len(clips)]
        steps = [int(step) for step in dice.integers(1, MOST_STEPS + 1, len(clip.speech) - 1)]
        asked = {guesses: ask(host, f"{number} {guesses}", clip, steps, guesses) for guesses in order(number)}
        added.append(asked[True].first_sound_ms - asked[False].first_sound_ms)
        rewinds += asked[True].rewinds_ms
        same += (asked[True].words, asked[True].sound) == (asked[False].words, asked[False].sound)
    return {
        "turns": turns,
        "wrong_guesses": len(rewinds),
        "rewind": summary(rewinds),
        "added": summary(added),
        "same_answer": share(same, turns),
    }


def order(number: int) -> tuple[bool, bool]:
    """Whoever is asked second may find warmer caches."""
    return (True, False) if number % 2 else (False, True)


def ask(host: HostLike, name: str, clip: Clip, steps: Sequence[int], guesses: bool) -> Asked:
    """Say a clip to a session of its own and hear the answer out."""
    pcm = resample(clip.pcm, RATE_HZ, INPUT_RATE_HZ)
    pauses = [behind * INPUT_RATE_HZ // RATE_HZ + FLUSHED_MS * INPUT_RATE_HZ // 1000 for _, behind in clip.speech[:-1]]
    host.handle(messages.Open(name))
    rewinds: list[float] = []
    for begin, end in portions(len(pcm), pauses):
        host.handle(messages.Listen(name, heard(pcm, begin, end)))
        rest(host)
        if guesses and end in pauses:
            turn = 1 + pauses.index(end)
            host.handle(messages.Answer(name, turn))
            for _ in range(steps[turn - 1]):
                host.step()
            rewinds.append(timed(host, messages.Rewind(name, turn)))
    asked = answered(host, messages.Answer(name, 1 + len(pauses)), rewinds)
    host.handle(messages.Close(name))
    return asked


def portions(length: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Where the sound is cut, in samples: every second, and where the model begins to guess."""
    second = PORTION_MS * INPUT_RATE_HZ // 1000
    marks = sorted({0, *range(second, length, second), *cuts, length})
    return list(zip(marks, marks[1:], strict=False))


def heard(pcm: Float32, begin: int, end: int) -> MediaChunk:
    """A portion of it as the session would hand it over."""
    chunk = AudioChunk(pcm[begin:end], INPUT_RATE_HZ, begin)
    return MediaChunk(begin * 1000 // INPUT_RATE_HZ, chunk, (), dense=True)


def timed(host: HostLike, request: messages.Request) -> float:
    """Milliseconds that carrying it out took."""
    began = time.perf_counter()
    host.handle(request)
    rest(host)
    return (time.perf_counter() - began) * 1000


def rest(host: HostLike) -> None:
    """Let it do what there is to do."""
    while host.busy:
        host.step()


def answered(host: HostLike, request: messages.Answer, rewinds: Sequence[float]) -> Asked:
    """The whole answer."""
    began = time.perf_counter()
    replies = host.handle(request)
    first: float | None = None
    said: list[messages.Spoke] = []
    while host.busy or replies:
        said += [reply for reply in replies if isinstance(reply, messages.Spoke)]
        if first is None and any(len(reply.pcm) for reply in said):
            first = (time.perf_counter() - began) * 1000
        replies = host.step() if host.busy else []
    words, sound = "".join(reply.text for reply in said), b"".join(reply.pcm.tobytes() for reply in said)
    return Asked(first or (time.perf_counter() - began) * 1000, tuple(rewinds), words, sound)


def show(made: Json, console: Console) -> None:
    """In a few lines."""

    def median(name: str) -> str:
        one = made[name].get("p50")
        return "too few for a median" if one is None else f"{one['value']} ms [{one['low']}..{one['high']}]"

    same = made["same_answer"]
    console.print(f"{made['wrong_guesses']} wrong guesses in {made['turns']} turns")
    console.print(f"taking one back: median {median('rewind')}, worst {made['rewind'].get('max')} ms")
    console.print(f"first sound of the true answer later by: median {median('added')}")
    console.print(f"the same answer as without a guess, to the byte: {same['count']} of {same['n']}")


def save(made: Json, out: Path) -> None:
    """The same as JSON."""
    out.write_text(json.dumps(made, indent=2) + "\n")
