"""What stands before the camera besides still things: print, and things that move. The pictures of it, and where what is.

A `View` is a scene that has more to it. Things that move set out anew every three seconds, so that each pair of frames shows
the same way of every thing, and so do pairs a second apart.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from vivavoce.model.train.printing import Print, put, random_print, width_of
from vivavoce.model.train.scenes import Photographer, Scene, Thing, mirrored, random_scene, thing_is_held_out

SECONDS = 3
"""How long a thing goes before it sets out anew."""
FRAMES_A_SECOND = 2
SLOWEST = 0.08
"""Picture heights a second of what is said to move; the camera's shake is 0.008 from frame to frame."""
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
BIGGER = 1.25
"""How much larger in radius a thing has to be to be called bigger."""


@dataclass(frozen=True)
class View(Scene):
    """Things, what is printed beside them, and how things move."""

    prints: tuple[Print, ...] = ()
    drift: tuple[tuple[float, float], ...] = ()
    """Picture heights a second of every thing, or nothing if all stand still."""

    def way(self, index: int) -> str | None:
        """Where a thing goes; None if it stands still."""
        x, y = self.drift[index] if self.drift else (0.0, 0.0)
        if math.hypot(x, y) < SLOWEST:
            return None
        return ("right" if x > 0 else "left") if abs(x) > abs(y) else ("down" if y > 0 else "up")


def moves(scene: Scene) -> bool:
    """Something in it goes somewhere."""
    return isinstance(scene, View) and any(scene.way(index) for index in range(len(scene.things)))


def in_a_mirror(scene: Scene) -> Scene | None:
    """The scene in a mirror, where left is right; None if something is printed there, which nobody could read."""
    if not isinstance(scene, View):
        return mirrored(scene)
    if scene.prints:
        return None
    order = sorted(range(len(scene.things)), key=lambda index: 4 / 3 - scene.things[index].x)
    drift = tuple((-scene.drift[index][0], scene.drift[index][1]) for index in order) if scene.drift else ()
    twin = mirrored(scene)
    return View(twin.things, twin.seed, twin.held, drift=drift)


def glimpsed(scene: Scene) -> int:
    """What a single frame of a scene is known by, as a pair of frames is by the scene's seed: another number if it moves."""
    return scene.seed + 2**32 if moves(scene) else scene.seed


def keeps_its_order(scene: Scene) -> bool:
    """What is farthest left stays so, or who describes it would have to say when they looked."""
    if not isinstance(scene, View) or not scene.drift:
        return True
    ends = [t.x + (SECONDS - 1 / FRAMES_A_SECOND) * x for t, (x, _) in zip(scene.things, scene.drift, strict=True)]
    return ends == sorted(ends)


class Filmer(Photographer):
    """A photographer for whom time goes on: shot 0 and 1 are of the first second, 2 and 3 of the next."""

    def __init__(self, view: View, height: int = 240) -> None:
        super().__init__(view, height)
        self.view, self.gone = view, 0.0
        rng = random.Random(view.seed + 11)
        self.colours = [inked(rng) for _ in view.prints]
        self.index = {thing: index for index, thing in enumerate(view.things)}

    def shoot(self, shot: int = 0) -> tuple[np.ndarray, np.ndarray]:
        self.gone = shot % (SECONDS * FRAMES_A_SECOND) / FRAMES_A_SECOND
        return super().shoot(shot)

    def at(self, start_ms: int, frame: int) -> np.ndarray:
        return self.shoot(start_ms // 1000 * FRAMES_A_SECOND + frame)[0]

    def _draw_thing(self, draw: ImageDraw.ImageDraw, thing: Thing, fill: tuple[int, ...] | int, *, truth: bool) -> None:
        if self.view.drift:
            x, y = self.view.drift[self.index[thing]]
            thing = replace(thing, x=thing.x + x * self.gone, y=thing.y + y * self.gone)
        super()._draw_thing(draw, thing, fill, truth=truth)

    def _draw_more(self, picture: Image.Image, truth: Image.Image) -> None:
        """Print has the numbers after those of things."""
        mark = ImageDraw.Draw(truth)
        for index, printed in enumerate(self.view.prints, len(self.view.things)):
            ink, paper = self.colours[index - len(self.view.things)]
            if not printed.card:  # the wall is the paper
                under = np.asarray(self.wall).reshape(-1, 3).mean(0)
                ink = (
                    ink
                    if abs(brightness(ink) - brightness(under)) > 80
                    else ((10, 10, 12) if brightness(under) > 128 else (245, 245, 240))
                )
            mark.polygon(put(printed, self.view.held, picture, ink, paper), fill=index)


def photographer_of(scene: Scene, height: int = 240) -> Photographer:
    return Filmer(scene, height) if isinstance(scene, View) else Photographer(scene, height)


def brightness(rgb: tuple[int, ...] | np.ndarray) -> float:
    return float(0.3 * rgb[0] + 0.6 * rgb[1] + 0.1 * rgb[2])


def inked(rng: random.Random) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Ink and paper that can be told apart: any colours, mostly dark on light."""
    while True:
        dark = (
            tuple(rng.randrange(0, 120) for _ in range(3))
            if rng.random() < 0.6
            else tuple(rng.randrange(256) for _ in range(3))
        )
        light = (
            tuple(rng.randrange(190, 256) for _ in range(3))
            if rng.random() < 0.7
            else tuple(rng.randrange(256) for _ in range(3))
        )
        if abs(brightness(dark) - brightness(light)) > 90:
            return (dark, light) if rng.random() < 0.85 else (light, dark)  # type: ignore[return-value]


def random_reading(rng: random.Random, *, held: bool = False) -> View:
    """A word or a number, or two; a third of them beside some things."""
    prints = [random_print(rng, held=held)]
    if rng.random() < 0.15:
        other = random_print(rng)
        if _apart(other.x, other.y, width_of(other.text, other.height) / 2, 0.8 * other.height, prints[0]):
            prints.append(other)
    things = random_scene(rng, held=held, most=2).things if rng.random() < 0.35 else ()
    clear = tuple(t for t in things if all(_apart(t.x, t.y, t.radius, t.radius, p) for p in prints))
    return View(clear, rng.randrange(2**31), held, prints=tuple(sorted(prints, key=lambda p: p.x)))


def _apart(x: float, y: float, wide: float, high: float, printed: Print) -> bool:
    """Whether a box of half so wide and high keeps off the print, however it is turned."""
    across, down = width_of(printed.text, printed.height) / 2, 0.8 * printed.height
    down += across * abs(math.sin(math.radians(printed.angle)))
    return abs(x - printed.x) > wide + across + 0.04 or abs(y - printed.y) > high + down + 0.04


def random_motion(rng: random.Random, *, held: bool = False, most: int = 3) -> View:
    """A few things, one of which moves, or more of them; in one of six nothing does."""
    while True:
        scene = random_scene(rng, held=held, most=most)
        count = len(scene.things)
        moving = [rng.random() < 0.25 for _ in range(count)]
        if rng.random() < 5 / 6:
            moving[rng.randrange(count)] = True
        drift = tuple(random_drift(rng) if moves else (0.0, 0.0) for moves in moving)
        view = View(scene.things, scene.seed, held, drift=drift)
        if keeps_clear(view):
            return view


def random_drift(rng: random.Random) -> tuple[float, float]:
    x, y = WAYS[rng.choice(list(WAYS))]
    speed, slant = rng.uniform(SLOWEST + 0.03, 0.34), math.radians(rng.gauss(0, 9))
    return speed * (x * math.cos(slant) - y * math.sin(slant)), speed * (x * math.sin(slant) + y * math.cos(slant))


def keeps_clear(view: View) -> bool:
    """Nothing leaves the picture or runs into anything."""
    for shot in range(SECONDS * FRAMES_A_SECOND):
        gone = shot / FRAMES_A_SECOND
        there = [(t.x + x * gone, t.y + y * gone, t.radius) for t, (x, y) in zip(view.things, view.drift, strict=True)]
        for index, (x, y, r) in enumerate(there):
            if not (0.8 * r < x < 4 / 3 - 0.8 * r and 0.8 * r < y < 1 - 0.8 * r):
                return False
            if any(math.hypot(x - a, y - b) < 1.1 * (r + c) for a, b, c in there[:index]):
                return False
    return True


def random_comparison(rng: random.Random, *, held: bool = False) -> View:
    """Two to four things, no two of them alike in colour and shape, one of them clearly the biggest and one the smallest."""
    while True:
        scene = random_scene(rng, held=held, most=4)
        pairs = {(t.colour, t.shape) for t in scene.things}
        if len(scene.things) < 2 or len(pairs) < len(scene.things):
            continue
        things = list(scene.things)
        largest, smallest = rng.sample(range(len(things)), 2)
        others = [t.radius for index, t in enumerate(things) if index not in (largest, smallest)]
        mean = sum(others) / len(others) if others else 0.17
        for index, factor in ((largest, rng.uniform(1.4, 1.9)), (smallest, 1 / rng.uniform(1.35, 1.7))):
            things[index] = replace(things[index], radius=max(0.075, mean * factor))
        if len(things) == 2 and rng.random() < 0.5:  # often alike in colour or in shape, or nobody would have to look
            things = alike(rng, things)
        view = View(tuple(things), scene.seed, held, drift=((0.0, 0.0),) * len(things))
        sizes = sorted(t.radius for t in things)
        if keeps_clear(view) and sizes[1] >= BIGGER * sizes[0] and sizes[-1] >= BIGGER * sizes[-2]:
            return view


def alike(rng: random.Random, things: list[Thing]) -> list[Thing]:
    """Two things of one colour or of one shape, unless that would make a pair that is held out."""
    first, second = things
    other = replace(second, colour=first.colour) if rng.random() < 0.5 else replace(second, shape=first.shape)
    fresh = (other.colour, other.shape) != (first.colour, first.shape)
    return [first, other] if fresh and not thing_is_held_out(other.colour, other.shape) else things


def across(x: float, margin: float = 0.04) -> str | None:
    """Which third of the picture: left, middle or right; None near the borders."""
    return _third(x * 3 / 4, ("left", "middle", "right"), margin)


def down(y: float, margin: float = 0.04) -> str | None:
    """Top, middle or bottom; None near the borders."""
    return _third(y, ("top", "middle", "bottom"), margin)


def _third(share: float, names: tuple[str, str, str], margin: float) -> str | None:
    if min(abs(share - 1 / 3), abs(share - 2 / 3)) < margin:
        return None
    return names[min(2, max(0, int(share * 3)))]


def size(things: tuple[Thing, ...], index: int) -> str | None:
    """smallest, between or biggest; None alone, and where sizes are too near to tell."""
    others = [t.radius for place, t in enumerate(things) if place != index]
    if not others:
        return None
    mine = things[index].radius
    if mine >= BIGGER * max(others):
        return "biggest"
    if mine * BIGGER <= min(others):
        return "smallest"
    return "between" if min(others) * BIGGER <= mine <= max(others) / BIGGER else None
