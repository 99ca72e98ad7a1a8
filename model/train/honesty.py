"""What the second litter says of what it can do, and of what it cannot, where the first would have said something else.

Each file of skills has questions of its own that are near them and outside (`Litter.near`); here is what is near nothing.
"""

from __future__ import annotations

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY, unknown_among, who_are_you
from vivavoce.model.train.turns import Litter, Memory, Rng, Turn, polite

LEARNED = ("tell me a story", "what time is it", "set an alarm for seven")
"""Outside for the first litter. The last is near a timer, and would be taken for one by halves of other questions."""
QUESTIONS = tuple(question for question in lx.UNKNOWN_QUESTIONS if question not in LEARNED)
CAN = "I can talk, count, spell, tell stories, remember things, and look at shapes."


def unknown(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(lx.HELD_OUT_UNKNOWN) if held else unknown_among(rng, QUESTIONS)
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know")


def who(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    turn = who_are_you(rng, memory, scene, index, held)
    if turn is None or turn.skill != "skills":
        return turn
    return Turn(turn.user, CAN, turn.skill, turn.slot, exact=True)


TAUGHT = Litter(talk={"unknown": (unknown, 1.7), "who": (who, 0.6)})
