"""Where the wait for an answer went: a stretch of time cut into parts that sum to it, whatever was measured.

    asked ──transit──▶ the model's process: encode, prefill, decode, codec, and between them queue ──▶ its first sound is here

What the model's process did is told as durations, since no clock is shared with it. So they are laid backwards from the
moment at which the first sound came; the way back, well under a millisecond, counts as theirs. Nothing here knows a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from vivavoce.realtime.events import Stint

WORK = ("encode", "prefill", "decode", "codec")
"""What the model's process may be doing for an answer."""
MODEL = ("transit", "queue", *WORK)
"""Parts of the time between asking the model and its first sound; `transit` is the time before the first work for this answer:
pipes, event loops, and other conversations' work that was under way. `queue` is the time between two pieces of work."""
PARTS = ("capture", "pause", *MODEL, "held", "playback")
"""All parts, in the order in which they happen; see `Meter`."""


def shares(length_ms: int, stints: Iterable[Stint]) -> dict[str, int]:
    """The `length_ms` before the first sound came, in the parts of `MODEL`: whole milliseconds that sum to `length_ms`."""
    exact = dict.fromkeys(MODEL, 0.0)
    at = -float(length_ms)
    begun = False
    for begin, end, stage in sorted((-stint.ago_ms, stint.ms - stint.ago_ms, stint.stage) for stint in stints):
        begin, end = max(begin, at), min(end, 0.0)
        if stage not in WORK or end <= begin:
            continue
        exact["queue" if begun else "transit"] += begin - at
        exact[stage] += end - begin
        at, begun = end, True
    exact["queue" if begun else "transit"] -= at
    return whole(exact)


def whole(exact: Mapping[str, float]) -> dict[str, int]:
    """Parts in whole milliseconds, so rounded that any run of them from the first on is right to half of one."""
    bounds, so_far = [0], 0.0
    for part in exact.values():
        so_far += part
        bounds.append(round(so_far))
    return {name: after - before for name, (before, after) in zip(exact, pairwise(bounds), strict=True)}


def code_ago(stints: Iterable[Stint]) -> int | None:
    """How long before the first sound came the first speech frame was made, in milliseconds; None if that was not told."""
    return min((round(stint.ago_ms) for stint in stints if stint.stage == "code"), default=None)


class Lateness:
    """How late sound arrives, in milliseconds, beside the promptest of the last `memory_ms`.

    On the first word about a stretch of sound nobody knows how old it is; that it came later than other sound did, one does.
    """

    def __init__(self, memory_ms: int = 10_000) -> None:
        self._memory_ms = memory_ms
        self._offsets: list[tuple[int, int]] = []
        """(when, by how much the clock was ahead of the sound), each the least since; the first is the least of all."""

    def arrived(self, end_ms: int, now_ms: int) -> None:
        """Sound up to `end_ms` of its own time line is here."""
        offset = now_ms - end_ms
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((now_ms, offset))
        while self._offsets[0][0] < now_ms - self._memory_ms:
            del self._offsets[0]

    def of(self, at_ms: int, now_ms: int) -> int:
        """How old the sound that ends at `at_ms` of its time line is now."""
        return max(0, now_ms - at_ms - self._offsets[0][1]) if self._offsets else 0
