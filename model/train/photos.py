"""Photographs that nobody rendered, with what anybody sees on them: those that scikit-image and scikit-learn bring along.

None of them is in this repository: whoever has the packages has the row. Of what kitten knows they show little, so they are
mostly asked for what is not there.
"""

from __future__ import annotations

import importlib.util
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vivavoce.model.train.scenes import Photographer, Scene
from vivavoce.model.train.turns import Dialogue, Turn, article, polite

FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
PHOTOS: dict[str, dict[str, str]] = {
    "skimage/astronaut.png": {},
    "skimage/brick.png": {},
    "skimage/camera.png": {},
    "skimage/chelsea.png": {},
    "skimage/coffee.png": {},
    "skimage/coins.png": {},
    "skimage/grass.png": {},
    "skimage/gravel.png": {},
    "skimage/hubble_deep_field.jpg": {},
    "skimage/moon.png": {},
    "skimage/motorcycle_left.png": {"colour": "red"},
    "skimage/page.png": {},
    "skimage/retina.jpg": {"shape": "circle"},
    "skimage/rocket.jpg": {},
    "sklearn/china.jpg": {},
    "sklearn/flower.jpg": {"colour": "orange"},
}
"""Package and file to the colour or the shape of the main thing, where it has one that kitten knows. By the packages' own notes
they are in the public domain or CC0, sklearn's CC BY 2.0 (danielbuechele, vultilion)."""
ABSENT = (("green", "star"), ("purple", "cross"), ("blue", "triangle"), ("purple", "star"))
"""What is on none of them."""
ASKS = {
    "colour": ("what colour is it", "what colour is this", "what colour do you see"),
    "shape": ("what shape is it", "what shape is this", "what shape do you see"),
}
STRANGE = ("what is this", "what do you see", "what am i holding")
HEIGHT, WIDTH = 240, 320


@dataclass(frozen=True)
class Photo(Scene):
    """A scene of nothing that is known, but for its picture."""

    path: Path = Path()


class Slide(Photographer):
    """Holds a photograph before the camera, not quite still."""

    def __init__(self, photo: Photo) -> None:
        self.picture = ImageOps.fit(
            Image.open(photo.path).convert("RGB"), (WIDTH + 8, HEIGHT + 6), Image.Resampling.BICUBIC
        )

    def at(self, start_ms: int, frame: int) -> np.ndarray:
        x, y = np.random.default_rng([start_ms, frame]).integers(0, (9, 7))
        return np.asarray(self.picture)[y : y + HEIGHT, x : x + WIDTH]


def at_hand() -> dict[str, Path]:
    """The photographs whose packages are installed; these are not imported."""
    found = {}
    for name in PHOTOS:
        package, file = name.split("/")
        spec = importlib.util.find_spec(package)
        path = Path(spec.origin or "").parent / FOLDERS[package] / file if spec else Path()
        if path.is_file():
            found[name] = path
    return found


def questions(photos: dict[str, Path], seed: int) -> list[Dialogue]:
    """Of each photograph: what is not on it, what it is (kitten does not know), and its colour or shape, if it has one."""
    rng, made = random.Random(seed), []
    for name, path in photos.items():
        photo = Photo((), rng.randrange(2**31), True, path)
        thing = article(" ".join(rng.choice(ABSENT)))
        ask = rng.choice(("is there {}", "do you see {}", "can you see {}")).format(thing)
        turns = [Turn(polite(rng, ask), f"No, I don't see {thing}.", "is there", "no")]
        turns.append(Turn(rng.choice(STRANGE), "I don't know what that is.", "unknown", "know"))
        for what, value in PHOTOS[name].items():
            turns += [Turn(ask, f"It is {value}.", what, value) for ask in ASKS[what]]
        made += [Dialogue((turn,), photo) for turn in turns]
    return made
