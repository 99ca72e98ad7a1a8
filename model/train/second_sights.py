"""What the second litter sees beside coloured shapes that stand still: what it is shown, and how often it is asked what."""

from __future__ import annotations

from vivavoce.model.train import place_skills, read_skills, watch_skills
from vivavoce.model.train.scenes import Scene, random_scene
from vivavoce.model.train.turns import Litter, Rng, Sight
from vivavoce.model.train.views import View, moves, random_comparison, random_motion, random_reading

LOOK = {**place_skills.LOOK, **read_skills.LOOK, **watch_skills.LOOK}
VIEWS = {
    "reading": Sight(lambda rng, held: random_reading(rng, held=held), 0.2, ("read", "does it say")),
    "places": Sight(lambda rng, held: random_comparison(rng, held=held), 0.05, ("where", "beside")),
    "comparing": Sight(lambda rng, held: random_comparison(rng, held=held), 0.1, ("bigger", "same", "more")),
    "motion": Sight(lambda rng, held: random_motion(rng, held=held), 0.15, ("way", "does it move")),
}
"""By subject; evaluation has a row for each, see `questions.sights`."""
OFTEN, SELDOM = 3.0, 0.3
"""Weight of questions about what a scene was drawn for, and about what hardly any of its kind has."""


def drawn(rng: Rng, learned: Litter, held: bool) -> Scene:
    """A scene of things that stand still, or of another kind if the litter sees more."""
    sights = learned.views.values()
    if not sights:
        return random_scene(rng, held=held)
    kinds = [*(sight.draw for sight in sights), lambda rng, held: random_scene(rng, held=held)]
    shares = [sight.share for sight in sights]
    return rng.choices(kinds, [*shares, 1 - sum(shares)])[0](rng, held)


def fitting(skill: str, scene: Scene) -> float:
    """What the weight of a skill is multiplied by before a scene: there are cards to be read, and things to be watched."""
    if skill in VIEWS["reading"].skills:
        return OFTEN if isinstance(scene, View) and scene.prints else SELDOM
    if skill in VIEWS["motion"].skills:
        return OFTEN if moves(scene) else SELDOM
    return 1.0


TAUGHT = Litter(
    look=LOOK,
    quiz={name: LOOK[name][1] for sight in VIEWS.values() for name in sight.skills},
    views=VIEWS,
    shows=watch_skills.SHOWS,
)
