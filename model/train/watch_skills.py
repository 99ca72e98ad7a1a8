"""What moves while it is looked at, and what is no longer as it was before."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.place_skills import no_camera
from vivavoce.model.train.scenes import Scene, Thing, random_scene, thing_is_held_out
from vivavoce.model.train.sight_skills import what_do_you_see
from vivavoce.model.train.turns import Maker, Memory, Rng, Turn, article, polite
from vivavoce.model.train.views import WAYS, View


def ways(scene: Scene) -> dict[Thing, str | None]:
    """Things that their shape alone names, and where each goes."""
    named = [i for i, t in enumerate(scene.things) if sum(o.shape == t.shape for o in scene.things) == 1]
    return {scene.things[i]: scene.way(i) if isinstance(scene, View) else None for i in named}


def which_way(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    asks = ["which way does the {} move", "where does the {} go", "which way did the {} move", "how does the {} move"]
    user = rng.choice(asks)
    if scene is None:
        return no_camera(rng, user.format(rng.choice(lx.SHAPES)))
    known = ways(scene)
    if not known:
        return None
    going = [t for t, way in known.items() if way]
    thing = rng.choice(going) if going and rng.random() < 0.8 else rng.choice(list(known))
    if len(scene.things) == 1 and rng.random() < 0.4:
        user = rng.choice(["which way does it move", "which way did it move", "where does it go"])
    user, way = polite(rng, user.format(thing.shape)), known[thing]
    if way is None:
        return Turn(user, f"The {thing.shape} does not move.", "way", "does not move")
    return Turn(user, f"The {thing.shape} moves {way}.", "way", f"moves {way}")


def does_it_move(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Whether a thing moves, or moves a given way."""
    if scene is None:
        return no_camera(rng, rng.choice(["is it moving", "does it move", "is anything moving"]))
    known = ways(scene)
    if not known:
        return None
    thing = rng.choice(list(known))
    way, said = known[thing], "it" if len(scene.things) == 1 else f"the {thing.shape}"
    truth = f"it moves {way}" if way else "it does not move"
    if rng.random() < 0.5:
        user = rng.choice([f"is {said} moving", f"does {said} move"])
        return Turn(polite(rng, user), f"{'Yes' if way else 'No'}, {truth}.", "does it move", "yes" if way else "no")
    asked = way if way and rng.random() < 0.5 else rng.choice(list(WAYS))
    user = rng.choice([f"did {said} move {asked}", f"does {said} move {asked}", f"is {said} moving {asked}"])
    return Turn(
        polite(rng, user),
        f"{'Yes' if asked == way else 'No'}, {truth}.",
        "does it move",
        "yes" if asked == way else "no",
    )


LOOK: dict[str, tuple[Maker, float]] = {"way": (which_way, 1.2), "does it move": (does_it_move, 1.0)}
"""Skills with their weight among dialogue turns; `views.random_motion` draws what they are asked about."""


@dataclass(frozen=True)
class Shown:
    """One turn of a conversation whose scene changes."""

    turn: Turn
    scene: Scene
    """Before the camera while the question is asked."""
    kept: Scene | None = None
    """Before the camera until then, while kitten was speaking: what the server's kept frames show."""


def changed(rng: Rng, *, held: bool = False) -> list[Shown]:
    """Something is shown and asked about; then a thing comes, goes or has another colour, or nothing is new, and that is asked."""
    while True:
        before = random_scene(rng, held=held, most=3)
        if (
            len({t.shape for t in before.things}) == len(before.things)
            and (after := otherwise(rng, before)) is not None
        ):
            break
    scene, said, slot = after
    asks = [
        "what has changed",
        "what is different now",
        "what changed",
        "do you see what has changed",
        "tell me what is different",
    ]
    first = what_do_you_see(rng, Memory(), before, 0, held)
    assert first is not None
    return [Shown(first, before), Shown(Turn(polite(rng, rng.choice(asks)), said, "changed", slot), scene)]


def otherwise(rng: Rng, before: Scene) -> tuple[Scene, str, str] | None:
    """Another scene, what is other about it, and the words of it that matter; None where what was drawn does not fit."""
    seed, things, kind = rng.randrange(2**31), list(before.things), rng.choice(("come", "gone", "colour", "nothing"))
    if kind == "nothing":
        return replace(before, seed=seed), "Nothing has changed.", "nothing"
    which = rng.randrange(len(things))
    thing = things[which]
    name = f"{thing.colour} {thing.shape}"
    if kind == "gone":
        if len(things) == 1:
            return None
        return (
            replace(before, things=tuple(t for t in things if t is not thing), seed=seed),
            f"The {name} is gone.",
            f"{name} is gone",
        )
    if kind == "colour":
        other = rng.choice([c for c in lx.COLOURS if c != thing.colour and not thing_is_held_out(c, thing.shape)])
        things[which] = replace(thing, colour=other)
        return (
            replace(before, things=tuple(things), seed=seed),
            f"The {thing.shape} is {other} now.",
            f"{thing.shape} is {other}",
        )
    for _ in range(50):
        new = rng.choice(random_scene(rng, most=1).things)
        new = replace(new, radius=rng.uniform(0.11, 0.18))
        apart = all((new.x - t.x) ** 2 + (new.y - t.y) ** 2 > (1.15 * (new.radius + t.radius)) ** 2 for t in things)
        if apart and new.shape not in {t.shape for t in things}:
            more = tuple(sorted((*things, new), key=lambda t: t.x))
            said = article(f"{new.colour} {new.shape}")
            return replace(before, things=more, seed=seed), f"There is {said} now.", said
    return None


def shown_meanwhile(rng: random.Random, *, held: bool = False) -> list[Shown]:
    """Kitten says what it sees; while it does, one other thing is shown and put away, and afterwards it is asked for."""
    first, while_speaking = random_scene(rng, held=held, most=2), random_scene(rng, held=held, most=1)
    thing = while_speaking.things[0]
    if any((t.colour, t.shape) == (thing.colour, thing.shape) for t in first.things):
        return shown_meanwhile(rng, held=held)
    asks = [
        "what did i show you while you were talking",
        "what did you see while you were speaking",
        "what was there while you talked",
    ]
    told = what_do_you_see(rng, Memory(), first, 0, held)
    assert told is not None
    said = article(f"{thing.colour} {thing.shape}")
    asked = Turn(polite(rng, rng.choice(asks)), f"You showed me {said}.", "meanwhile", said)
    return [Shown(told, first), Shown(asked, first, kept=while_speaking)]
