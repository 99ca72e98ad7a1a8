"""How well the server knows how much of an answer was heard when it was cut short. Pure.

Truth is the client's loudspeaker. Where the client plays what comes as events, that is the sample at which it stopped. Where the
server plays (WebRTC), packets of the answer are those between `output_audio_buffer.started` and `.cleared` that hold any sound; the
event that says so goes another way than the sound, so the truth is known to one packet, 20 ms.
"""

from __future__ import annotations

from vivavoce.realtime.server.bench.sound import ms, samples
from vivavoce.realtime.server.bench.take import Take, Told

STARTED, CLEARED, TRUNCATED = (
    "output_audio_buffer.started",
    "output_audio_buffer.cleared",
    "conversation.item.truncated",
)
SOON = samples(2_000)
"""How long after a cut the server's word on it is waited for."""


def heard_errors(take: Take) -> list[tuple[int, float]]:
    """Of each answer that was cut: when, and what the server believes was heard less what was, ms."""
    errors = []
    for cut_at, item, played in played_by_server(take) if take.plays_itself else played_by_client(take):
        word = next((one for one in take.told if is_word(one, cut_at, item)), None)
        if word is not None:
            errors.append((cut_at, round(float(word.event["audio_end_ms"]) - ms(played), 2)))
    return errors


def is_word(one: Told, cut_at: int, item: str) -> bool:
    """The server says how much of this answer was heard."""
    soon = cut_at - samples(40) <= one.at < cut_at + SOON
    return one.kind == TRUNCATED and soon and item in ("", one.event.get("item_id"))


def played_by_client(take: Take) -> list[tuple[int, str, int]]:
    """(when, which item, samples played) of each answer that the client stopped."""
    return [(gone.at, gone.item, gone.played) for gone in take.cleared]


def played_by_server(take: Take) -> list[tuple[int, str, int]]:
    """The same of each that the server stopped; its packets that had come are played out."""
    cuts = []
    for one in take.told:
        if one.kind != CLEARED:
            continue
        answer = one.event.get("response_id")
        begun = [t.at for t in take.told if t.kind == STARTED and t.event.get("response_id") == answer]
        if begun:
            inside = [piece.length for piece in take.pieces if begun[-1] <= piece.came < one.at and not piece.blank]
            cuts.append((one.at, "", sum(inside)))
    return cuts
