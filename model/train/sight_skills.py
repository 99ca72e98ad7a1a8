"""What kitten can say about the scene before the camera, as sentence grammars; with the camera off it says so."""

from __future__ import annotations

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.turns import Memory, Rng, Turn, article, number, plural, polite

NO_CAMERA = "I can't see anything. The camera is off."


def colour(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    thing: Thing | None = None
    if scene is not None:
        unique = [t for t in scene.things if sum(o.shape == t.shape for o in scene.things) == 1]
        same = scene.things if scene.things and len({(t.colour, t.shape) for t in scene.things}) == 1 else ()
        candidates = unique or list(same)
        if not candidates:
            return None
        thing = rng.choice(candidates)
    name = thing.shape if thing else rng.choice(lx.SHAPES)
    user = rng.choice(
        [
            "what colour is the {}",
            "what is the colour of the {}",
            "which colour is the {}",
            "tell me the colour of the {}",
            "what colour is this {}",
            "can you tell me the colour of the {}",
            "the {} what colour is it",
            "do you see the colour of the {}",
        ]
    ).format(name)
    if thing and scene and len(scene.things) == 1 and rng.random() < 0.3:
        user = rng.choice(
            ["what colour is it", "what colour is this", "what colour do you see", "which colour is this"]
        )
    if thing is None:
        return Turn(polite(rng, user), NO_CAMERA, "no camera", "camera")
    return Turn(polite(rng, user), f"The {thing.shape} is {thing.colour}.", "colour", thing.colour)


def shape(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is None:
        return Turn(
            polite(rng, rng.choice(["what shape is it", "what shape is this", "what shape do you see"])),
            NO_CAMERA,
            "no camera",
            "camera",
        )
    unique = [t for t in scene.things if sum(o.colour == t.colour for o in scene.things) == 1]
    if not unique:
        return None
    thing = rng.choice(unique)
    user = rng.choice(
        [
            "what shape is the {} one",
            "what is the {} thing",
            "what is the {} shape",
            "which shape is {}",
            "what shape is {}",
            "what is the {} one",
            "tell me what the {} thing is",
        ]
    ).format(thing.colour)
    if len(scene.things) == 1 and rng.random() < 0.4:
        user = rng.choice(["what shape is it", "what shape is this", "what shape do you see", "which shape is this"])
    return Turn(polite(rng, user), f"It is {article(thing.shape)}.", "shape", thing.shape)


def count(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is None:
        user = rng.choice(["how many shapes do you see", "how many things are there", "count the shapes"])
        return Turn(polite(rng, user), NO_CAMERA, "no camera", "camera")
    if rng.random() < 0.4:
        user = rng.choice(
            [
                "how many shapes do you see",
                "how many shapes are there",
                "how many things do you see",
                "how many things are there",
                "count the shapes",
                "count the things",
                "how many are there",
            ]
        )
        n, noun = len(scene.things), "shape"
    else:
        there = [t.shape for t in scene.things] or lx.SHAPES
        noun = rng.choice(there if rng.random() < 0.8 else lx.SHAPES)
        n = sum(t.shape == noun for t in scene.things)
        many = plural(noun, 2)
        user = rng.choice(
            [
                "how many {} do you see",
                "how many {} are there",
                "count the {}",
                "how many {} can you see",
                "tell me how many {} there are",
            ]
        ).format(many)
    verb = "is" if n == 1 else "are"
    quantity = "no" if n == 0 else number(n)
    return Turn(polite(rng, user), f"There {verb} {quantity} {plural(noun, n)}.", "count", quantity)


def is_there(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is not None and scene.things and rng.random() < 0.5:
        wanted = rng.choice(scene.things)
        colour_name, shape_name = wanted.colour, wanted.shape
    else:
        colour_name, shape_name = rng.choice(list(lx.COLOURS)), rng.choice(lx.SHAPES)
        if scene is not None and scene.things and rng.random() < 0.5:  # near misses: one word right, one wrong
            near = rng.choice(scene.things)
            colour_name, shape_name = rng.choice([(near.colour, shape_name), (colour_name, near.shape)])
    thing = f"{colour_name} {shape_name}"
    user = rng.choice(
        [
            "is there {a}",
            "do you see {a}",
            "can you see {a}",
            "is there {a} in the picture",
            "can you find {a}",
            "do you see {a} here",
        ]
    ).format(a=article(thing))
    if scene is None:
        return Turn(polite(rng, user), NO_CAMERA, "no camera", "camera")
    yes = any(t.colour == colour_name and t.shape == shape_name for t in scene.things)
    reply = f"Yes, I see {article(thing)}." if yes else f"No, I don't see {article(thing)}."
    return Turn(polite(rng, user), reply, "is there", "yes" if yes else "no")


def what_do_you_see(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(
        [
            "what do you see",
            "what can you see",
            "what is this",
            "describe the picture",
            "tell me what you see",
            "what is in the picture",
            "what am i holding",
            "look what is this",
            "what's this",
            "what is in front of you",
            "describe what you see",
        ]
    )
    if scene is None:
        return Turn(polite(rng, user), NO_CAMERA, "no camera", "camera")
    groups: dict[tuple[str, str], int] = {}
    for t in scene.things:  # things come left to right
        groups[t.colour, t.shape] = groups.get((t.colour, t.shape), 0) + 1
    parts = [article(f"{c} {s}") if n == 1 else f"{number(n)} {c} {plural(s, n)}" for (c, s), n in groups.items()]
    said = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return Turn(polite(rng, user), f"I see {said}.", "describe", said)
