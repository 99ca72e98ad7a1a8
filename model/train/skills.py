"""Conversations drawn from the skills, every reply true.

Whatever a reply depends on (the scene before the camera, a name told earlier) is drawn first and the sentences are written
from it. Slot combinations named by `turns.is_held_out` never occur in training; evaluation draws only those.

What is taught comes in litters. A file of skills ends with a `Litter` of its own, one line a skill, and is named here once. The
dialogues of a litter that has shipped stay as they are: the same seed is the same conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vivavoce.model.train import clock, honesty, hundred, manners, second_sights, spelling, stories, timers
from vivavoce.model.train.mandarin import sight_skills as sight_zh
from vivavoce.model.train.mandarin import talk_skills as talk_zh
from vivavoce.model.train.mandarin.translation import into_english, into_mandarin
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.sight_skills import colour, count, is_there, shape, what_do_you_see
from vivavoce.model.train.talk_skills import (
    arithmetic,
    goodbye,
    greeting,
    recall_fact,
    recall_name,
    repeat,
    tell_fact,
    tell_name,
    unknown,
    who_are_you,
)
from vivavoce.model.train.turns import Dialogue, Litter, Maker, Memory, Rng, Turn

FIRST = Litter(
    talk={
        "greeting": (greeting, 0.6),
        "goodbye": (goodbye, 0.5),
        "who": (who_are_you, 0.6),
        "tell name": (tell_name, 1.0),
        "recall name": (recall_name, 1.0),
        "tell fact": (tell_fact, 1.1),
        "recall fact": (recall_fact, 1.4),
        "repeat": (repeat, 1.6),
        "arithmetic": (arithmetic, 1.7),
        "unknown": (unknown, 1.7),
    },
    look={
        "colour": (colour, 1.5),
        "shape": (shape, 1.1),
        "count": (count, 1.3),
        "is there": (is_there, 1.3),
        "see": (what_do_you_see, 1.2),
    },
    quiz={"colour": 0.8, "shape": 0.6, "count": 1.8, "is there": 2.6, "see": 1.4},
    seen=("colour", "shape", "count", "is there", "describe"),
)
LITTERS = {
    1: FIRST,
    2: FIRST.joined(
        hundred.TAUGHT,
        spelling.TAUGHT,
        clock.TAUGHT,
        timers.TAUGHT,
        stories.TAUGHT,
        manners.TAUGHT,
        honesty.TAUGHT,
        second_sights.TAUGHT,
    ),
}
"""By their number: the shipped kitten is of the first."""
MANDARIN = Litter(
    talk={
        "greeting": (talk_zh.greeting, 0.6),
        "goodbye": (talk_zh.goodbye, 0.5),
        "who": (talk_zh.who_are_you, 0.6),
        "tell name": (talk_zh.tell_name, 1.0),
        "recall name": (talk_zh.recall_name, 1.0),
        "tell fact": (talk_zh.tell_fact, 1.1),
        "recall fact": (talk_zh.recall_fact, 1.4),
        "repeat": (talk_zh.repeat, 1.6),
        "arithmetic": (talk_zh.arithmetic, 1.7),
        "unknown": (talk_zh.unknown, 1.7),
    },
    look={
        "colour": (sight_zh.colour, 1.5),
        "shape": (sight_zh.shape, 1.1),
        "count": (sight_zh.count, 1.3),
        "is there": (sight_zh.is_there, 1.3),
        "see": (sight_zh.what_do_you_see, 1.2),
    },
    quiz=FIRST.quiz,
    seen=FIRST.seen,
)
"""What all litters learn of it: the first one's skills."""
TRANSLATE: dict[str, Maker] = {"en": into_mandarin, "zh": into_english}
TRANSLATED = 1.0
"""Weight of translations, where there are two languages."""
LANGUAGES = ("en", "zh")


def taught(litter: int, language: str) -> Litter:
    """What a litter learns to do in a language."""
    return LITTERS[litter] if language == "en" else MANDARIN


def dialogue(
    rng: Rng,
    *,
    held: bool = False,
    turns: int | None = None,
    camera: float = 0.6,
    scenes: Sequence[Scene] | None = None,
    litter: int = 1,
    language: str = "en",
    translations: bool = False,
) -> Dialogue:
    """A random conversation of `turns` turns (1 to 7 when None), the camera on with probability `camera`.

    What the camera shows is one of `scenes`, or a new random scene. All of it is in one language, "en" or "zh", but for the
    answers to `translations`, where they are asked for.
    """
    learned, scene = taught(litter, language), None
    if rng.random() < camera:
        scene = second_sights.drawn(rng, learned, held) if scenes is None else rng.choice(scenes)
    n = turns if turns is not None else rng.choices([1, 2, 3, 4, 6, 7], [5, 4, 3, 2, 1, 1])[0]
    makers = {
        **learned.talk,
        **learned.near,
        **{
            k: (m, w * (2.0 * second_sights.fitting(k, scene) if scene else 0.25)) for k, (m, w) in learned.look.items()
        },
    }
    if translations:
        makers["translate"] = TRANSLATE[language], TRANSLATED
    memory, made = Memory(), list[Turn]()
    for premise, share in learned.premises.values():
        if rng.random() < share:
            premise(rng, memory, held)
    for index in range(n):
        turn = None
        while turn is None:
            name = rng.choices(list(makers), [w for _, w in makers.values()])[0]
            turn = makers[name][0](rng, memory, scene, index, held)
        made.append(replace(turn, style=memory.style) if memory.style else turn)
    return Dialogue(tuple(made), scene, " ".join(memory.instructions), memory.functions)


def lesson(rng: Rng, turns: int, *, litter: int, errands: bool = False, held: bool = False) -> Dialogue:
    """A dialogue of about `turns` turns about one subject of the litter, with functions to call or without."""
    some = LITTERS[litter].errands if errands else LITTERS[litter].lessons
    make = rng.choices([maker for maker, _ in some.values()], [weight for _, weight in some.values()])[0]
    return make(rng, turns, held)


def quiz(rng: Rng, scene: Scene, turns: int, *, litter: int = 1, language: str = "en") -> Dialogue:
    """`turns` questions about one scene and nothing else, the harder ones more often."""
    learned, made = taught(litter, language), list[Turn]()
    makers = [learned.look[name][0] for name in learned.quiz]
    weights = [weight * second_sights.fitting(name, scene) for name, weight in learned.quiz.items()]
    while len(made) < turns:
        turn = rng.choices(makers, weights)[0](rng, Memory(), scene, len(made), False)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), scene)


def recall_dialogue(rng: Rng, distance: int, *, held: bool = False, litter: int = 1, language: str = "en") -> Dialogue:
    """A fact or the name is told, other talk follows, and after `distance` turns it is asked for."""
    memory, made = Memory(), []
    talk = {name: maker for name, (maker, _) in taught(litter, language).talk.items()}
    tell, ask = rng.choice([(talk[f"tell {what}"], talk[f"recall {what}"]) for what in ("name", "fact")])
    first = None
    while first is None:
        first = tell(rng, memory, None, 0, held)
    made.append(first)
    fillers = [talk[name] for name in ("greeting", "who", "arithmetic", "repeat", "unknown")]
    fillers.append(talk["tell fact" if tell is talk["tell name"] else "tell name"])
    for index in range(1, distance):
        turn = None
        while turn is None or (turn.skill == "tell fact" and tell is talk["tell fact"]):
            turn = rng.choice(fillers)(rng, memory, None, index, False)
        made.append(turn)
    asked = None
    while asked is None or not asked.skill.startswith("recall"):
        asked = ask(rng, memory, None, distance, held)
    made.append(asked)
    return Dialogue(tuple(made), None)


def show(rng: Rng, *, litter: int, held: bool = False) -> Dialogue:
    """A dialogue before a camera that shows more than one scene."""
    some = LITTERS[litter].shows
    return rng.choices([maker for maker, _ in some.values()], [weight for _, weight in some.values()])[0](rng, 2, held)
