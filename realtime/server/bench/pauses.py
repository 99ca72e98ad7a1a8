"""How long people wait for an answer, and how often one cuts in: `vivavoce bench pauses`.

People who say held-out sentences in voices that training never had stop to think in each, once or twice, for 0.3 to 1.5 s. The
turn detector, the model's ear and the decision are those of the server, as fast as they go; nothing is answered. One hearing gives
every point of the curve, because the price decides only what is made of a pause.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vivavoce.model.train import endings, voices
from vivavoce.model.train.listener import Listener
from vivavoce.model.turn_end import TurnEnd
from vivavoce.realtime.config import INPUT_RATE_HZ, VAD_WINDOW, VAD_WINDOW_MS, PatienceConfig, VadConfig
from vivavoce.realtime.patience import Rhythm, patience
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.speech import Silero, SpeechMeter
from vivavoce.realtime.vad import SpeechHushed, Vad

PRICES = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
SILENCES = (300, 400, 500, 600, 800, 1_000, 1_200, 1_500)
THINKING_MS = (300, 1_500)
LAST_MS = 4_500
"""Silence behind each turn, longer than any wait."""


@dataclass(frozen=True)
class Silence:
    """One silence as the turn detector saw it: how likely the model thought the end, and after how much of it."""

    since_ms: int
    judged_ms: int
    completeness: float
    lasted_ms: int | None
    """None: it was the end."""


@dataclass(frozen=True)
class Turn:
    """What one person said; `end_ms`: where the last of it is."""

    silences: tuple[Silence, ...]
    end_ms: int


@dataclass(frozen=True)
class Point:
    """What one way of deciding gives. Waits count from the last of the voice to the decision, in turns that it did not cut."""

    way: str
    turns: int
    cut_in: float
    """Share of the turns that were answered in the middle."""
    wait_p50_ms: int
    wait_p95_ms: int


def hear(checkpoint: Path, count: int, seed: int, group: str) -> list[Turn]:
    """`count` people.

    Raises:
        Unusable: the checkpoint cannot tell a finished turn from another.
    """
    net = TurnEnd.load(checkpoint)
    if net is None:
        raise Unusable(f"{checkpoint} has no turn_end.safetensors; `vivavoce train turns` makes it")
    listener = Listener(checkpoint)
    turns = []
    for index in track(range(count), f"listening to voices: {group}"):
        rng = random.Random(f"{seed} {index}")
        wave, end_ms = thoughtful(endings.parted(rng, held=True, pauses=(1, 1, 2)), rng, group, seed + index)
        heard = silences(wave, lambda part: net.completeness(listener.frames(part), listener.encoder))
        turns.append(Turn(tuple(heard), end_ms))
    return turns


def thoughtful(parts: Sequence[str], rng: random.Random, group: str, seed: int) -> tuple[np.ndarray, int]:
    """float32 [samples] at 16 kHz: a turn with pauses to think between its parts, and where its voice ends in ms."""
    voice, thinks = voices.random_voice(rng, group), rng.choice(["", ","])
    said = [np.zeros(INPUT_RATE_HZ // 3, np.float32)]
    for part in parts[:-1]:
        gap = np.zeros(int(rng.uniform(*THINKING_MS) * INPUT_RATE_HZ / 1000), np.float32)
        said += [voices.speak(part + thinks, voice), gap]
    wave = np.concatenate([*said, voices.speak(parts[-1], voice)])
    end_ms = int(np.flatnonzero(np.abs(wave) > 0.01)[-1] * 1000 / INPUT_RATE_HZ)
    after = np.zeros(LAST_MS * INPUT_RATE_HZ // 1000, np.float32)
    return endings.in_the_room(np.concatenate([wave, after]), seed), end_ms


def silences(wave: np.ndarray, weigh: Callable[[np.ndarray], float]) -> list[Silence]:
    """The silences of a turn that the model is asked about."""
    config = VadConfig(pause_ms=LAST_MS, end_ms=LAST_MS)
    vad, meter = Vad(config), SpeechMeter(Silero.shared())
    found: list[Silence] = []
    for number, probability in enumerate(meter.push(wave)):
        at_ms = number * VAD_WINDOW_MS
        for signal in vad.push(at_ms, probability):
            if isinstance(signal, SpeechHushed):
                until = (number + 1) * VAD_WINDOW
                judged_ms = at_ms + VAD_WINDOW_MS - signal.at_ms
                found.append(Silence(signal.at_ms, judged_ms, weigh(wave[:until]), None))
        if vad.pauses and found:
            found[-1] = replace(found[-1], lasted_ms=vad.pauses.pop())
    return found


def judge(turns: Sequence[Turn], way: str, waits: Callable[[Silence], int]) -> Point:
    """`waits`: after how much of a silence an answer is given."""
    cut, waited = 0, []
    for turn in turns:
        if any(silence.lasted_ms is not None and waits(silence) < silence.lasted_ms for silence in turn.silences):
            cut += 1
        elif turn.silences:
            last = turn.silences[-1]
            waited.append(last.since_ms + waits(last) - turn.end_ms)
    p50, p95 = (int(np.percentile(waited, share)) if waited else 0 for share in (50, 95))
    return Point(way, len(turns), round(cut / len(turns), 4), p50, p95)


def curve(turns: Sequence[Turn], config: PatienceConfig | None = None) -> list[Point]:
    """Fixed silences, and prices."""
    base = config or PatienceConfig()

    def priced(price: int) -> Callable[[Silence], int]:
        chosen, usual = replace(base, cut_in_price_ms=price), Rhythm(base)
        return lambda silence: (
            patience(
                silence.completeness, silence.judged_ms, usual, chosen, bar=base.bar, longest_ms=base.longest_ms
            ).end_ms
        )

    fixed = [judge(turns, f"silence of {ms} ms", lambda silence, ms=ms: ms) for ms in SILENCES]  # type: ignore[misc]
    return fixed + [judge(turns, f"price {price} ms", priced(price)) for price in PRICES]


def show(points: dict[str, list[Point]], console: Console) -> None:
    """A table for each group of voices."""
    for group, curve_points in points.items():
        table = Table(
            "ends a turn by", "cuts in", "wait, median", "95 %", title=f"{curve_points[0].turns} turns, {group}"
        )
        for point in curve_points:
            table.add_row(point.way, f"{point.cut_in:.1%}", f"{point.wait_p50_ms} ms", f"{point.wait_p95_ms} ms")
        console.print(table)


def save(points: dict[str, list[Point]], out: Path) -> None:
    """The same as JSON."""
    out.write_text(
        json.dumps({group: [asdict(point) for point in some] for group, some in points.items()}, indent=2) + "\n"
    )
