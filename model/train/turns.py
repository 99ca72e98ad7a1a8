"""A conversation's turns as data, and what every skill's grammar needs: held-out slots, articles, numbers, politeness."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.mandarin import lexicon as zh
from vivavoce.model.train.mandarin.words import exchanged_in, in_mandarin, is_mandarin, named
from vivavoce.model.train.scenes import Scene


@dataclass(frozen=True)
class Turn:
    """One question and its true answer."""

    user: str
    reply: str
    skill: str
    slot: str = ""
    """The word or words of the reply that make it right; evaluation looks for them."""
    distance: int = 0
    """Recall only: turns since the fact was told."""
    language: str = "en"
    """Of the question: "en" or "zh". The reply is in the same, but to ask for a translation."""


@dataclass(frozen=True)
class Dialogue:
    """One conversation; `scene` is what the camera shows all along, None with the camera off."""

    turns: tuple[Turn, ...]
    scene: Scene | None


@dataclass
class Memory:
    """What the user has told so far and in which turn."""

    name: str | None = None
    favourites: dict[str, str] = field(default_factory=dict)
    told_at: dict[str, int] = field(default_factory=dict)


def is_held_out(*slots: str) -> bool:
    """True for one in ten slot combinations, by a hash that does not depend on process or order of use."""
    return zlib.crc32("|".join(slots).encode()) % 10 == 0


def article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def number(n: int) -> str:
    """Spoken form of -20..20."""
    return lx.NUMBERS[n] if n >= 0 else f"minus {lx.NUMBERS[-n]}"


def plural(shape: str, n: int) -> str:
    return shape if n == 1 else {"cross": "crosses"}.get(shape, shape + "s")


def in_other_words(sentence: str, names: Mapping[str, str]) -> str:
    """The sentence with other words for things, in singular and plural, and the articles to match. In a Mandarin sentence, the
    Mandarin words for them."""
    if is_mandarin(sentence):
        return exchanged_in(sentence, in_mandarin(names))
    plurals = {plural(word, 2): plural(new, 2) for word, new in names.items()}
    made: list[str] = []
    for word in sentence.split(" "):
        bare = word.rstrip(".,!?")
        new = names.get(bare) or plurals.get(bare) or bare
        if made and made[-1] in ("a", "an"):
            made[-1] = article(new).split(" ")[0]
        made.append(new + word[len(bare) :])
    return " ".join(made)


def about_one_thing(sentence: str) -> bool:
    """It names one colour, one shape, or one of each: what kitten says most, and must not be heard wrongly."""
    if is_mandarin(sentence):
        return max(len(named(sentence, some)) for some in (zh.COLOURS, zh.SHAPES)) == 1
    words = [word.rstrip(".,!?") for word in sentence.split(" ")]
    shapes = {form for shape in lx.SHAPES for form in (shape, plural(shape, 2))}
    return max(sum(word in some for word in words) for some in (lx.COLOURS, shapes)) == 1


def exchanged(words: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Each of the words to one of them."""
    return dict(zip(words, rng.sample(words, len(words)), strict=True))


Rng = random.Random
Maker = Callable[[Rng, Memory, "Scene | None", int, bool], "Turn | None"]
"""(random source, memory, scene, turn number, held-out slots wanted) to a turn, or None where the skill does not apply."""

POLITE = ("", "", "", "", "please ", "hey ", "okay ", "so ", "well ")
TAIL = ("", "", "", "", "", " please", " now")


def polite(rng: Rng, text: str) -> str:
    return (rng.choice(POLITE) + text + rng.choice(TAIL)).strip()
