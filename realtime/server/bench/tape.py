"""Both sides of a conversation on one media clock: what the microphone sent, what a loudspeaker played. Pure: no clock, no socket.

Time is a sample index at `sound.RATE_HZ` since the microphone was opened. A loudspeaker here is what stands behind a client:
sound that comes while nothing waits is played at once (or after `wait`), sound that comes too early waits, and where nothing was
there to be played the tape is silent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from vivavoce.realtime.server.bench.sound import STEP, Float32, Span, audible, merged, samples

WATCHED = 50
"""Packets, 1 s, by which a loudspeaker judges how long it has to wait."""
REMEMBERED = 500
"""Audible spans that a loudspeaker knows of: of an answer as it comes, in a call of any length."""
LATE = samples(200)
"""A stream of packets that is later than this has been moved, and the loudspeaker goes with it."""


@dataclass(frozen=True)
class Piece:
    """Sound of one answer that came at once, and where on the tape it begins."""

    came: int
    at: int
    length: int
    item: str
    lead: int
    """Samples that still waited to be played when it came; below 0 the loudspeaker had run dry for so long."""
    blank: bool = False
    """A packet of a stream that holds no sound at all, as it is sent while nobody has anything to say."""


@dataclass(frozen=True)
class Gap:
    """Silence inside an answer, because the rest of it came too late."""

    at: int
    length: int
    item: str


@dataclass(frozen=True)
class Cleared:
    """The client dropped what waited: so much of an answer had been played, so much never was."""

    at: int
    item: str
    played: int
    dropped: int


@dataclass
class Reel:
    """The loudspeaker's side of the tape."""

    pcm: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def write(self, at: int, pcm: Float32) -> None:
        """From sample `at` on."""
        missing = at + len(pcm) - len(self.pcm)
        if missing > 0:
            self.pcm = np.pad(self.pcm, (0, max(missing, len(self.pcm))))
        self.pcm[at : at + len(pcm)] = pcm

    def until(self, end: int) -> Float32:
        """The first `end` samples; silence where nothing was written."""
        return np.pad(self.pcm[:end], (0, max(0, end - len(self.pcm))))


class Loudspeaker:
    """Plays what a client is sent as events, and can be told to stop."""

    def __init__(self, wait: int = 0) -> None:
        """`wait`: samples that a client collects before it begins to play."""
        self._wait = wait
        self._reel = Reel()
        self._end = 0
        self.pieces: list[Piece] = []
        self.gaps: list[Gap] = []
        self.cleared: list[Cleared] = []
        self._audible: list[Span] = []
        self._waiting: list[tuple[Piece, Float32]] | None = None
        """What stands still, from its next sample on; None while it plays."""

    def push(self, came: int, pcm: Float32, item: str) -> None:
        """Sound that comes at `came`: float32 [n]."""
        if not len(pcm):
            return
        if self._waiting is not None:
            self._waiting.append((Piece(came, came, len(pcm), item, 0), pcm))
            return
        dry = came - self._end
        goes_on = bool(self.pieces) and self.pieces[-1].item == item
        at = self._end if dry < 0 or (goes_on and not dry) else came + self._wait
        if goes_on and at > self._end:
            self.gaps.append(Gap(self._end, at - self._end, item))
        self._play(Piece(came, at, len(pcm), item, -dry if goes_on else 0), pcm)

    def _play(self, piece: Piece, pcm: Float32) -> None:
        at = piece.at
        self._reel.write(at, pcm)
        self._end = at + len(pcm)
        self.pieces.append(piece)
        heard = [(at + first, at + behind) for first, behind in audible(pcm)]
        self._audible = merged([*self._audible[-REMEMBERED:], *heard], 0)

    def pause(self, at: int) -> None:
        """It stands still, to the sample; what comes meanwhile waits as well."""
        if self._waiting is None:
            self._waiting = self._take_back(at)

    def resume(self, at: int) -> None:
        """It goes on where it was."""
        waiting, self._waiting = self._waiting or [], None
        for piece, pcm in waiting:
            self._play(replace(piece, at=max(at, self._end)), pcm)

    def clear(self, at: int) -> Cleared | None:
        """Nothing after `at` is played. None if nothing waited."""
        gone = [*self._take_back(at), *(self._waiting or [])]
        self._waiting = None
        if not gone:
            return None
        item = gone[-1][0].item
        dropped = sum(piece.length for piece, _ in gone if piece.item == item)
        cleared = Cleared(at, item, self.played(item, at), dropped)
        self.cleared.append(cleared)
        return cleared

    def _take_back(self, at: int) -> list[tuple[Piece, Float32]]:
        """What would be played from `at` on, which is silent now."""
        taken, kept = [], []
        for piece in self.pieces:
            first, behind = max(at, piece.at), piece.at + piece.length
            if first < behind:
                rest = replace(piece, at=first, length=behind - first)
                taken.append((rest, self._reel.pcm[first:behind].copy()))
            if piece.at < at:
                kept.append(replace(piece, length=min(behind, at) - piece.at))
        self.pieces = kept
        self._audible = [(first, min(behind, at)) for first, behind in self._audible if first < at]
        if at < self._end:
            self._reel.write(at, np.zeros(self._end - at, np.float32))
            self._end = at
        return taken

    def played(self, item: str, at: int) -> int:
        """Samples of an answer that have been played before `at`."""
        return sum(max(0, min(piece.at + piece.length, at) - piece.at) for piece in self.pieces if piece.item == item)

    def busy(self, at: int) -> bool:
        """Something still waits."""
        return at < self._end or bool(self._waiting)

    def last_audible(self, at: int) -> int | None:
        """The last audible sample before `at`; None if there was none yet."""
        return next((min(behind, at) for first, behind in reversed(self._audible) if first < at), None)

    def until(self, end: int) -> Float32:
        """What was played, float32 [end]."""
        return self._reel.until(end)


class Receiver:
    """Plays a stream of packets that says itself when each is due (RTP): `wait` samples after the first came.

    What comes after that is silence. A stream that stays late is followed; when it is on time again, so is the loudspeaker:
    what it waits too long it leaves out, of silence.
    """

    def __init__(self, wait: int) -> None:
        self._wait = wait
        self._reel = Reel()
        self._base: int | None = None
        self._end = 0
        self.pieces: list[Piece] = []
        self.gaps: list[Gap] = []
        self.cleared: list[Cleared] = []
        self._leads: deque[int] = deque(maxlen=WATCHED)
        self.late = 0
        """Packets that came after they should have been played."""
        self._audible: list[Span] = []

    def push(self, came: int, pcm: Float32, due: int, blank: bool = False) -> None:
        """A packet that comes at `came`, and whose first sample is sample `due` of the stream; `blank`: it holds no sound."""
        if self._base is None or came - (self._base + due) > LATE:
            self._base = came + self._wait - due
            self._leads.clear()
        self._base -= self._too_long(self._base + due) if blank else 0
        at = self._base + due
        self._leads.append(at - came)
        if at < came:
            self.late += 1
            self.gaps.append(Gap(at, len(pcm), ""))
            return
        if self.pieces and at > self._end:
            self.gaps.append(Gap(self._end, at - self._end, ""))
        self._reel.write(at, pcm)
        self._end = max(self._end, at + len(pcm))
        self.pieces.append(Piece(came, at, len(pcm), "", at - came, blank))
        heard = [(at + first, at + behind) for first, behind in audible(pcm)]
        self._audible = merged([*self._audible[-REMEMBERED:], *heard], 0)

    def _too_long(self, at: int) -> int:
        """How much earlier a silent packet may be played than at `at`, because all of late came sooner than need be."""
        over = min(self._leads, default=0) - self._wait
        if len(self._leads) < WATCHED or over <= STEP:
            return 0
        self._leads.clear()
        silent = at - (self._audible[-1][1] if self._audible else 0)
        return max(0, min(over, silent))

    def clear(self, at: int) -> None:
        """The server stops by itself; nothing waits here that is worth dropping."""

    def busy(self, at: int) -> bool:
        """A stream never ends, so it is what can be heard that counts."""
        last = self._audible[-1][1] if self._audible else 0
        return at < last

    def last_audible(self, at: int) -> int | None:
        """See `Loudspeaker`."""
        return next((min(behind, at) for first, behind in reversed(self._audible) if first < at), None)

    def until(self, end: int) -> Float32:
        """What was played, float32 [end]."""
        return self._reel.until(end)
