"""How kitten speaks when it is asked to, as sentence grammars: slowly, quickly, loudly, quietly, cheerfully, or as usual again.

Its words stay the same. What follows is spoken so (`Turn.style`) until it is asked otherwise; recordings of its voice in all styles
are what it learns that from (`voices.own_voice`). Other ways to speak are outside.
"""

from __future__ import annotations

from vivavoce.model.train.sayings import STYLES, USUAL
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, is_held_out

ADVERBS = {
    "slow": ("slowly", "more slowly", "slower", "very slowly"),
    "fast": ("quickly", "more quickly", "faster", "fast"),
    "loud": ("loudly", "more loudly", "louder", "up"),
    "quiet": ("quietly", "more quietly", "softly", "in a low voice"),
    "cheerful": ("cheerfully", "more cheerfully", "with joy", "in a happy voice"),
    "": ("normally", "normally again", "as usual", "in your normal voice", "as before"),
}
ASKED = (
    "please speak {a}",
    "speak {a}",
    "can you speak {a}",
    "talk {a}",
    "please talk {a}",
    "could you speak {a} please",
    "i want you to speak {a}",
    "from now on speak {a}",
    "can you talk {a} please",
)
INSTRUCTED = ("Speak {a}.", "Always speak {a}.", "You speak {a}.", "Answer {a}.", "Please talk {a}.")
WISHES = {"i can't hear you": "loud", "you are too loud": "quiet", "you are too fast": "slow", "you are too slow": "fast",
          "the baby sleeps": "quiet"}  # fmt: skip
OTHERWISE = (
    "speak in Spanish;speak with two voices;talk like an old woman;talk backwards;speak only in questions;rap for me;"
    "say it with a British accent;speak like my mother;sound angry;talk like a cat;speak with an accent;talk in a deep voice;"
    "speak like a robot;speak in French;whisper;speak German;"
    "use another voice;talk like a child;sing it;speak like a man;speak in rhymes"
).split(";")
"""Other ways to speak; the last four of evaluation alone."""
HELD_OTHERWISE = 4


def _agreed(style: str) -> tuple[str, str]:
    adverb = (STYLES[style] if style else USUAL).adverb
    return f"Okay, I will speak {adverb}.", adverb


def premise(rng: Rng, memory: Memory, held: bool) -> None:
    """The session says how to speak."""
    style = rng.choice(list(STYLES))
    memory.style = style
    memory.instructions.append(rng.choice(INSTRUCTED).format(a=rng.choice(ADVERBS[style][:2])))


def manner(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """It says that it will, and already does."""
    if rng.random() < 0.2 and not held:
        user = rng.choice(list(WISHES))
        memory.style = WISHES[user]
    else:
        styles = ["", *STYLES] if memory.style else list(STYLES)
        style, pattern = rng.choice(styles), rng.choice(ASKED)
        adverb = rng.choice([a for a in ADVERBS[style] if a != "up" or pattern.startswith(("speak", "please speak"))])
        if is_held_out("manner", style, adverb, pattern) != held:
            return None
        memory.style, user = style, pattern.format(a=adverb)
    reply, slot = _agreed(memory.style)
    return Turn(user, reply, "manner", slot, exact=True, style=memory.style)


def otherwise(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Ways to speak that it has not."""
    user = rng.choice(OTHERWISE[-HELD_OTHERWISE:] if held else OTHERWISE[:-HELD_OTHERWISE])
    return Turn(rng.choice(["", "please ", "can you "]) + user, UNKNOWN_REPLY, "unknown", "know", exact=True)


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """Ways to speak, one after another."""
    memory, made = Memory(), list[Turn]()
    while len(made) < min(3, turns):
        turn = rng.choices([manner, otherwise], [5, 1])[0](rng, memory, None, len(made), held)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), None)


TAUGHT = Litter(
    talk={"manner": (manner, 0.4)},
    near={"otherwise": (otherwise, 0.2)},
    premises={"manner": (premise, 0.12)},
    lessons={"manners": (lesson, 0.7)},
)
