"""`vivavoce talk`: files in, a conversation over the wire, a file out, and what was said and when on the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile  # type: ignore[import-untyped]
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from vivavoce.codecs.pcm import resample
from vivavoce.realtime.server.client import WIRE_RATE_HZ, Conversation, Frames, ask
from vivavoce.realtime.server.pictures import MAX_SIDE, decode_picture
from vivavoce.realtime.server.serving import Unusable

JPEG_QUALITY = 90


def read_question(path: Path) -> npt.NDArray[np.float32]:
    """A sound file -> float32 [samples] at 24 kHz, its channels averaged.

    Raises:
        Unusable: no such file, no sound in it.
    """
    try:
        pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise Unusable(f"{path} cannot be read as sound: {one_line(error)}") from None
    if not len(pcm):
        raise Unusable(f"{path} holds 0 samples, expected a question")
    return resample(np.ascontiguousarray(pcm.mean(axis=1)), rate, WIRE_RATE_HZ)


def still(path: Path) -> Frames:
    """A picture file, shown all the time.

    Raises:
        Unusable: no such file, no picture in it.
    """
    try:
        jpeg = to_jpeg(Image.fromarray(decode_picture(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read as a picture: {one_line(error)}") from None
    return lambda at_ms: jpeg


def moving(path: Path) -> Frames:
    """A video file, shown from its beginning; its last picture stays.

    Raises:
        Unusable: no such file, no video in it.
    """
    try:
        pictures = video_pictures(path)
        first = next(pictures)
    except (OSError, av.FFmpegError, StopIteration, IndexError) as error:
        raise Unusable(f"{path} cannot be read as video: {one_line(error)}") from None
    return Film(first, pictures).at


class Film:
    """Pictures with their times, asked for in order of time."""

    def __init__(self, first: tuple[int, Image.Image], rest: Iterator[tuple[int, Image.Image]]) -> None:
        self._shown = first[1]
        self._next: tuple[int, Image.Image] | None = first
        self._rest = rest

    def at(self, at_ms: int) -> bytes:
        """The newest picture that is not later than `at_ms`, as JPEG."""
        while self._next is not None and self._next[0] <= at_ms:
            self._shown = self._next[1]
            self._next = next(self._rest, None)
        return to_jpeg(self._shown)


def video_pictures(path: Path) -> Iterator[tuple[int, Image.Image]]:
    """Milliseconds since the beginning, and the picture."""
    with av.open(str(path)) as container:
        begin: float | None = None
        for frame in container.decode(container.streams.video[0]):
            time = frame.time or 0.0
            begin = time if begin is None else begin
            yield round((time - begin) * 1000), frame.to_image()  # type: ignore[no-untyped-call]


def to_jpeg(image: Image.Image) -> bytes:
    """No side longer than the server keeps."""
    image = image.convert("RGB")
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


async def talk(url: str, question: npt.NDArray[np.float32], frames: Frames | None, console: Console) -> Conversation:
    """Ask, with a bar that fills while the question is said.

    Raises:
        TalkFailed: there was no answer.
    """
    total_ms = len(question) * 1000 // WIRE_RATE_HZ
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("asking", total=total_ms)

        def said(ms: int) -> None:
            bars.update(bar, completed=min(ms, total_ms), description="asking" if ms < total_ms else "waiting")

        return await ask(url, question, frames, said)


def save(conversation: Conversation, out: Path) -> None:
    """The reply as 24 kHz 16-bit sound, in the format that the file's name says.

    Raises:
        Unusable: the file cannot be written.
    """
    try:
        soundfile.write(out, conversation.pcm, WIRE_RATE_HZ, subtype="PCM_16")
    except (OSError, ValueError, TypeError, soundfile.LibsndfileError) as error:
        raise Unusable(f"{out} cannot be written: {one_line(error)}") from None


def show(conversation: Conversation, console: Console) -> None:
    """Both transcripts and the timings."""
    table = Table.grid(padding=(0, 2))
    table.add_row("you", Text(conversation.question or "(not transcribed)"))
    table.add_row("model", Text(conversation.reply or "(no words)"))
    table.add_row("first audio", f"{after(conversation.first_audio_ms)} after the end of speech")
    table.add_row("total", f"{after(conversation.total_ms)} after the end of speech")
    table.add_row("reply", f"{conversation.reply_ms} ms of sound")
    console.print(table)
    for message in conversation.errors:
        console.print(f"the server reported: {message}", markup=False)


def after(ms: int | None) -> str:
    """A time that may not have come."""
    return "none" if ms is None else f"{ms} ms"


def one_line(error: BaseException) -> str:
    """An error in one line; some have no words of their own."""
    return " ".join(str(error).split()) or type(error).__name__
