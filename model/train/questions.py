"""What a checkpoint is asked when it is examined: nothing that training had."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vivavoce.model.train import skills
from vivavoce.model.train.scenes import Scene, random_scene
from vivavoce.model.train.turns import Dialogue, Maker, Memory, Turn
from vivavoce.model.train.views import View, moves

ROUND = 5
"""Questions about one scene before they are asked again."""


def scene_questions(count: int, seed: int, litter: int = 1) -> list[Dialogue]:
    """One-turn dialogues about held-out scenes."""
    rng, made = random.Random(seed), list[Dialogue]()
    while len(made) < count:
        talk = skills.dialogue(rng, held=True, turns=1, camera=1.0, litter=litter)
        if talk.turns[0].skill in skills.LITTERS[litter].seen:
            made.append(talk)
    return made


def rounds(count: int, seed: int, litter: int = 1) -> list[Dialogue]:
    """`ROUND` questions about a held-out scene, and then the same ones again."""
    made, makers = [], [maker for maker, _ in skills.LITTERS[litter].look.values()]
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        scene, turns = random_scene(rng, held=True), list[Turn]()
        while len(turns) < ROUND:
            turn = rng.choice(makers)(rng, Memory(), scene, len(turns), True)
            turns += [turn] if turn is not None else []
        made.append(Dialogue((*turns, *turns), scene))
    return made


def skill_questions(count: int, seed: int, litter: int = 1) -> list[Dialogue]:
    """One-turn dialogues without a camera, held-out slots."""
    rng = random.Random(seed)
    return [skills.dialogue(rng, held=True, turns=1, camera=0.0, litter=litter) for _ in range(count)]


def unknown_questions(count: int, seed: int, litter: int = 1) -> list[Dialogue]:
    """Questions outside the skills, none of them in training."""
    return _single(count, seed, [skills.LITTERS[litter].talk["unknown"][0]])


def near_questions(count: int, seed: int, litter: int) -> list[Dialogue]:
    """Questions near the skills and outside, none of them in training; a litter that has none is asked none."""
    makers = [maker for maker, _ in skills.LITTERS[litter].near.values()]
    return _single(count, seed, makers) if makers else []


def lessons(count: int, seed: int, litter: int) -> dict[str, list[Dialogue]]:
    """Of each subject that the litter has lessons in so many dialogues of three turns, held-out slots."""
    taught, made = skills.LITTERS[litter], dict[str, list[Dialogue]]()
    for name, (lesson, _) in {**taught.lessons, **taught.errands}.items():
        rng = random.Random(f"{seed} {name}")
        made[name] = [lesson(rng, 3, True) for _ in range(count)]
    return made


def _single(count: int, seed: int, makers: Sequence[Maker]) -> list[Dialogue]:
    """One-turn dialogues without a camera, the makers in turn."""
    rng, made = random.Random(seed), list[Dialogue]()
    while len(made) < count:
        turn = makers[len(made) % len(makers)](rng, Memory(), None, 0, True)
        if turn is not None:
            made.append(Dialogue((turn,), None))
    return made


def sights(count: int, seed: int, litter: int) -> dict[str, list[Dialogue]]:
    """What a litter sees beside things that stand still, by subject: so many questions of each about held-out scenes, in held-out
    fonts; those about changes need two turns, of which the second counts. As many words are to be read as digits and as numbers of
    two, and in three of four films something moves: drawn at random, most prints that are held out are digits."""
    taught, made = skills.LITTERS[litter], dict[str, list[Dialogue]]()
    for subject, sight in taught.views.items():
        rng, talks = random.Random(f"{seed} {subject}"), list[Dialogue]()
        makers = [taught.look[name][0] for name in sight.skills]
        while len(talks) < count:
            scene = sight.draw(rng, True)
            if not _is_due(subject, scene, len(talks) // len(makers)):
                continue
            turn = makers[len(talks) % len(makers)](rng, Memory(), scene, 0, True)
            talks += [Dialogue((turn,), scene)] if turn is not None else []
        made[subject] = talks
    if taught.shows:
        rng = random.Random(f"{seed} changes")
        made["changes"] = [skills.show(rng, litter=litter, held=True) for _ in range(count)]
    return made


def _is_due(subject: str, scene: Scene, number: int) -> bool:
    """Whether the scene is of the kind that the question of this number is about."""
    if subject == "motion":
        return moves(scene) == (number % 4 > 0)
    if isinstance(scene, View) and scene.prints:
        text = scene.prints[0].text
        return (len(text) if text.isdigit() else 0) == number % 3
    return True
