"""Sound and frames, woven into the portions the model reads (architecture F.4, F.5).

While the user speaks (*dense*): a portion every second, counted from where the turn begins, with two frames before
its sound. Otherwise (*sparse*): no sound, one frame of every two seconds, kept; they come first when the next turn
opens.

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
        self._kept: list[VideoFrame] = []
        self._coming: list[VideoFrame] = []
        self._last_slot = -1

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
        if self._grid is not None:
            if not self._coming or self._slot(frame) > self._slot(self._coming[-1]):
                self._coming.append(frame)
            return
        bucket = frame.at_ms // self.config.sparse_chunk_ms
        if self._kept and self._kept[-1].at_ms // self.config.sparse_chunk_ms == bucket:
            self._kept.pop()
        self._kept = [*self._kept, frame][-self.config.sparse_keep :]

    def newest_frame(self) -> VideoFrame | None:
        """What the camera showed last; the kept frames are forgotten with it. For questions that come as text."""
        newest = self._kept[-1] if self._kept else None
        self._kept = []
        return newest

    def open(self, start_ms: int) -> list[MediaChunk]:
        """A turn begins at `start_ms`, or where the sound still at hand begins. Returns the leading portions."""
        self._drop_before(start_ms * SAMPLES_PER_MS)
        self._grid = self._first
        begin_ms = self._first // SAMPLES_PER_MS
        before = [frame for frame in self._kept if frame.at_ms < begin_ms]
        self._coming = [frame for frame in self._kept if frame.at_ms >= begin_ms]
        self._kept = []
        self._last_slot = -1
        return [MediaChunk(frame.at_ms, None, (frame,), dense=False) for frame in before]

    def due(self, waited_ms: int = 0) -> list[MediaChunk]:
        """The portions that are complete, and have been for `waited_ms`."""
        ripe = self._first + len(self._pcm) - waited_ms * SAMPLES_PER_MS
        return [self._portion(to) for to in takewhile(lambda to: to <= ripe, self._grid_lines())]

    def flush(self) -> list[MediaChunk]:
        """Everything heard so far: the complete portions and the rest."""
        portions = self.due()
        if len(self._pcm):
            portions.append(self._portion(self._first + len(self._pcm)))
        return portions

    def close(self) -> None:
        """The turn is over; frames that came too late for it are kept for the next."""
        self._grid = None
        late, self._coming = self._coming, []
        for frame in late:
            self.see(frame)

    def clear(self) -> None:
        """Forget sound and frames that have not been given away."""
        self._drop_before(self._first + len(self._pcm))
        self.clear_frames()

    def clear_frames(self) -> None:
        """Forget frames that have not been given away."""
        self._kept, self._coming = [], []

    def _grid_lines(self) -> count[int]:
        """Where portions end: whole seconds from the beginning of the turn."""
        if self._grid is None:
            raise ValueError("no turn is open")
        step = self.config.chunk_ms * SAMPLES_PER_MS
        return count(self._grid + ((self._first - self._grid) // step + 1) * step, step)

    def _portion(self, to: int) -> MediaChunk:
        """Cut the sound up to sample `to`, with the frames that belong to it."""
        begin = self._first
        audio = AudioChunk(self._pcm[: to - begin].copy(), INPUT_RATE_HZ, begin)
        self._drop_before(to)
        return MediaChunk(begin // SAMPLES_PER_MS, audio, self._frames_between(begin, to), dense=True)

    def _frames_between(self, begin: int, to: int) -> tuple[VideoFrame, ...]:
        """The first frame of each slot of half a second; what is too many or too late is dropped."""
        lowest = (begin - (self._grid or 0)) // SAMPLES_PER_MS // self.config.frame_ms
        chosen: list[VideoFrame] = []
        while self._coming and self._coming[0].at_ms * SAMPLES_PER_MS < to:
            frame = self._coming.pop(0)
            slot = self._slot(frame)
            if slot > self._last_slot and slot >= lowest:
                self._last_slot = slot
                chosen.append(frame)
        return tuple(chosen)

    def _slot(self, frame: VideoFrame) -> int:
        """Which half second of the turn a frame falls into."""
        return (frame.at_ms - (self._grid or 0) // SAMPLES_PER_MS) // self.config.frame_ms

    def _drop_before(self, sample: int) -> None:
        dropped = min(max(0, sample - self._first), len(self._pcm))
        self._pcm = self._pcm[dropped:]
        self._first += dropped
