"""What is printed before the camera: words of a closed list and numbers, in fonts that any Debian has for the asking.

A token of the picture is 28 x 14 pixels of 140 x 112, so words are known as wholes, from a list; numbers are read digit by
digit. Four fonts, one in ten numbers of two digits, and one in ten words in small letters, in capitals or with one, are kept for
evaluation.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vivavoce.model.train.lexicon import NUMBERS
from vivavoce.model.train.turns import is_held_out

PRINTED_WORDS = (
    "cat dog horse bird fish house tree car door window table chair book water river flower garden apple banana pizza bread "
    "cake night summer winter friend doctor music school train ship boat happy cold warm fast slow dark clean long"
).split()
"""The words that kitten can read."""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
LARGEST = 99

FONTS = {
    "fonts-dejavu-core": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf"),
    "fonts-liberation": tuple(f"Liberation{kind}.ttf" for kind in ("Sans-Regular", "Sans-Bold", "Serif-Bold", "Mono-Bold")),
    "fonts-open-sans": ("OpenSans-Regular.ttf", "OpenSans-ExtraBold.ttf"),
    "fonts-roboto-unhinted": ("Roboto-Regular.ttf", "Roboto-Bold.ttf"),
    "fonts-hack": ("Hack-Bold.ttf",),
}  # fmt: skip
"""Debian package to the files taken from it. DejaVu: Bitstream Vera's licence; Liberation: OFL; Open Sans, Roboto: Apache 2.0;
Hack: MIT. Only pictures of them are used, nothing of them is shipped."""
HELD_OUT_FONTS = {
    "fonts-lato": ("Lato-Bold.ttf",),
    "fonts-comic-neue": ("ComicNeue-Bold.otf",),
    "fonts-crosextra-carlito": ("Carlito-Bold.ttf",),
    "fonts-cantarell": ("Cantarell-Bold.otf",),
}
"""The same for evaluation; all under the OFL."""
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
STYLES = ("lower", "upper", "title")


@dataclass(frozen=True)
class Print:
    """One word or number. Centre and height of a capital are fractions of the picture's height."""

    text: str
    """A word of `PRINTED_WORDS`, or digits."""
    style: str
    x: float
    y: float
    height: float
    angle: float
    font: int
    """Which of the fonts at hand; counted round."""
    card: bool
    """It stands on a card of its own."""

    @property
    def shown(self) -> str:
        """As it is printed."""
        return {"upper": self.text.upper(), "title": self.text.capitalize()}.get(self.style, self.text)

    @property
    def said(self) -> str:
        """As it is read aloud."""
        return spoken(int(self.text)) if self.text.isdigit() else self.text


def spoken(n: int) -> str:
    """0..99 in words."""
    if n < len(NUMBERS):
        return NUMBERS[n]
    return TENS[n // 10 - 2] + (f" {NUMBERS[n % 10]}" if n % 10 else "")


def number_is_held_out(n: int) -> bool:
    """Two-digit numbers that are never printed in training, one in ten."""
    return n > 9 and is_held_out("printed", str(n))


def word_is_held_out(word: str, style: str) -> bool:
    """One in ten words in small letters, in capitals, or with one."""
    return is_held_out("printed", word, style)


@lru_cache(maxsize=2)
def fonts(held: bool) -> tuple[bytes | None, ...]:
    """The font files at hand, whole; Pillow's own (None; Aileron, CC0) is always there, to train with."""
    at_hand = {path.name: path for folder in FOLDERS if folder.is_dir() for path in sorted(folder.rglob("*.[ot]tf"))}
    wanted = [name for names in (HELD_OUT_FONTS if held else FONTS).values() for name in names]
    found = tuple(at_hand[name].read_bytes() for name in wanted if name in at_hand)
    return found or (None,) if held else (*found, None)


@lru_cache(maxsize=512)
def font(index: int, held: bool, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    data = fonts(held)[index % len(fonts(held))]
    return ImageFont.load_default(size) if data is None else ImageFont.truetype(io.BytesIO(data), size)


@lru_cache(maxsize=512)
def lettering(text: str, index: int, held: bool, height: int) -> Image.Image:
    """The letters of a line, white on black ("L"), cut close, a capital `height` pixels high."""
    size = max(6, height)
    for _ in range(3):  # sizes of fonts say little of how high a capital is
        _, top, _, bottom = font(index, held, size).getbbox("H")
        size = max(6, round(size * height / max(1, bottom - top)))
    face = font(index, held, size)
    left, top, right, bottom = face.getbbox(text)
    page = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(page).text((-left, -top), text, fill=255, font=face)
    return page


def put(
    printed: Print, held: bool, picture: Image.Image, ink: tuple[int, ...], paper: tuple[int, ...]
) -> list[tuple[float, float]]:
    """Print it on a picture. Returns the corners of the line's box in pixels."""
    page = lettering(printed.shown, printed.font, held, max(4, round(printed.height * picture.height)))
    x, y = printed.x * picture.height, printed.y * picture.height
    wide, high, turn = page.width / 2, page.height / 2, math.radians(printed.angle)
    margin = 0.35 * printed.height * picture.height

    def corners(more: float) -> list[tuple[float, float]]:
        c, s = math.cos(turn), math.sin(turn)
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [
            (x + c * a * (wide + more) - s * b * (high + more), y + s * a * (wide + more) + c * b * (high + more))
            for a, b in signs
        ]

    if printed.card:
        ImageDraw.Draw(picture).polygon(corners(margin), fill=paper)
    turned = page.rotate(-printed.angle, Image.Resampling.BICUBIC, expand=True)
    stencil = Image.new("L", picture.size)
    stencil.paste(turned, (round(x - turned.width / 2), round(y - turned.height / 2)))
    picture.paste(ink, (0, 0), stencil)
    return corners(0.15 * margin)


def width_of(text: str, height: float) -> float:
    """About how wide a line is, for capitals `height` high."""
    return height * 0.9 * len(text)


def random_print(rng: random.Random, *, held: bool = False, least: float = 0.12) -> Print:
    """A word or a number that fits into the picture; with `held`, one that training never shows."""
    while True:
        if rng.random() < 0.5:
            style, number = "lower", rng.randrange(10) if rng.random() < 0.25 else rng.randrange(LARGEST + 1)
            text, fits = str(number), number < 10 or number_is_held_out(number) == held
        else:
            text, style = rng.choice(PRINTED_WORDS), rng.choice(STYLES)
            fits = word_is_held_out(text, style) == held
        height = rng.uniform(least, min(0.5, 1.2 / (0.9 * len(text))))
        wide = width_of(text, height) / 2
        if fits and wide < 0.62:
            break
    angle = rng.gauss(0, 8) if rng.random() < 0.8 else rng.uniform(-30, 30)
    x, y = rng.uniform(wide + 0.03, 4 / 3 - wide - 0.03), rng.uniform(0.7 * height + 0.05, 0.95 - 0.7 * height)
    return Print(text, style, x, y, height, angle, rng.randrange(1000), rng.random() < 0.6)
