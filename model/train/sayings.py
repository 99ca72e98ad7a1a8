"""What kitten says in one breath, and how: what a recording of its own voice is kept by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

LONG = 80
"""Characters from which on a reply of several sentences is spoken sentence by sentence."""
SENTENCE = re.compile(r"(?<=[.!?]) ")


@dataclass(frozen=True)
class Style:
    """How a voice speaks, beside its usual way."""

    adverb: str
    speed: float = 1.0
    level: float = 1.0
    """Of its loudest sample, beside the usual one."""
    pitch: float = 1.0
    lively: float = 1.0
    """How far its pitch moves, in octaves, beside the usual."""


STYLES = {
    "slow": Style("slowly", speed=0.7),
    "fast": Style("quickly", speed=1.4),
    "loud": Style("loudly", level=1.9, pitch=1.08),
    "quiet": Style("quietly", level=0.2, pitch=0.95, lively=0.7),
    "cheerful": Style("cheerfully", speed=1.12, pitch=1.2, lively=1.2),
}
USUAL = Style("as usual")


class Saying(NamedTuple):
    """A reply, or a sentence of a long one, in one of `STYLES`; as usual if that is empty."""

    text: str
    style: str = ""

    @classmethod
    def of(cls, key: str | tuple[str, str]) -> Saying:
        """Working folders from before there were styles keep recordings by their text alone."""
        return cls(key) if isinstance(key, str) else cls(*key)


def sayings(reply: str, style: str = "") -> list[Saying]:
    """The reply in the pieces that are spoken one after another, with a pause between them.

    In one piece all words come first and all sound after them; of a story nobody would know at its end where it had got to.
    """
    return [Saying(piece, style) for piece in (SENTENCE.split(reply) if len(reply) > LONG else [reply])]
