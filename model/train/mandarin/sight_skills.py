"""What kitten can say in Mandarin about the scene before the camera; with the camera off it says so."""

from __future__ import annotations

from vivavoce.model.train.mandarin import lexicon as lx
from vivavoce.model.train.mandarin.talk_skills import _turn, polite
from vivavoce.model.train.mandarin.words import quantity
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.turns import Memory, Rng, Turn

NO_CAMERA = "我什么也看不见，摄像头没有打开。"
COLOUR = {there: here for here, there in lx.COLOURS.items()}
SHAPE = {there: here for here, there in lx.SHAPES.items()}
"""English names, which scenes have, to Mandarin ones."""


def no_camera(rng: Rng, user: str) -> Turn:
    return _turn(polite(rng, user), NO_CAMERA, "no camera", "摄像头")


def colour(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    thing: Thing | None = None
    if scene is not None:
        unique = [t for t in scene.things if sum(o.shape == t.shape for o in scene.things) == 1]
        same = scene.things if scene.things and len({(t.colour, t.shape) for t in scene.things}) == 1 else ()
        candidates = unique or list(same)
        if not candidates:
            return None
        thing = rng.choice(candidates)
    name = SHAPE[thing.shape] if thing else rng.choice(list(lx.SHAPES))
    user = rng.choice(
        "{}是什么颜色 {}是什么颜色的 {}的颜色是什么 这个{}是什么颜色 告诉我{}的颜色 你能告诉我{}是什么颜色吗 那个{}什么颜色".split()
    ).format(name)
    if thing and scene and len(scene.things) == 1 and rng.random() < 0.3:
        user = rng.choice("这是什么颜色 它是什么颜色 你看到什么颜色 这个是什么颜色的".split())
    if thing is None:
        return no_camera(rng, user)
    return _turn(polite(rng, user), f"{name}是{COLOUR[thing.colour]}的。", "colour", COLOUR[thing.colour])


def shape(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    alone = "这是什么形状 它是什么形状 你看到什么形状 这个是什么形状的".split()
    if scene is None:
        return no_camera(rng, rng.choice(alone))
    unique = [t for t in scene.things if sum(o.colour == t.colour for o in scene.things) == 1]
    if not unique:
        return None
    thing = rng.choice(unique)
    user = rng.choice(
        "{}的是什么形状 {}的东西是什么 {}的那个是什么形状 什么形状是{}的 {}的是什么 告诉我{}的东西是什么形状".split()
    )
    user = user.format(COLOUR[thing.colour])
    if len(scene.things) == 1 and rng.random() < 0.4:
        user = rng.choice(alone)
    return _turn(polite(rng, user), f"是{SHAPE[thing.shape]}。", "shape", SHAPE[thing.shape])


def count(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is None:
        return no_camera(rng, rng.choice("你看到几个形状 有几个东西 数一数有几个形状 一共有几个".split()))
    if rng.random() < 0.4:
        user = rng.choice(
            "你看到几个形状 有几个形状 你看到几个东西 有几个东西 数一数有多少个形状 一共有几个 一共有多少个东西".split()
        )
        n, noun = len(scene.things), "形状"
    else:
        there = [t.shape for t in scene.things] or list(SHAPE)
        wanted = rng.choice(there if rng.random() < 0.8 else list(SHAPE))
        n, noun = sum(t.shape == wanted for t in scene.things), SHAPE[wanted]
        user = rng.choice(
            "你看到几个{} 有几个{} 数一数有几个{} 你能看到几个{} 告诉我有几个{} 有多少个{} {}有几个".split()
        ).format(noun)
    if n == 0:
        return _turn(polite(rng, user), f"没有{noun}。", "count", "没有")
    return _turn(polite(rng, user), f"有{quantity(n)}{noun}。", "count", quantity(n))


def is_there(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is not None and scene.things and rng.random() < 0.5:
        wanted = rng.choice(scene.things)
        colour_name, shape_name = wanted.colour, wanted.shape
    else:
        colour_name, shape_name = rng.choice(list(COLOUR)), rng.choice(list(SHAPE))
        if scene is not None and scene.things and rng.random() < 0.5:  # near misses: one word right, one wrong
            near = rng.choice(scene.things)
            colour_name, shape_name = rng.choice([(near.colour, shape_name), (colour_name, near.shape)])
    thing = f"{COLOUR[colour_name]}的{SHAPE[shape_name]}"
    user = rng.choice(
        "有{}吗 有没有{} 你看到{}了吗 你能看到{}吗 画面里有{}吗 你能找到{}吗 这里有没有{}".split()
    ).format(thing)
    if scene is None:
        return no_camera(rng, user)
    yes = any(t.colour == colour_name and t.shape == shape_name for t in scene.things)
    reply, slot = (f"看到了，有{thing}。", "看到了") if yes else (f"没有看到{thing}。", "没有看到")
    return _turn(polite(rng, user), reply, "is there", slot)


def what_do_you_see(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(
        "你看到什么 你看到了什么 你能看到什么 这是什么 描述一下画面 告诉我你看到了什么 画面里有什么 我手里拿着什么 看看这是什么 "
        "你面前有什么 描述一下你看到的".split()
    )
    if scene is None:
        return no_camera(rng, user)
    if not scene.things:  # what is printed it cannot say
        return None
    groups: dict[tuple[str, str], int] = {}
    for t in scene.things:  # things come left to right
        groups[t.colour, t.shape] = groups.get((t.colour, t.shape), 0) + 1
    parts = [f"{quantity(n)}{COLOUR[c]}的{SHAPE[s]}" for (c, s), n in groups.items()]
    said = parts[0] if len(parts) == 1 else "，".join(parts[:-1]) + "和" + parts[-1]
    return _turn(polite(rng, user), f"我看到{said}。", "describe", said)
