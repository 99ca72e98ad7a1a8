"""Sound and frames, woven into the portions the model reads (architecture F.4, F.5).

While the user speaks (*dense*): a portion every second, counted from where the turn begins, with two frames before
its sound. Otherwise (*sparse*): no sound, one frame of every two seconds, kept; they come first when the next turn
opens. Which frames those are, `frames.py` knows.

    sound   ··········┊▁▂▅▇▅▃▂▁▅▇▆▃▂▁▂▅▆▃▁▁▁┊··········
    frames  ▪    ▪    ┊▪ ▪   ▪ ▪  ▪         ┊▪    ▪
    portion [▪][▪]    [▪▪ 1 s][▪▪ 1 s][▪ rest]
            └ leading, when the turn opens

Positions are samples at 16 kHz since the session began, or milliseconds of the same time line. Nothing here knows
the clock.
"""

from __future__ import annotations

from itertools import count, takewhile

import numpy as np

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.realtime.config import INPUT_RATE_HZ, SamplerConfig
from vivavoce.realtime.frames import Frames, pairs

SAMPLES_PER_MS = INPUT_RATE_HZ // 1000


def portions(pcm: np.ndarray, start_ms: int, chunk_ms: int) -> list[MediaChunk]:
    """Sound that came as a whole, float32 [samples] at 16 kHz, in portions as if it had been said from `start_ms` on."""
    step, first = chunk_ms * SAMPLES_PER_MS, start_ms * SAMPLES_PER_MS
    pieces = (AudioChunk(pcm[at : at + step], INPUT_RATE_HZ, first + at) for at in range(0, len(pcm), step))
    return [MediaChunk(piece.start // SAMPLES_PER_MS, piece, (), dense=True) for piece in pieces]


class Sampler:
    """Takes everything that is heard and seen; gives the model its portions.

    `open` begins a turn, `due` gives the portions that are complete, `flush` also the unfinished rest (listening
    may go on after it, on the same one-second grid), `close` ends the turn.
    """

    def __init__(self, config: SamplerConfig, keep_ms: int) -> None:
        """`keep_ms`: how much sound from before a turn may still become part of it."""
        self.config = config
        self.keep_ms = keep_ms
        self._pcm = np.zeros(0, np.float32)
        self._first = 0
        self._grid: int | None = None
        self._frames = Frames(config)

    def tune(self, config: SamplerConfig) -> None:
        """Take frames otherwise, from the next turn on."""
        self.config = self._frames.config = config

    @property
    def is_open(self) -> bool:
        """A turn is being fed."""
        return self._grid is not None

    @property
    def end_ms(self) -> int:
        """Where the sound heard so far ends."""
        return (self._first + len(self._pcm)) // SAMPLES_PER_MS

    @property
    def waiting_ms(self) -> int:
        """Sound heard and not given away."""
        return len(self._pcm) // SAMPLES_PER_MS

    def hear(self, pcm: np.ndarray) -> None:
        """More sound: float32 [samples] at 16 kHz, right after what came before."""
        self._pcm = np.concatenate([self._pcm, pcm])
        if self._grid is None:
            self._drop_before(self._first + len(self._pcm) - self.keep_ms * SAMPLES_PER_MS)

    def see(self, frame: VideoFrame) -> None:
        """One more frame. Which of them the model sees is decided here, so any rate may come in."""
        self._frames.see(frame)

    def newest_frames(self) -> list[VideoFrame]:
        """What each source showed last; the kept frames are forgotten with it. For questions that come as text."""
        return self._frames.newest()

    def open(self, start_ms: int) -> list[MediaChunk]:
        """A turn begins at `start_ms`, or where the sound still at hand begins. Returns the leading portions."""
        self._drop_before(start_ms * SAMPLES_PER_MS)
        self._grid = self._first
        before = self._frames.open(self._first // SAMPLES_PER_MS)
        return [MediaChunk(frame.at_ms, None, (frame,), dense=False) for frame in before]

    def latest(self, since_ms: int) -> AudioChunk:
        """What was heard since then and is not given away, which stays so."""
        begin = max(self._first, since_ms * SAMPLES_PER_MS)
        return AudioChunk(self._pcm[begin - self._first :].copy(), INPUT_RATE_HZ, begin)

    def due(self, waited_ms: int = 0) -> list[MediaChunk]:
        """The portions that are complete, and have been for `waited_ms`."""
        ripe = self._first + len(self._pcm) - waited_ms * SAMPLES_PER_MS
        lines = takewhile(lambda to: to <= ripe, self._grid_lines())
        return [portion for to in lines for portion in self._portions(to)]

    def flush(self) -> list[MediaChunk]:
        """Everything heard so far: the complete portions and the rest."""
        portions = self.due()
        if len(self._pcm):
            portions += self._portions(self._first + len(self._pcm))
        return portions

    def close(self) -> None:
        """The turn is over; frames that came too late for it are kept for the next."""
        self._grid = None
        self._frames.close()

    def clear(self) -> None:
        """Forget sound and frames that have not been given away."""
        self._drop_before(self._first + len(self._pcm))
        self.clear_frames()

    def clear_frames(self) -> None:
        """Forget frames that have not been given away."""
        self._frames.clear()

    def _grid_lines(self) -> count[int]:
        """Where portions end: whole seconds from the beginning of the turn."""
        if self._grid is None:
            raise ValueError("no turn is open")
        step = self.config.chunk_ms * SAMPLES_PER_MS
        return count(self._grid + ((self._first - self._grid) // step + 1) * step, step)

    def _portions(self, to: int) -> list[MediaChunk]:
        """Cut the sound up to sample `to`, with the frames that belong to it; of a second source they come by themselves."""
        begin = self._first
        audio = AudioChunk(self._pcm[: to - begin].copy(), INPUT_RATE_HZ, begin)
        self._drop_before(to)
        start_ms = begin // SAMPLES_PER_MS
        *first, last = pairs(self._frames.between(start_ms, -(-to // SAMPLES_PER_MS))) or [()]
        return [
            *(MediaChunk(start_ms, None, pair, dense=True) for pair in first),
            MediaChunk(start_ms, audio, last, dense=True),
        ]

    def _drop_before(self, sample: int) -> None:
        dropped = min(max(0, sample - self._first), len(self._pcm))
        self._pcm = self._pcm[dropped:]
        self._first += dropped
