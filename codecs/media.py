"""The nouns every room shares: sound, pictures, and the interleaved chunk the model eats.

Plain frozen dataclasses on numpy; this file imports nothing of ours and no torch, so the realtime room may use it.
They compare by identity (``eq=False``) wherever they hold arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LISTEN_RATE = 16_000
"""Hz: what the model hears."""

SPEAK_RATE = 24_000
"""Hz: what the 24k speech decoder says."""

WIRE_RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Hz: the sound formats that clients send and play, see formats.py."""

SOURCES = ("camera", "screen")
"""What pictures are taken of; of video tracks the first, and the second."""

FRAME_MS = 60
"""Milliseconds of speech in one `SpeechFrame`."""


@dataclass(frozen=True, eq=False)
class AudioChunk:
    """A stretch of mono sound, placed in its stream.

    Raises:
        ValueError: the samples are not one-dimensional float32, or the rate or start make no sense.
    """

    pcm: npt.NDArray[np.float32]
    """float32 [samples], -1..1."""

    rate: int
    """Hz."""

    start: int
    """Index of the first sample since the stream began, counted at `rate`."""

    def __post_init__(self) -> None:
        if self.pcm.ndim != 1 or self.pcm.dtype != np.float32:
            raise ValueError(f"audio must be float32 [samples], got {self.pcm.dtype} {list(self.pcm.shape)}")
        if self.rate <= 0 or self.start < 0:
            raise ValueError(f"audio needs rate > 0 and start >= 0, got rate {self.rate} and start {self.start}")

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.start + len(self.pcm)

    @property
    def ms(self) -> int:
        """Duration in whole milliseconds, rounded down."""
        return len(self.pcm) * 1000 // self.rate


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One picture, and when it was taken.

    Raises:
        ValueError: the pixels are not uint8 [H, W, 3].
    """

    rgb: npt.NDArray[np.uint8]
    """uint8 [H, W, 3]."""

    at_ms: int
    """Milliseconds since the conversation began."""

    source: str = "camera"
    """One of `SOURCES`."""

    detail: str = "auto"
    """How closely the model looks: "high" as closely as it can, "low" in as few tokens as it can, "auto" is "high"."""

    stamp_ms: int | None = None
    """When it was taken by the client's own clock, if it said."""

    def __post_init__(self) -> None:
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise ValueError(f"a picture must be uint8 [H, W, 3], got {self.rgb.dtype} {list(self.rgb.shape)}")


@dataclass(frozen=True, eq=False)
class MediaChunk:
    """About a second of what the user said and showed, in the order the model reads it: pictures, then sound.

    Raises:
        ValueError: more than two frames, or sound that is not 16 kHz.
    """

    start_ms: int
    """Milliseconds since the conversation began."""

    audio: AudioChunk | None
    """16 kHz mono; None for a chunk of pictures alone (sparse ones, kept from while the model spoke)."""

    frames: tuple[VideoFrame, ...]
    """0 to 2 pictures, which become one temporal pair (a single one is doubled)."""

    dense: bool
    """True while the user speaks, False for the sparse chunks taken while the model does."""

    def __post_init__(self) -> None:
        if len(self.frames) > 2:
            raise ValueError(f"a chunk holds at most 2 pictures, got {len(self.frames)}")
        if self.audio is not None and self.audio.rate != LISTEN_RATE:
            raise ValueError(f"a chunk's sound must be {LISTEN_RATE} Hz, got {self.audio.rate} Hz")


@dataclass(frozen=True)
class SpeechFrame:
    """60 ms of speech as codes.

    The codes are aligned already (the model's acoustics trail its semantics by one step) and start at 0: the model's
    offset of 32 has been taken off.

    Raises:
        ValueError: not four codes, or a negative one.
    """

    codes: tuple[int, int, int, int]
    """Semantic, then acoustic 1, 2, 3."""

    def __post_init__(self) -> None:
        if len(self.codes) != 4 or min(self.codes) < 0:
            raise ValueError(f"a speech frame holds 4 codes of at least 0, got {self.codes}")
