"""What every Python client does, whatever library it is made with: four calls, and one line of JSON about them.

A client gives a `Call` that knows how to dial, to send a packet of the microphone and to show a picture, and that notes in its
`diary` what its library tells it. Only the standard library is used: this runs in each client's own environment.
"""

from __future__ import annotations

import array
import asyncio
import json
import logging
import math
import sys
import time
import traceback
import wave
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RATE = 24_000
PACKET = RATE // 50 * 2
"""Bytes of 20 ms."""
PATIENCE = 20.0
"""Seconds for anything to happen."""
FRAME_SECONDS = 0.5
INTERRUPT_MS = 700
"""So much of an answer is heard out before it is interrupted."""

TOOL = "weather"
DESCRIPTION = "The weather of a city."
CITIES = ("Rome", "Paris")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": list(CITIES)}, "days": {"type": "integer", "enum": [1, 2, 3]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
RESULT = "sunny"


@dataclass
class Sound:
    """An answer as it is played in real time by a loudspeaker that can be stopped."""

    pcm: bytearray = field(default_factory=bytearray)
    began: float = 0.0
    stopped_ms: int | None = None
    tail_ms: int = 0
    """Sound that came all the same after it was stopped."""

    @property
    def length_ms(self) -> int:
        return len(self.pcm) // 2 * 1000 // RATE

    @property
    def played_ms(self) -> int:
        if self.stopped_ms is not None:
            return self.stopped_ms
        return min(self.length_ms, int((time.monotonic() - self.began) * 1000)) if self.pcm else 0

    def stop(self) -> None:
        self.stopped_ms = self.played_ms


@dataclass
class Diary:
    """What the library has told its user in one call."""

    events: Counter[str] = field(default_factory=Counter)
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """Transcripts of answers, each when it has ended; of an interrupted one as far as it was told."""
    sounds: list[Sound] = field(default_factory=list)
    cuts: list[dict[str, Any]] = field(default_factory=list)
    """Of each interrupted answer `audio_end_ms`, and `kept`, the words that stay of it where the library tells."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """What the server has acknowledged of the results of functions."""

    def hear(self, pcm: bytes, is_new: bool) -> None:
        """More of an answer's sound, 16 bit at 24 kHz."""
        if is_new or not self.sounds:
            self.sounds.append(Sound(began=time.monotonic()))
        self.sounds[-1].pcm += pcm


class Call:
    """One call. Subclasses say how."""

    def __init__(self, address: str, media: Path, capability: str, errors: list[str]) -> None:
        """`address` is HOST:PORT; every error that the library tells of goes to `errors`."""
        self.address = address
        self.media = media
        self.capability = capability
        self.errors = errors
        self.diary = Diary()
        self.is_playing = False
        """More of the answer is to come from the loudspeaker; for clients that note what they play, not what they receive."""
        self._waiting = b""

    async def __aenter__(self) -> Call:
        raise NotImplementedError

    async def __aexit__(self, *_: object) -> None:
        raise NotImplementedError

    async def send(self, pcm: bytes) -> None:
        """20 ms of the microphone."""
        raise NotImplementedError

    async def show(self, jpeg: bytes) -> None:
        """A picture of the camera."""
        raise NotImplementedError

    @property
    def has_tool(self) -> bool:
        """Whether the function is offered, and must be called."""
        return self.capability == "tool_call"

    def say(self, name: str) -> None:
        """Speak a recorded question into the microphone."""
        with wave.open(str(self.media / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
            self._waiting += file.readframes(file.getnframes())

    async def until(self, what: str, condition: Callable[[], Any]) -> None:
        """Raises TimeoutError when it does not come."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}; {self.told()}") from None

    def told(self) -> dict[str, Any]:
        """The diary for people and JSON."""
        diary = self.diary
        sounds = [sound.length_ms for sound in diary.sounds]
        return {**vars(diary), "sounds": sounds, "events": dict(diary.events)}

    async def speak_and_show(self) -> None:
        """The microphone is open all the time, as a person's is; the camera when it is asked about."""
        picture = (self.media / "scene.jpg").read_bytes()
        clock = asyncio.get_running_loop()
        began, sent, next_frame = clock.time(), 0, 0.0
        while True:
            if self.capability == "camera" and clock.time() >= next_frame:
                next_frame = clock.time() + FRAME_SECONDS
                await self.show(picture)
            packet, self._waiting = self._waiting[:PACKET], self._waiting[PACKET:]
            await self.send(packet.ljust(PACKET, b"\0"))
            sent += 1
            await asyncio.sleep(began + 0.02 * sent - clock.time())


async def spoken(call: Call) -> dict[str, Any]:
    """A question and its answer."""
    call.say("who")
    return await heard_out(call)


async def camera(call: Call) -> dict[str, Any]:
    """A question about what is before the camera."""
    call.say("colour")
    return await heard_out(call)


async def heard_out(call: Call) -> dict[str, Any]:
    diary = call.diary
    await call.until("an answer", lambda: diary.answers and diary.questions)
    await call.until("its end", lambda: diary.sounds and not call.is_playing)
    pcm = bytes(diary.sounds[0].pcm)
    told = {"question": diary.questions[0], "answer": diary.answers[0]}
    return {**told, "seconds": len(pcm) / 2 / RATE, "loudness": loudness(pcm)}


async def barge_in(call: Call) -> dict[str, Any]:
    """The first answer is interrupted by a second question, which is answered."""
    diary = call.diary
    call.say("colour")
    await call.until("sound", lambda: diary.sounds and diary.sounds[0].played_ms > INTERRUPT_MS)
    call.say("who")
    await call.until("the end of the first answer", lambda: diary.cuts)
    await call.until("the second answer", lambda: len(diary.answers) > 1 and len(diary.questions) > 1)
    await call.until("its end", lambda: len(diary.sounds) > 1 and not call.is_playing)
    first, second = diary.sounds[0], diary.sounds[1]
    return {
        "questions": diary.questions,
        "answers": diary.answers,
        "played_ms": first.played_ms,
        "tail_ms": first.tail_ms,
        "second_ms": second.length_ms,
        **diary.cuts[0],
    }


async def tool_call(call: Call) -> dict[str, Any]:
    """The function is called because it must be, its result is taken, and there is an answer."""
    diary = call.diary
    call.say("who")
    await call.until("a call", lambda: diary.calls)
    await call.until("the result to be taken", lambda: diary.results)
    await call.until("an answer", lambda: diary.answers)
    return {**diary.calls[0], "calls": len(diary.calls), "result": diary.results[0], "answer": diary.answers[0]}


CAPABILITIES: dict[str, Callable[[Call], Awaitable[dict[str, Any]]]] = {
    "spoken": spoken,
    "barge_in": barge_in,
    "tool_call": tool_call,
    "camera": camera,
}


def loudness(pcm: bytes) -> float:
    """RMS of 16-bit sound, 1.0 for the loudest square wave."""
    samples = array.array("h", pcm)
    return math.sqrt(sum(s * s for s in samples) / max(1, len(samples))) / 32_768


class Complaints(logging.Handler):
    """Warnings and worse of any library, as errors."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(f"{record.name}: {self.format(record)}")


async def converse(make_call: Callable[..., Call], report: dict[str, Any]) -> None:
    address, media = sys.argv[1], Path(sys.argv[2])
    errors: list[str] = report["errors"]
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(f"loop: {context}"))
    for capability, act in CAPABILITIES.items():
        call = make_call(address, media, capability, errors)
        try:
            async with call:
                senses = asyncio.create_task(call.speak_and_show())
                acting = asyncio.ensure_future(act(call))
                await asyncio.wait({senses, acting}, return_when=asyncio.FIRST_COMPLETED)
                if senses.done():
                    acting.cancel()
                    senses.result()
                senses.cancel()
                report[capability] = await acting
        except BaseException:
            report[capability] = {"failed": traceback.format_exc()}
        report["events"].update(call.diary.events)


def run(make_call: Callable[..., Call]) -> None:
    """The program: HOST:PORT and the folder with the recordings are its arguments."""
    report: dict[str, Any] = {"events": Counter(), "errors": []}
    logging.getLogger().addHandler(Complaints(report["errors"]))
    asyncio.run(converse(make_call, report))
    print(json.dumps(report))
