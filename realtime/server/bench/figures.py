"""What a recorded conversation says of the server: one row a turn. Pure: a `Take` in, numbers out.

All times are differences of two positions on one media clock. The parts of a wait are differences of neighbouring positions on
the way from the user's last sample to the first audible one of the answer, so they sum to it whatever came in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from vivavoce.realtime.server.bench.heard import heard_errors
from vivavoce.realtime.server.bench.script import INTERRUPTION, OVERLAPS, PATIENCE, PAUSING, Said
from vivavoce.realtime.server.bench.sound import (
    STEP,
    TICK,
    Span,
    audible,
    first_from,
    heard_samples,
    is_audible,
    merged,
    ms,
    samples,
)
from vivavoce.realtime.server.bench.take import Take, Told
from vivavoce.realtime.server.bench.told import Answers, ServerClock

Json = dict[str, Any]

BOT_GAP_MS = 500
"""A voice that pauses for no longer is still the same one (as Full-Duplex-Bench has it)."""
YIELD = samples(2_000)
"""Who has not fallen silent so long after the user began has missed it (as tau-voice has it)."""
DECISIONS = ("input_audio_buffer.committed", "input_audio_buffer.speech_stopped", "response.created")
"""Events that say that the user's turn is over, the first kind that comes counts."""
CONCEALED = samples(60)
"""Of a stream of packets a decoder fills a hole of up to this with what was before it; what is longer is heard as silence."""
PREMATURE_SOUND = samples(20)
"""Less than this, heard while the user has not finished, is the end of what was said before."""


def turns(take: Take) -> list[Json]:
    """One row for each question, with what overlapped its answer."""
    spans = audible(take.loudspeaker)
    answers, clock, errors = Answers(take.told), ServerClock(take), heard_errors(take)
    questions = [said for said in take.said if said.clip.kind not in OVERLAPS]
    ends = [said.at for said in questions[1:]] + [len(take.loudspeaker)]
    rows = []
    for said, until in zip(questions, ends, strict=True):
        overlap = next((other for other in take.said if other.turn == said.turn and other is not said), None)
        row = opening(said) | wait(take, said, overlap.first if overlap else until, spans, clock)
        row |= under_way(take, said.end, until) | answers.speculation(said.first, until)
        if overlap is not None:
            row["overlap"] = yielding(take, overlap, until, spans, answers)
        row["heard_errors_ms"] = [error for at, error in errors if said.at <= at < until]
        rows.append(row)
    if rows and not rows[-1]["answered"] and len(take.loudspeaker) - questions[-1].end < PATIENCE:
        rows.pop()  # the recording ended before it could have been answered
    return rows


def opening(said: Said) -> Json:
    """What was asked, and when it ended."""
    clip = said.clip
    return {"turn": said.turn, "clip": clip.name, "kind": clip.kind, "asked_ms": ms(said.first), "end_ms": ms(said.end)}


# --- the wait for an answer ---------------------------------------------------------------------------------------


def wait(take: Take, said: Said, until: int, spans: list[Span], clock: ServerClock) -> Json:
    """From the user's last sample to the first audible one of the answer, and its parts."""
    early = heard_samples(spans, said.speech[0][0], said.end) > PREMATURE_SOUND
    row: Json = {"premature": early, "v2v_ms": None, "pauses_ms": pauses(said) if said.clip.kind == PAUSING else []}
    heard = first_from(spans, said.end)
    if heard is None or heard >= until or is_audible(spans, said.end):
        row["answered"] = is_audible(spans, said.end)
        return row
    decided = decision(take.told, said.end, heard)
    sounded = first_sound(take, said.end, heard)
    came = next((piece.came for piece in take.pieces if piece.at <= sounded < piece.at + piece.length), sounded)
    marks = [("endpointing", decided), ("response", came), ("playout", sounded), ("leading_silence", heard)]
    row |= {"answered": True, "v2v_ms": ms(heard - said.end), "heard_at_ms": ms(heard)}
    row["parts_ms"] = parts(said.end, marks)
    row["ttfa_ms"] = ms(heard - max(decided, said.end))
    inside = clock.inside(said.end, heard)
    if inside:
        row["server_parts_ms"] = parts(said.end, [*inside, *marks[1:]])
    return row


def pauses(said: Said) -> list[float]:
    """The user's own, inside the question."""
    return [ms(after[0] - before[1]) for before, after in pairwise(said.speech)]


def parts(begin: int, marks: Sequence[tuple[str, int]]) -> Json:
    """Named positions, the last of them the end -> milliseconds from each to the next, none negative; they sum to the whole."""
    made: Json = {}
    end, at = marks[-1][1], begin
    for name, position in marks:
        to = min(max(position, at), end)
        made[name] = ms(to - at)
        at = to
    return made


def decision(told: Sequence[Told], end: int, heard: int) -> int:
    """When this client learned that its turn was over; `heard` if it was never told."""
    for kind in DECISIONS:
        found = [one.at for one in told if one.kind == kind and end <= one.at <= heard + STEP]
        if found:
            return min(found[-1], heard)
    return heard


def first_sound(take: Take, end: int, heard: int) -> int:
    """Where the answer begins on the tape, audible or not: its first sample as it was sent."""
    if take.plays_itself:
        begun = [
            one.at for one in take.told if one.kind == "output_audio_buffer.started" and end <= one.at <= heard + STEP
        ]
        after = [piece.at for piece in take.pieces if begun and piece.came >= begun[-1]]
        return min(after[0], heard) if after else heard
    inside = [piece for piece in take.pieces if piece.at <= heard < piece.at + piece.length]
    if not inside:
        return heard
    whole = [piece.at for piece in take.pieces if piece.item == inside[0].item and piece.at >= end]
    return min([*whole, heard])


# --- while it is spoken -------------------------------------------------------------------------------------------


def under_way(take: Take, begin: int, until: int) -> Json:
    """Gaps in what the client played, and how near to one it was."""
    spans = audible(take.loudspeaker[begin:until], BOT_GAP_MS)
    holes = merged([(gap.at - begin, gap.at + gap.length - begin) for gap in take.gaps if begin <= gap.at < until], 0)
    inside = [hole for hole in holes if any(first < hole[0] and hole[1] < behind for first, behind in spans)]
    own = [hole for hole in inside if slept(take, begin + hole[0], begin + hole[1])]
    inside = [hole for hole in inside if hole not in own]
    least = CONCEALED if take.plays_itself else 0
    dry = [behind - first for first, behind in inside if behind - first > least]
    concealed = [behind - first for first, behind in inside if behind - first <= least]
    pieces = [piece for piece in take.pieces if begin <= piece.at < until]
    later = [after for before, after in pairwise(pieces) if before.item == after.item]
    return {
        "underruns": len(dry),
        "underrun_ms": ms(sum(dry)),
        "concealed_ms": ms(sum(concealed)),
        "own_gaps": len(own),
        "dry": len(ran_dry(take, begin, until)),
        "min_lead_ms": ms(min(piece.lead for piece in later)) if later else None,
        "spoken_ms": ms(heard_samples(audible(take.loudspeaker[begin:until]), 0, until - begin)),
    }


def ran_dry(take: Take, begin: int, until: int) -> list[int]:
    """Of answers that the server plays: runs of packets without any sound in their middle, in samples, two packets or more."""
    runs: list[int] = []
    if not take.plays_itself:
        return runs
    for first, behind in aired(take, begin, until):
        inside = [piece for piece in take.pieces if first <= piece.came < behind]
        loud = [n for n, piece in enumerate(inside) if not piece.blank]
        runs += [(after - before - 1) * TICK for before, after in pairwise(loud) if after - before > 2]
    return runs


def aired(take: Take, begin: int, until: int) -> list[Span]:
    """From `output_audio_buffer.started` to the end of each answer."""
    told = [one for one in take.told if one.kind in AIRED and begin <= one.at < until]
    return [(one.at, after.at) for one, after in pairwise(told) if one.kind == AIRED[0] and after.kind != AIRED[0]]


AIRED = ("output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared")


def slept(take: Take, first: int, behind: int) -> bool:
    """A hole is this client's own fault: about then it was itself late with the microphone, by half the hole or more."""
    late = take.late_ms[max(0, first - WATCHED) // TICK : behind // TICK + 1]
    return max(late, default=0.0) >= ms(behind - first) / 2


WATCHED = samples(200)
"""How long before a hole it may have begun: what waited was played first."""


# --- when the user speaks meanwhile -------------------------------------------------------------------------------


def yielding(take: Take, overlap: Said, until: int, spans: list[Span], answers: Answers) -> Json:
    """Whether the answer stopped for what overlapped it, and how soon.

    `outcome`: "stopped"; "spoke on", to its end or for longer than `YIELD`; "ended", before an interruption can be said to have
    been missed; "too late", because there was nothing to be heard any more when the user began.
    """
    onset = overlap.first
    voice = next((s for s in merged(spans, samples(BOT_GAP_MS)) if s[0] <= onset < s[1]), None)
    row: Json = {"clip": overlap.clip.name, "kind": overlap.clip.kind, "onset_ms": ms(onset), "stop_ms": None}
    if voice is None:
        return row | {"outcome": "too late"}
    cut = next((at for at in cuts(take, answers) if onset <= at <= onset + YIELD), None)
    # An answer to what overlapped may follow at once; it is not the voice that was cut.
    behind = min(until, voice[1] if cut is None else cut + IN_FLIGHT)
    last = max((end for begin, end in spans if voice[0] <= begin < behind and end <= voice[1]), default=onset)
    row["hold_ms"] = ms(longest_silence(spans, onset, min(onset + YIELD, voice[1])))
    if last > onset + YIELD:
        return row | {"outcome": "spoke on"}
    if cut is None:
        return row | {"outcome": "ended" if overlap.clip.kind == INTERRUPTION else "spoke on"}
    noticed = [one.at for one in take.told if one.kind in NOTICED and onset <= one.at]
    detect = min(noticed[0], last) if noticed else last
    stop = {"stop_ms": ms(last - onset), "detect_ms": ms(detect - onset), "flush_ms": ms(last - detect)}
    return row | stop | {"outcome": "stopped"}


def cuts(take: Take, answers: Answers) -> list[int]:
    """When answers were cut short, by the client or the server, in order."""
    return sorted([gone.at for gone in take.cleared] + answers.cuts())


IN_FLIGHT = samples(100)
"""How long after a cut, known from an event, sound that was under way still comes to be played."""
NOTICED = ("input_audio_buffer.speech_started", "output_audio_buffer.cleared")
"""Events by which a client learns that it was heard to speak."""


def longest_silence(spans: list[Span], begin: int, end: int) -> int:
    """Samples of the longest pause between two audible spans that lies in [begin, end)."""
    return max((after[0] - before[1] for before, after in pairwise(spans) if begin <= before[1] < end), default=0)
