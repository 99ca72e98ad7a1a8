"""How a server holds up: callers who ask aloud, in real time, over the wire, several at once.

Each caller is the ordinary client of `client.py`: it streams its microphone, shows a camera frame twice a second, and
plays the answer as it comes. What is measured is what a person would notice: the time from the end of the question to
the first sound, and whether sound ever came too late to be played.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vivavoce.realtime.server.client import WIRE_RATE_HZ, Conversation, ask
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.talk import after, one_line, read_question, to_jpeg

CALLERS = (1, 2, 4)
"""How many conversations at once, one measurement after the other."""
TURNS = 3
"""Questions of each caller in a measurement."""
QUESTION = "what colour is the circle"
"""Asked by espeak-ng when no question was given."""

Arrivals = Sequence[tuple[int, int]]
"""The pieces of an answer: ms when each came, from the end of the question, and how many ms of sound it holds."""


@dataclass(frozen=True)
class Level:
    """What one number of callers gave."""

    callers: int
    answers: int
    silent: int
    """Answers without any sound."""
    first_audio_ms: int | None
    """From the end of the question to the first sound, median."""
    worst_first_audio_ms: int | None
    real_time_factor: float | None
    """Time to make the sound after the first piece over its length, median; below 1 it keeps up with being played."""
    worst_late_ms: int
    """The most silence that a listener heard inside an answer."""
    sound_ms: int
    """All answers together."""


def late_ms(arrivals: Arrivals) -> int:
    """Silence inside the answer, for a listener whose playback begins at once and waits for what is missing."""
    late, played_until = 0, arrivals[0][0] if arrivals else 0
    for at, length in arrivals:
        late += max(0, at - played_until)
        played_until = max(at, played_until) + length
    return late


def real_time_factor(arrivals: Arrivals) -> float | None:
    """See `Level`; None for fewer than two pieces."""
    later = sum(length for _, length in arrivals[1:])
    return (arrivals[-1][0] - arrivals[0][0]) / later if later else None


def summarize(callers: int, answers: Sequence[Arrivals]) -> Level:
    """All answers of a measurement in eight numbers."""
    first = [arrivals[0][0] for arrivals in answers if arrivals]
    factors = [factor for arrivals in answers if (factor := real_time_factor(arrivals)) is not None]
    return Level(
        callers=callers,
        answers=len(answers),
        silent=len(answers) - len(first),
        first_audio_ms=round(median(first)) if first else None,
        worst_first_audio_ms=max(first, default=None),
        real_time_factor=round(median(factors), 3) if factors else None,
        worst_late_ms=max(map(late_ms, answers), default=0),
        sound_ms=sum(length for arrivals in answers for _, length in arrivals),
    )


async def measure(
    url: str,
    question: npt.NDArray[np.float32],
    callers: int,
    turns: int,
    answered: Callable[[], None] = lambda: None,
) -> Level:
    """`callers` at once, each asking `turns` times; they begin spread over one question's length.

    question: float32 [samples] at 24 kHz. answered: called after each answer.

    Raises:
        TalkFailed: no connection, or a question without an answer.
    """
    frame = camera_frame()
    answers: list[Arrivals] = []

    async def caller(wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        for _ in range(turns):
            conversation = await ask(url, question, lambda at_ms: frame)
            answers.append(conversation.arrivals)
            answered()
            await asyncio.sleep(unplayed_ms(conversation) / 1000)

    length_s = len(question) / WIRE_RATE_HZ
    results = await asyncio.gather(*(caller(n * length_s / callers) for n in range(callers)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return summarize(callers, answers)


def unplayed_ms(conversation: Conversation) -> int:
    """What a listener still has to hear of an answer that has just ended."""
    arrivals = conversation.arrivals
    if not arrivals:
        return 0
    played_until = arrivals[0][0] + late_ms(arrivals) + sum(length for _, length in arrivals)
    return max(0, played_until - (conversation.total_ms or arrivals[-1][0]))


def camera_frame() -> bytes:
    """A drawn camera frame, a red circle on grey, 320 x 240, as JPEG."""
    picture = Image.new("RGB", (320, 240), (190, 190, 185))
    ImageDraw.Draw(picture).ellipse((100, 60, 220, 180), fill=(200, 30, 35))
    return to_jpeg(picture)


def spoken_question(file: Path | None) -> npt.NDArray[np.float32]:
    """The question in the file, or else `QUESTION` said by espeak-ng; float32 [samples] at 24 kHz.

    Raises:
        Unusable: no file and no synthesizer, or nothing audible in it.
    """
    if file is not None:
        pcm = read_question(file)
    elif shutil.which("espeak-ng") is None:
        raise Unusable("bench needs a spoken question: give a sound file, or install espeak-ng")
    else:
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder) / "question.wav"
            subprocess.run(["espeak-ng", "-w", str(said), QUESTION], check=True, stdin=subprocess.DEVNULL)
            pcm = read_question(said)
    if not pcm.any():
        raise Unusable(f"{file} is silent, expected a question")
    return pcm


async def bench(
    url: str, question: npt.NDArray[np.float32], callers: Sequence[int], turns: int, console: Console
) -> list[Level]:
    """One measurement for each number of callers, with a bar that fills while it runs.

    Raises:
        TalkFailed: a question without an answer.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    levels = []
    with Progress(*columns, console=console, transient=True) as bars:
        for number in callers:
            bar = bars.add_task(f"{number} at once", total=number * turns)
            levels.append(await measure(url, question, number, turns, partial(bars.advance, bar)))
    return levels


def table(levels: Sequence[Level]) -> Table:
    """The measurements as a person reads them."""
    columns = ("at once", "answers", "first audio, median", "at worst", "real-time factor", "late at worst")
    drawn = Table(*columns, caption=" · ".join(f"{name} {value}" for name, value in machine().items()))
    for level in levels:
        silent = f" ({level.silent} silent)" if level.silent else ""
        factor = "-" if level.real_time_factor is None else f"{level.real_time_factor:.2f}"
        drawn.add_row(
            str(level.callers),
            f"{level.answers}{silent}",
            after(level.first_audio_ms),
            after(level.worst_first_audio_ms),
            factor,
            f"{level.worst_late_ms} ms",
        )
    return drawn


def machine() -> dict[str, str | int]:
    """What the numbers were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    return {"system": f"{platform.system()} {platform.machine()}", "cores": cores, "python": platform.python_version()}


def save_report(levels: Sequence[Level], turns: int, out: Path) -> None:
    """Everything measured, as JSON.

    Raises:
        Unusable: the file cannot be written.
    """
    everything = {"machine": machine(), "turns": turns, "levels": [asdict(level) for level in levels]}
    try:
        out.write_text(json.dumps(everything, indent=2) + "\n")
    except OSError as error:
        raise Unusable(f"{out} cannot be written: {one_line(error)}") from None
