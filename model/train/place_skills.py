"""Where a thing is, what is beside it, and how two of them compare. Asked only where the answer is clear to anybody."""

from __future__ import annotations

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.sight_skills import NO_CAMERA
from vivavoce.model.train.turns import Maker, Memory, Rng, Turn, plural, polite
from vivavoce.model.train.views import BIGGER, View, across, down, size

WHERE = {
    ("left", "top"): "on the left at the top",
    ("left", "middle"): "on the left in the middle",
    ("left", "bottom"): "on the left at the bottom",
    ("middle", "top"): "in the middle at the top",
    ("middle", "middle"): "in the very middle",
    ("middle", "bottom"): "in the middle at the bottom",
    ("right", "top"): "on the right at the top",
    ("right", "middle"): "on the right in the middle",
    ("right", "bottom"): "on the right at the bottom",
}
"""Nine places, none of whose names is part of another's."""


def single(scene: Scene) -> list[Thing]:
    """Things that their shape alone names, standing still."""
    still = [t for i, t in enumerate(scene.things) if not (isinstance(scene, View) and scene.way(i))]
    return [t for t in still if sum(o.shape == t.shape for o in scene.things) == 1]


def no_camera(rng: Rng, user: str) -> Turn:
    return Turn(polite(rng, user), NO_CAMERA, "no camera", "camera")


def where(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    ask = rng.choice(
        [
            "where is the {}",
            "where do you see the {}",
            "in which place is the {}",
            "tell me where the {} is",
            "where can you see the {}",
        ]
    )
    if scene is None:
        return no_camera(rng, ask.format(rng.choice(lx.SHAPES)))
    placed = {t: (across(t.x), down(t.y)) for t in single(scene)}
    clear = [(t, WHERE[x, y]) for t, (x, y) in placed.items() if x and y]
    if not clear:
        return None
    thing, place = rng.choice(clear)
    return Turn(polite(rng, ask.format(thing.shape)), f"The {thing.shape} is {place}.", "where", place)


def beside(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """What is left or right of a thing: the next one, if all of them stand beside each other."""
    side = rng.choice(("left", "right"))
    ask = rng.choice(
        [
            "what is {} of the {}",
            "what do you see {} of the {}",
            "which shape is {} of the {}",
            "tell me what is {} of the {}",
        ]
    )
    if scene is None:
        return no_camera(rng, ask.format(side, rng.choice(lx.SHAPES)))
    things = sorted(single(scene), key=lambda t: t.x)
    if len(things) != len(scene.things) or not 2 <= len(things) <= 3:
        return None
    if any(b.x - a.x < 0.8 * (a.radius + b.radius) for a, b in zip(things, things[1:], strict=False)):
        return None
    place = rng.randrange(len(things))
    user, other = polite(rng, ask.format(side, things[place].shape)), place + (1 if side == "right" else -1)
    if not 0 <= other < len(things):
        return Turn(user, f"There is nothing {side} of the {things[place].shape}.", "beside", "nothing")
    said = f"{things[other].colour} {things[other].shape}"
    return Turn(user, f"The {said} is {side} of it.", "beside", said)


def bigger(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Which of two things is bigger or smaller, or which of all of them is the biggest or the smallest."""
    largest = rng.random() < 0.6
    if scene is None:
        return no_camera(rng, f"which one is {'bigger' if largest else 'smaller'}")
    things = single(scene)
    if len(things) < 2:
        return None
    if len(scene.things) == 2 or rng.random() < 0.5:
        pair = things if len(things) == 2 else rng.sample(things, 2)
        one, other = pair if rng.random() < 0.5 else pair[::-1]
        word = "bigger" if largest else "smaller"
        asks = [
            f"which one is {word} the {one.shape} or the {other.shape}",
            f"is the {one.shape} or the {other.shape} {word}",
        ]
        asks += [f"which one is {word}", f"which shape is {word}"] if len(scene.things) == 2 else []
        among = [one, other]
    else:
        word, among = ("biggest" if largest else "smallest"), things
        asks = [f"which one is the {word}", f"which shape is the {word}", f"what is the {word} thing"]
        if len(things) < len(scene.things):
            return None
    ranked = sorted(among, key=lambda t: t.radius, reverse=largest)
    first, second = ranked[0].radius, ranked[1].radius
    if max(first, second) < BIGGER * min(first, second):
        return None
    extremes = ("biggest", "smallest") if largest else ("smallest", "biggest")
    if not any(_is(scene, thing, extreme) for thing, extreme in zip(ranked, extremes, strict=False)):
        return None  # of two in between the eyes have nothing to say
    return Turn(polite(rng, rng.choice(asks)), f"The {ranked[0].shape} is {word}.", "bigger", f"the {ranked[0].shape}")


def _is(scene: Scene, thing: Thing, extreme: str) -> bool:
    return size(scene.things, scene.things.index(thing)) == extreme


def same(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Whether two things have the same colour, or the same shape."""
    what = rng.choice(("colour", "shape"))
    asks = [
        "are they the same {}",
        "do they have the same {}",
        "are both of them the same {}",
        "is the {} of both the same",
    ]
    user = polite(rng, rng.choice(asks).format(what))
    if scene is None:
        return Turn(user, NO_CAMERA, "no camera", "camera")
    if len(scene.things) != 2:
        return None
    first, second = (getattr(t, what) for t in scene.things)
    if first == second:
        said = f"both are {first}" if what == "colour" else f"both are {plural(first, 2)}"
        return Turn(user, f"Yes, {said}.", "same", "yes")
    joined = f"one is {first} and one is {second}" if what == "colour" else f"one is a {first} and one is a {second}"
    return Turn(user, f"No, {joined}.", "same", "no")


def more(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Whether there are more of one shape than of another; as many is no."""
    first, second = rng.sample(lx.SHAPES, 2)
    if scene is not None and scene.things:
        there = sorted({t.shape for t in scene.things})
        first = rng.choice(there)
        second = rng.choice([s for s in (there if len(there) > 1 and rng.random() < 0.8 else lx.SHAPES) if s != first])
        if rng.random() < 0.5:
            first, second = second, first
    many, few = plural(first, 2), plural(second, 2)
    asks = [
        f"are there more {many} than {few}",
        f"do you see more {many} than {few}",
        f"is the number of {many} greater than of {few}",
    ]
    user = polite(rng, rng.choice(asks))
    if scene is None:
        return Turn(user, NO_CAMERA, "no camera", "camera")
    a, b = (sum(t.shape == shape for t in scene.things) for shape in (first, second))
    if a == b:
        return Turn(user, f"No, there are as many {many} as {few}.", "more", "no")
    yes = a > b
    return Turn(
        user, f"{'Yes' if yes else 'No'}, there are more {many if yes else few}.", "more", "yes" if yes else "no"
    )


LOOK: dict[str, tuple[Maker, float]] = {
    "where": (where, 1.2),
    "beside": (beside, 1.0),
    "bigger": (bigger, 1.0),
    "same": (same, 0.8),
    "more": (more, 0.8),
}
"""Skills with their weight among dialogue turns; `views.random_comparison` draws what they are asked about."""
