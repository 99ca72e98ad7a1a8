"""Which of the frames that come the model sees: of each source so many a second, and at most so many of a turn.

While a turn is open (*dense*), the first frame of each slot; otherwise (*sparse*) the last one of each longer slot, kept
for the next turn. A camera and a screen are streams of their own: neither takes a place of the other, but for the most
that a turn may have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.config import SamplerConfig


@dataclass
class Stream:
    """One source's frames."""

    kept: list[VideoFrame] = field(default_factory=list)
    """From between turns."""
    coming: list[VideoFrame] = field(default_factory=list)
    """Of the turn that is open."""
    last_slot: int = -1
    """Of that turn, the latest one that a frame was taken of."""


class Frames:
    """Frames of all sources. Times are milliseconds since the session began."""

    def __init__(self, config: SamplerConfig) -> None:
        self.config = config
        self._streams: dict[str, Stream] = {}
        self._begin_ms: int | None = None
        self._taken = 0

    def see(self, frame: VideoFrame) -> None:
        """One more frame; any rate may come in."""
        stream = self._streams.setdefault(frame.source, Stream())
        if self._begin_ms is None:
            self._keep(stream, frame)
        elif not stream.coming or self._slot(frame) > self._slot(stream.coming[-1]):
            stream.coming.append(frame)

    def newest(self) -> list[VideoFrame]:
        """What each source showed last, in order; the kept frames are forgotten with it."""
        newest = [stream.kept[-1] for stream in self._streams.values() if stream.kept]
        for stream in self._streams.values():
            stream.kept = []
        return in_order(newest)

    def open(self, begin_ms: int) -> list[VideoFrame]:
        """A turn begins. Returns the frames from before it that are a part of it, in order."""
        self._begin_ms, self._taken = begin_ms, 0
        before: list[VideoFrame] = []
        for stream in self._streams.values():
            before += (frame for frame in stream.kept if frame.at_ms < begin_ms)
            stream.coming = [frame for frame in stream.kept if frame.at_ms >= begin_ms]
            stream.kept, stream.last_slot = [], -1
        if not self.config.between_turns:
            return []
        limit = self.config.turn_frames
        return self._take(in_order(before)[0 if limit is None else max(0, len(before) - limit // 2) :])

    def between(self, from_ms: int, to_ms: int) -> list[VideoFrame]:
        """The first frame of each slot of the open turn, in order; what is too many or too late is dropped."""
        lowest = (from_ms - (self._begin_ms or 0)) // self.config.frame_ms
        chosen: list[VideoFrame] = []
        for stream in self._streams.values():
            while stream.coming and stream.coming[0].at_ms < to_ms:
                frame = stream.coming.pop(0)
                slot = self._slot(frame)
                if slot > stream.last_slot and slot >= lowest:
                    stream.last_slot = slot
                    chosen.append(frame)
        return self._take(in_order(chosen))

    def close(self) -> None:
        """The turn is over; frames that came too late for it are kept for the next."""
        self._begin_ms = None
        for stream in self._streams.values():
            late, stream.coming = stream.coming, []
            for frame in late:
                self._keep(stream, frame)

    def clear(self) -> None:
        """Forget frames that have not been given away."""
        for stream in self._streams.values():
            stream.kept, stream.coming = [], []

    def _keep(self, stream: Stream, frame: VideoFrame) -> None:
        length_ms = self.config.sparse_ms
        only_newest = not self.config.between_turns
        if stream.kept and (only_newest or stream.kept[-1].at_ms // length_ms == frame.at_ms // length_ms):
            stream.kept.pop()
        stream.kept.append(frame)
        if sum(len(each.kept) for each in self._streams.values()) > self.config.sparse_keep:
            oldest = min((each for each in self._streams.values() if each.kept), key=lambda each: each.kept[0].at_ms)
            oldest.kept.pop(0)

    def _take(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        """As many as the turn may still have."""
        if self.config.turn_frames is not None:
            frames = frames[: max(0, self.config.turn_frames - self._taken)]
        self._taken += len(frames)
        return frames

    def _slot(self, frame: VideoFrame) -> int:
        return (frame.at_ms - (self._begin_ms or 0)) // self.config.frame_ms


def in_order(frames: Iterable[VideoFrame]) -> list[VideoFrame]:
    """By their time; the camera before the screen at the same one."""
    return sorted(frames, key=lambda frame: (frame.at_ms, frame.source))


def pairs(frames: list[VideoFrame]) -> list[tuple[VideoFrame, ...]]:
    """What the model looks at together: up to two frames, of one source, in order of the first of each."""
    groups: list[tuple[VideoFrame, ...]] = []
    for source in dict.fromkeys(frame.source for frame in frames):
        of_it = [frame for frame in frames if frame.source == source]
        groups += (tuple(of_it[at : at + 2]) for at in range(0, len(of_it), 2))
    return sorted(groups, key=lambda group: (group[0].at_ms, group[0].source))
