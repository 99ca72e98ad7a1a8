"""How a server holds up: callers who ask aloud, in real time, over the wire, several at once.

Each caller is the ordinary client of `client.py`: it streams its microphone, shows a camera frame twice a second, and
plays the answer as it comes. What is measured is what a person would notice: the time from the end of the question to
the first sound, and whether sound ever came too late to be played. A frame is missed if its listener, who plays from the first
sound on and waits for what is not there, had run dry before it came.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vivavoce.codecs.media import FRAME_MS
from vivavoce.realtime.server.bench.process import usage
from vivavoce.realtime.server.client import WIRE_RATE_HZ, Conversation, ask
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.talk import after, one_line, read_question, to_jpeg

CALLERS = (1, 2, 4, 8, 16, 24)
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
    frames: int
    """Frames of sound, of 60 ms, in all answers."""
    missed_frames: int
    """Those that came too late."""
    late_p99_ms: int
    """How late a frame was, 99th percentile of all: 0 if fewer than one in a hundred was missed."""
    sound_ms: int
    """All answers together."""
    server_cores: float | None = None
    """Processor time of the server over the time it took; None for a server that is not ours."""
    callers_cores: float | None = None
    """The same of the callers."""


def late_ms(arrivals: Arrivals) -> int:
    """Silence inside the answer, for a listener whose playback begins at once and waits for what is missing."""
    return sum(lateness(arrivals))


def lateness(arrivals: Arrivals) -> list[int]:
    """How late each piece came for that listener; 0 for what was there in time."""
    late, played_until = [], arrivals[0][0] if arrivals else 0
    for at, length in arrivals:
        late.append(max(0, at - played_until))
        played_until = max(at, played_until) + length
    return late


def percentile_99(late: Sequence[int], frames: int) -> int:
    """Of the lateness of so many frames, of which those not in `late` were in time; the nearest rank."""
    behind = frames - math.ceil(0.99 * frames)
    worst = sorted(late, reverse=True)
    return worst[behind] if behind < len(worst) else 0


def real_time_factor(arrivals: Arrivals) -> float | None:
    """See `Level`; None for fewer than two pieces."""
    later = sum(length for _, length in arrivals[1:])
    return (arrivals[-1][0] - arrivals[0][0]) / later if later else None


def summarize(callers: int, answers: Sequence[Arrivals]) -> Level:
    """All answers of a measurement in a few numbers."""
    first = [arrivals[0][0] for arrivals in answers if arrivals]
    late = [ms for arrivals in answers for ms in lateness(arrivals) if ms > 0]
    frames = sum(math.ceil(length / FRAME_MS) for arrivals in answers for _, length in arrivals)
    factors = [factor for arrivals in answers if (factor := real_time_factor(arrivals)) is not None]
    return Level(
        callers=callers,
        answers=len(answers),
        silent=len(answers) - len(first),
        first_audio_ms=round(median(first)) if first else None,
        worst_first_audio_ms=max(first, default=None),
        real_time_factor=round(median(factors), 3) if factors else None,
        worst_late_ms=max(map(late_ms, answers), default=0),
        frames=frames,
        missed_frames=len(late),
        late_p99_ms=percentile_99(late, frames),
        sound_ms=sum(length for arrivals in answers for _, length in arrivals),
    )


async def measure(
    url: str,
    question: npt.NDArray[np.float32],
    callers: int,
    turns: int,
    answered: Callable[[], None] = lambda: None,
    server: int | None = None,
) -> Level:
    """`callers` at once, each asking `turns` times; they begin spread over one question's length.

    question: float32 [samples] at 24 kHz. answered: called after each answer. server: its process, if it is ours.

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
    began, before = time.monotonic(), _processor_s(server)
    results = await asyncio.gather(*(caller(n * length_s / callers) for n in range(callers)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    took = time.monotonic() - began
    costs = [
        None if end is None or start is None else round((end - start) / took, 2)
        for start, end in zip(before, _processor_s(server), strict=True)
    ]
    return replace(summarize(callers, answers), server_cores=costs[0], callers_cores=costs[1])


def _processor_s(server: int | None) -> tuple[float | None, float]:
    """Processor time so far: of the server, if its process is known, and of this one."""
    spent = usage(server) if server is not None else None
    return (None if spent is None else spent[0]), time.process_time()


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
    url: str,
    question: npt.NDArray[np.float32],
    callers: Sequence[int],
    turns: int,
    console: Console,
    server: int | None = None,
) -> list[Level]:
    """One measurement for each number of callers, with a bar that fills while it runs. server: its process, if it is ours.

    Raises:
        TalkFailed: a question without an answer.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    levels = []
    with Progress(*columns, console=console, transient=True) as bars:
        for number in callers:
            bar = bars.add_task(f"{number} at once", total=number * turns)
            levels.append(await measure(url, question, number, turns, partial(bars.advance, bar), server))
    return levels


def table(levels: Sequence[Level]) -> Table:
    """The measurements as a person reads them."""
    columns = (
        "at once",
        "first sound",
        "worst",
        "sound made in",
        "frames missed",
        "99 % late",
        "worst",
        "server",
        "callers",
    )
    drawn = Table(*columns, caption=" · ".join(f"{name} {value}" for name, value in machine().items()))
    for level in levels:
        silent = f" ({level.silent} silent)" if level.silent else ""
        factor = "-" if level.real_time_factor is None else f"{level.real_time_factor:.2f}"
        drawn.add_row(
            str(level.callers),
            f"{after(level.first_audio_ms)}{silent}",
            after(level.worst_first_audio_ms),
            factor,
            f"{level.missed_frames} of {level.frames}",
            f"{level.late_p99_ms} ms",
            f"{level.worst_late_ms} ms",
            *("-" if cores is None else f"{cores:.2f}" for cores in (level.server_cores, level.callers_cores)),
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
