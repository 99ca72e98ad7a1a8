"""What a server tells of itself: which answers it cut short, what it guessed, and when things happened by its own clock. Pure.

`METRICS` is an extension of Vivavoce's; of other servers it never comes, and nothing here needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vivavoce.realtime.extensions import METRICS
from vivavoce.realtime.server.bench.sound import samples
from vivavoce.realtime.server.bench.take import Take, Told

Json = dict[str, Any]

CUTS = ("output_audio_buffer.cleared", "conversation.item.truncated")


def was_cancelled(one: Told) -> bool:
    """An answer has ended before its end."""
    return one.kind == "response.done" and (one.event.get("response") or {}).get("status") == "cancelled"


class Answers:
    """The server's answers as its events have them."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._told = told

    def cuts(self) -> list[int]:
        """When an answer was cancelled, or its playback cut."""
        return [one.at for one in self._told if one.kind in CUTS or was_cancelled(one)]

    def speculation(self, begin: int, until: int) -> Json:
        """What was guessed before the answers that ended in [begin, until), if the server tells."""
        rows = [one.event for one in self._told if one.kind == METRICS and begin <= one.at < until]
        rows = [row for row in rows if row.get("speech_end_ms") is not None]
        if not rows:
            return {}
        sound = [row.get("audio_ms") or {} for row in rows]
        spoken = rows[0]
        starts = [spoken.get(name) for name in ("speculative_start_ms", "turn_end_ms", "first_token_ms")]
        guess: Json = {
            "answers": len(rows),
            "rollbacks": sum(row.get("rollback_count") or 0 for row in rows),
            "decoded_ms": sum(part.get("decoded") or 0 for part in sound),
            "discarded_ms": sum(part.get("discarded") or 0 for part in sound),
        }
        if starts[0] is not None and starts[1] is not None:
            guess["head_start_ms"] = starts[1] - starts[0]
        return {"speculation": guess}


STEPS = (
    ("hearing", "speech_end_ms"),
    ("pause", "speculative_start_ms"),
    ("speculation", "turn_end_ms"),
    ("model", "first_audio_ms"),
)
"""What the time before each of these moments was spent on."""


class ServerClock:
    """The server's milliseconds on the tape: what it sent cannot have come earlier, so the fastest event gives the offset.

    What is left of its way through the network in that one event is counted as the server's.
    """

    def __init__(self, take: Take) -> None:
        self._rows = [one for one in take.told if one.kind == METRICS and one.event.get("speech_end_ms") is not None]
        created = {one.event["response"]["id"]: one.at for one in take.told if one.kind == "response.created"}
        done = {one.event["response"]["id"]: one.at for one in take.told if one.kind == "response.done"}
        offsets = [
            at - samples(row.event[name])
            for row in self._rows
            for name, came in (("turn_end_ms", created), ("done_ms", done))
            if (at := came.get(row.event.get("response_id"))) is not None and row.event.get(name) is not None
        ]
        self._offset = min(offsets) if offsets else None

    def inside(self, begin: int, heard: int) -> list[tuple[str, int]]:
        """Moments of the answer that was first heard at `heard`, on the tape; none if the server did not tell."""
        for one in self._rows:
            first = one.event.get("first_audio_ms")
            if self._offset is None or first is None:
                continue
            if begin <= self._offset + samples(first) <= heard + samples(5):  # they count whole milliseconds
                known = [(name, one.event.get(key)) for name, key in STEPS]
                return [(name, self._offset + samples(at)) for name, at in known if at is not None]
        return []
