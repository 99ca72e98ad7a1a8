"""What stands before the camera: random scenes of coloured shapes, and the pictures a camera takes of them.

A `Scene` is the truth (what is where); `Photographer` renders it as a camera would see it: held at an angle, on a card or on
a cluttered wall, painted, outlined or sketched, badly lit, blurred, noisy, partly under a hand. Colour-shape combinations for
which `is_held_out("thing", colour, shape)` is true appear only in evaluation, and so do the backgrounds of `held=True`.
"""

from __future__ import annotations

import io
import math
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vivavoce.model.train.lexicon import COLOURS, SHAPES


@dataclass(frozen=True)
class Thing:
    """One shape. Centre and radius are fractions of the picture's height; `x` runs over 0..4/3."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True)
class Scene:
    """Things from left to right."""

    things: tuple[Thing, ...]
    seed: int
    held: bool = False


def thing_is_held_out(colour: str, shape: str) -> bool:
    """True for about one colour-shape pair in eight."""
    return zlib.crc32(f"thing|{colour}|{shape}".encode()) % 8 == 0


MOST_THINGS = 5


def random_scene(rng: random.Random, *, held: bool = False, most: int = MOST_THINGS) -> Scene:
    """1 to `most` things that do not overlap; with `held`, at least the first is a held-out colour-shape pair."""
    wanted = rng.choices(range(1, most + 1), [8, 6, 4, 2, 2][:most])[0]
    things: list[Thing] = []
    pairs = [(c, s) for c in COLOURS for s in SHAPES]
    seen = [p for p in pairs if not thing_is_held_out(*p)]
    unseen = [p for p in pairs if thing_is_held_out(*p)]
    largest = {1: 0.36, 2: 0.27, 3: 0.22, 4: 0.19, 5: 0.17}[wanted]
    repeat = rng.random() < 0.35  # several of a kind, so that counting is worth asking
    first: tuple[str, str] | None = None
    for _ in range(200):
        if len(things) == wanted:
            break
        colour, shape = rng.choice(unseen) if held and not things else rng.choice(seen)
        if repeat and first and rng.random() < 0.7:
            colour, shape = first if rng.random() < 0.5 else (colour, first[1])
            if not held and thing_is_held_out(colour, shape):
                continue
        radius = rng.uniform(0.11, largest)
        x, y = rng.uniform(radius + 0.03, 4 / 3 - radius - 0.03), rng.uniform(radius + 0.03, 1 - radius - 0.03)
        if all(math.hypot(x - t.x, y - t.y) > 1.12 * (radius + t.radius) for t in things):
            first = first or (colour, shape)
            spin = 180 if shape in ("triangle", "star") else 45
            things.append(
                Thing(
                    shape, colour, x, y, radius, rng.gauss(0, 14) if rng.random() < 0.75 else rng.uniform(-spin, spin)
                )
            )
    return Scene(tuple(sorted(things, key=lambda t: t.x)), rng.randrange(2**31), held)


def close_up(rng: random.Random) -> Scene:
    """One thing that is larger than the picture, or nearly: it fills whole patches with its colour, as few shapes do otherwise."""
    colour, shape = rng.choice([(c, s) for c in COLOURS for s in SHAPES if not thing_is_held_out(c, s)])
    where = rng.uniform(0.1, 4 / 3 - 0.1), rng.uniform(0.1, 0.9)
    thing = Thing(shape, colour, *where, rng.uniform(0.4, 1.0), rng.uniform(-180, 180))
    return Scene((thing,), rng.randrange(2**31))


def mirrored(scene: Scene) -> Scene:
    """The scene in a mirror; its seed is one that no random scene has."""
    things = (replace(t, x=4 / 3 - t.x, angle=-t.angle) for t in scene.things)
    return replace(scene, things=tuple(sorted(things, key=lambda t: t.x)), seed=scene.seed + 2**31)


def outline(thing: Thing, scale: float) -> list[tuple[float, float]]:
    """Corner points in pixels, `scale` pixels per picture height. Unit: the shape touches a circle of its radius."""
    turns = math.radians(thing.angle)
    if thing.shape == "circle":
        polar = [(1.0, 2 * math.pi * k / 48) for k in range(48)]
    elif thing.shape == "square":
        polar = [(1.1, math.pi / 4 + math.pi / 2 * k) for k in range(4)]
    elif thing.shape == "triangle":
        polar = [(1.15, -math.pi / 2 + 2 * math.pi / 3 * k) for k in range(3)]
    elif thing.shape == "star":
        polar = [(1.15 if k % 2 == 0 else 0.48, -math.pi / 2 + math.pi / 5 * k) for k in range(10)]
    elif thing.shape == "cross":
        w = 0.34
        points = [
            (-w, -1),
            (w, -1),
            (w, -w),
            (1, -w),
            (1, w),
            (w, w),
            (w, 1),
            (-w, 1),
            (-w, w),
            (-1, w),
            (-1, -w),
            (-w, -w),
        ]
        polar = [(math.hypot(px, py), math.atan2(py, px)) for px, py in points]
    else:
        raise ValueError(f"unknown shape {thing.shape!r}, expected one of {SHAPES}")
    return [
        (
            scale * (thing.x + r * thing.radius * math.cos(a + turns)),
            scale * (thing.y + r * thing.radius * math.sin(a + turns)),
        )
        for r, a in polar
    ]


class Photographer:
    """Takes pictures of one scene. All pictures share wall, light and style; each has its own shake, noise and blur."""

    def __init__(self, scene: Scene, height: int = 240) -> None:
        self.scene = scene
        self.height, self.width = height, height * 4 // 3
        self.rng = random.Random(scene.seed)
        rng = self.rng
        self.style = rng.choices(["filled", "edged", "outlined", "sketched"], [6, 2, 1, 1])[0]
        self.noise = np.random.default_rng(scene.seed)
        self.light = rng.uniform(0.72, 1.18)
        self.balance = np.array([rng.gauss(1, 0.04) for _ in range(3)])
        self.shade = rng.uniform(-0.18, 0.18), rng.uniform(-0.18, 0.18)
        self.paint = {t: self._paint(COLOURS[t.colour]) for t in scene.things}
        self.wall = self._wall()

    def _paint(self, rgb: tuple[int, int, int]) -> tuple[int, int, int]:
        return tuple(int(np.clip(c + self.rng.gauss(0, 14), 0, 255)) for c in rgb)  # type: ignore[return-value]

    def base_colour(self) -> tuple[int, int, int]:
        """A muted colour that none of the things could be taken for."""
        used = np.array([COLOURS[t.colour] for t in self.scene.things], float)
        for _ in range(100):
            grey = self.rng.choice([self.rng.uniform(215, 250), self.rng.uniform(60, 200)])
            tint = np.clip(np.array([grey + self.rng.gauss(0, 16) for _ in range(3)]), 0, 255)
            if not len(used) or np.abs(used - tint).sum(1).min() > 150:
                break
        return tuple(int(v) for v in tint)  # type: ignore[return-value]

    def _wall(self) -> Image.Image:
        wall = Image.new("RGB", (self.width, self.height), self.base_colour())
        for kind in [self.rng.choice(HELD_OUT_WALLS)] if self.scene.held else self.rng.choices(WALLS, k=2):
            wall = WALL_PAINTERS[kind](self, wall) if kind in WALL_PAINTERS else wall
        return wall

    def _draw_thing(self, draw: ImageDraw.ImageDraw, thing: Thing, fill: tuple[int, ...] | int, *, truth: bool) -> None:
        points = outline(thing, self.height)
        if truth or self.style == "filled":
            draw.polygon(points, fill=fill)
        elif self.style == "edged":
            dark = tuple(int(c * 0.35) for c in fill)  # type: ignore[union-attr]
            draw.polygon(points, fill=fill, outline=dark, width=2)
        else:
            width = max(4, int(thing.radius * self.height * (0.22 if self.style == "outlined" else 0.3)))
            wobble = 0 if self.style == "outlined" else 2.0
            shaky = [(x + self.rng.gauss(0, wobble), y + self.rng.gauss(0, wobble)) for x, y in points]
            draw.line([*shaky, shaky[0], shaky[1]], fill=fill, width=width, joint="curve")

    def shoot(self, shot: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """One picture: rgb uint8 [H, W, 3] and truth int16 [H, W], -1 for wall, else the index of the thing."""
        rng, noise = random.Random(self.scene.seed * 31 + shot), np.random.default_rng([self.scene.seed, shot])
        picture, truth = self.wall.copy(), Image.new("I", (self.width, self.height), -1)
        self.rng = random.Random(self.scene.seed + 7)  # the same strokes in every shot
        draw, mark = ImageDraw.Draw(picture), ImageDraw.Draw(truth)
        for index, thing in enumerate(self.scene.things):
            self._draw_thing(draw, thing, self.paint[thing], truth=False)
            self._draw_thing(mark, thing, index, truth=True)
        self._draw_more(picture, truth)
        tilt, dx, dy = rng.gauss(0, 2.5), rng.gauss(0, 2), rng.gauss(0, 2)
        turn = {"angle": tilt, "translate": (dx, dy)}
        picture = picture.rotate(resample=Image.Resampling.BILINEAR, fillcolor=self.wall.getpixel((2, 2)), **turn)  # type: ignore[arg-type]
        truth = truth.rotate(resample=Image.Resampling.NEAREST, fillcolor=-1, **turn)  # type: ignore[arg-type]
        if rng.random() < 0.12:
            self._hand(picture, rng)
        if rng.random() < 0.5:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
        return self._expose(np.asarray(picture, np.float32), noise, rng), np.asarray(truth, np.int16)

    def _draw_more(self, picture: Image.Image, truth: Image.Image) -> None:
        """What stands before the camera besides things: here, nothing."""

    def at(self, start_ms: int, frame: int) -> np.ndarray:
        """One of the two frames of the second that begins at `start_ms`; nothing moves, so six shots do for all of them."""
        return self.shoot((start_ms // 500 + frame) % 6 + 10)[0]

    def _hand(self, picture: Image.Image, rng: random.Random) -> None:
        """A thumb over one edge."""
        skin = rng.choice([(224, 172, 140), (141, 85, 60), (198, 134, 100), (92, 60, 44)])
        x, y = rng.choice([(0, rng.uniform(0, 1)), (1, rng.uniform(0, 1)), (rng.uniform(0, 1), 1)])
        r = rng.uniform(0.05, 0.12) * self.height
        x, y = x * self.width, y * self.height
        ImageDraw.Draw(picture).ellipse((x - 1.6 * r, y - r, x + 1.6 * r, y + r), fill=skin)

    def _expose(self, rgb: np.ndarray, noise: np.random.Generator, rng: random.Random) -> np.ndarray:
        h, w = rgb.shape[:2]
        slope = (
            1
            + self.shade[0] * np.linspace(-1, 1, w)[None, :, None]
            + self.shade[1] * np.linspace(-1, 1, h)[:, None, None]
        )
        rgb = rgb * slope * self.balance * self.light * rng.uniform(0.97, 1.03)
        rgb = rgb + noise.normal(0, rng.uniform(0, 7), rgb.shape)
        out = np.clip(rgb, 0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            jpeg = io.BytesIO()
            Image.fromarray(out).save(jpeg, "JPEG", quality=rng.randint(35, 90))
            out = np.asarray(Image.open(jpeg))
        return out


Painter = Callable[[Photographer, Image.Image], Image.Image]


def _stripes(by: Photographer, wall: Image.Image) -> Image.Image:
    draw, rng = ImageDraw.Draw(wall), by.rng
    for left in range(0, by.width, rng.randint(12, 40)):
        draw.line((left, 0, left + rng.randint(-20, 20), by.height), fill=by.base_colour(), width=rng.randint(1, 4))
    return wall


def _clutter(by: Photographer, wall: Image.Image) -> Image.Image:
    draw, rng = ImageDraw.Draw(wall), by.rng
    for _ in range(rng.randint(2, 6)):
        x, y = rng.uniform(0, by.width), rng.uniform(0, by.height)
        draw.rectangle((x, y, x + rng.uniform(10, 110), y + rng.uniform(10, 110)), fill=by.base_colour())
    return wall.filter(ImageFilter.GaussianBlur(rng.uniform(3, 8)))


def _card(by: Photographer, wall: Image.Image) -> Image.Image:
    edge = by.rng.uniform(0.0, 0.06) * by.height
    ImageDraw.Draw(wall).rectangle((edge, edge, by.width - edge, by.height - edge), fill=by.base_colour())
    return wall


def _grid(by: Photographer, wall: Image.Image) -> Image.Image:
    """Tiles: joints across and down."""
    draw, rng = ImageDraw.Draw(wall), by.rng
    step, width, joint = rng.randint(14, 60), rng.randint(1, 3), by.base_colour()
    for x in range(rng.randint(0, step), by.width, step):
        draw.line((x, 0, x, by.height), fill=joint, width=width)
    for y in range(rng.randint(0, step), by.height, step):
        draw.line((0, y, by.width, y), fill=joint, width=width)
    return wall


def _checks(by: Photographer, wall: Image.Image) -> Image.Image:
    draw, rng = ImageDraw.Draw(wall), by.rng
    side, other = rng.randint(10, 40), by.base_colour()
    for row, y in enumerate(range(0, by.height, side)):
        for x in range(side * (row % 2), by.width, 2 * side):
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill=other)
    return wall.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4)))


def _specks(by: Photographer, wall: Image.Image) -> Image.Image:
    """Crumbs: small triangles and strokes."""
    draw, rng = ImageDraw.Draw(wall), by.rng
    fills = [by.base_colour() for _ in range(rng.randint(1, 3))]
    for _ in range(rng.randint(30, 160)):
        x, y, size = rng.uniform(0, by.width), rng.uniform(0, by.height), rng.uniform(1, 6)
        near = [(x + rng.uniform(-size, size), y + rng.uniform(-size, size)) for _ in range(3)]
        draw.polygon(near, fill=rng.choice(fills))
    return wall


def _bands(by: Photographer, wall: Image.Image) -> Image.Image:
    """Wide bands at a slant."""
    draw, rng = ImageDraw.Draw(wall), by.rng
    slant = rng.uniform(-0.6, 0.6) * by.height
    for _ in range(rng.randint(1, 4)):
        x = rng.uniform(-20, by.width)
        draw.line((x, 0, x + slant, by.height), fill=by.base_colour(), width=rng.randint(6, 30))
    return wall


def _scribble(by: Photographer, wall: Image.Image) -> Image.Image:
    draw, rng = ImageDraw.Draw(wall), by.rng
    for _ in range(rng.randint(1, 4)):
        x, y = rng.uniform(0, by.width), rng.uniform(0, by.height)
        path = [(x, y)]
        for _ in range(rng.randint(3, 12)):
            x, y = x + rng.gauss(0, 30), y + rng.gauss(0, 30)
            path.append((x, y))
        draw.line(path, fill=by.base_colour(), width=rng.randint(1, 4), joint="curve")
    return wall


def _fading(by: Photographer, wall: Image.Image) -> Image.Image:
    """From one colour to another, across or down."""
    ramp = Image.linear_gradient("L").resize(wall.size)
    ramp = ramp.transpose(Image.Transpose.ROTATE_90).resize(wall.size) if by.rng.random() < 0.5 else ramp
    return Image.composite(wall, Image.new("RGB", wall.size, by.base_colour()), ramp)


def _dots(by: Photographer, wall: Image.Image) -> Image.Image:
    draw, rng = ImageDraw.Draw(wall), by.rng
    for _ in range(150):
        x, y, r = rng.uniform(0, by.width), rng.uniform(0, by.height), rng.uniform(1, 4)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=by.base_colour())
    return wall


def _planks(by: Photographer, wall: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(wall)
    for top in range(0, by.height, by.rng.randint(25, 60)):
        draw.rectangle((0, top, by.width, top + 2), fill=by.base_colour())
    return wall


WALL_PAINTERS: dict[str, Painter] = {
    "stripes": _stripes,
    "clutter": _clutter,
    "card": _card,
    "grid": _grid,
    "checks": _checks,
    "specks": _specks,
    "bands": _bands,
    "scribble": _scribble,
    "fading": _fading,
    "dots": _dots,
    "planks": _planks,
}
"""What is on a wall that is not plain."""
HELD_OUT_WALLS = ("plain", "dots", "planks")
WALLS = ("plain", *(kind for kind in WALL_PAINTERS if kind not in HELD_OUT_WALLS))
"""Four kinds were too few: on a wall of dots, which it had never seen, the vision encoder found things that were none."""
