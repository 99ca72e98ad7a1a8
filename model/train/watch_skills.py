"""What moves while it is looked at, and what is no longer as it was before."""

from __future__ import annotations

from dataclasses import replace

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.place_skills import no_camera
from vivavoce.model.train.scenes import Scene, Thing, random_scene, thing_is_held_out
from vivavoce.model.train.sight_skills import what_do_you_see
from vivavoce.model.train.turns import Dialogue, Lesson, Maker, Memory, Rng, Turn, article, polite
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


CHANGED = [
    "what has changed",
    "what is different now",
    "what changed",
    "do you see what has changed",
    "tell me what is different",
]
MEANWHILE = [
    "what did i show you while you were talking",
    "what did you see while you were speaking",
    "what was there while you talked",
]
NOTHING_ELSE = "I have seen nothing else."
NOTHING = 0.2
"""Share of conversations in which nothing else was shown."""


def random_change(rng: Rng, *, held: bool = False) -> tuple[Scene, Scene]:
    """Up to three things of different shapes, and then: one has come, is gone or has another colour, or all are as they were."""
    while True:
        before = random_scene(rng, held=held, most=3)
        if len({t.shape for t in before.things}) < len(before.things):
            continue
        after = otherwise(rng, before)
        if after is not None:
            return before, after


def otherwise(rng: Rng, before: Scene) -> Scene | None:
    """Another scene that differs in one thing, or in none; None where what was drawn does not fit."""
    seed, things, kind = rng.randrange(2**31), list(before.things), rng.choice(("come", "gone", "colour", "nothing"))
    if kind == "nothing":
        return replace(before, seed=seed)
    which = rng.randrange(len(things))
    thing = things[which]
    if kind == "gone":
        kept = tuple(t for t in things if t is not thing)
        return replace(before, things=kept, seed=seed) if kept else None
    if kind == "colour":
        other = rng.choice([c for c in lx.COLOURS if c != thing.colour and not thing_is_held_out(c, thing.shape)])
        things[which] = replace(thing, colour=other)
        return replace(before, things=tuple(things), seed=seed)
    for _ in range(50):
        new = rng.choice(random_scene(rng, most=1).things)
        new = replace(new, radius=rng.uniform(0.11, 0.18))
        apart = all((new.x - t.x) ** 2 + (new.y - t.y) ** 2 > (1.15 * (new.radius + t.radius)) ** 2 for t in things)
        if apart and new.shape not in {t.shape for t in things}:
            return replace(before, things=tuple(sorted((*things, new), key=lambda t: t.x)), seed=seed)
    return None


def difference(before: Scene, after: Scene) -> tuple[str, str]:
    """What is other about a scene, in a sentence, and the words of it that matter."""
    was, now = ({t.shape: t.colour for t in scene.things} for scene in (before, after))
    for shape, colour in was.items():
        if shape not in now:
            return f"The {colour} {shape} is gone.", f"{colour} {shape} is gone"
        if now[shape] != colour:
            return f"The {shape} is {now[shape]} now.", f"{shape} is {now[shape]}"
    for shape, colour in now.items():
        if shape not in was:
            said = article(f"{colour} {shape}")
            return f"There is {said} now.", said
    return "Nothing has changed.", "nothing"


def asked_what_changed(rng: Rng, before: Scene, after: Scene, *, held: bool = False) -> Dialogue:
    """Something is shown and asked about; then it is another scene, and that is asked."""
    said, slot = difference(before, after)
    asked = Turn(polite(rng, rng.choice(CHANGED)), said, "changed", slot, scene=after)
    return Dialogue((_described(rng, before, held), asked), before)


def asked_what_was_shown(rng: Rng, scene: Scene, meanwhile: Scene | None, *, held: bool = False) -> Dialogue:
    """Kitten says what it sees; while it does, one thing may be shown and put away, and afterwards it is asked for."""
    user = polite(rng, rng.choice(MEANWHILE))
    if meanwhile is None:
        asked = Turn(user, NOTHING_ELSE, "meanwhile", "nothing else", kept=scene)
    else:
        thing = meanwhile.things[0]
        said = article(f"{thing.colour} {thing.shape}")
        asked = Turn(user, f"You showed me {said}.", "meanwhile", said, kept=meanwhile)
    return Dialogue((_described(rng, scene, held), asked), scene)


def _described(rng: Rng, scene: Scene, held: bool) -> Turn:
    turn = what_do_you_see(rng, Memory(), scene, 0, held)
    assert turn is not None, "whoever stands still can be described"
    return turn


def another(scene: Scene, other: Scene) -> bool:
    """It is a single thing, standing by itself, that is not to be seen in the scene."""
    known = {(t.colour, t.shape) for t in scene.things}
    return (
        not isinstance(other, View)
        and len(other.things) == 1
        and (other.things[0].colour, other.things[0].shape) not in known
    )


def changed(rng: Rng, turns: int, held: bool) -> Dialogue:
    """A lesson of two turns."""
    return asked_what_changed(rng, *random_change(rng, held=held), held=held)


def shown_meanwhile(rng: Rng, turns: int, held: bool) -> Dialogue:
    """A lesson of two turns; in one of five nothing else was shown."""
    scene = random_scene(rng, held=held, most=2)
    if rng.random() < NOTHING:
        return asked_what_was_shown(rng, scene, None, held=held)
    while True:
        other = random_scene(rng, held=held, most=1)
        if another(scene, other):
            return asked_what_was_shown(rng, scene, other, held=held)


SHOWS: dict[str, tuple[Lesson, float]] = {"changed": (changed, 1.0), "meanwhile": (shown_meanwhile, 0.6)}
"""Dialogues before a camera that shows more than one scene, with their weight."""
