"""A conversation's turns as data, and what every skill's grammar needs: held-out slots, articles, numbers, politeness."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vivavoce.model.train import lexicon as lx
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
    """The sentence with other words for things, in singular and plural, and the articles to match."""
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
    words = [word.rstrip(".,!?") for word in sentence.split(" ")]
    shapes = {form for shape in lx.SHAPES for form in (shape, plural(shape, 2))}
    named = [sum(word in some for word in words) for some in (lx.COLOURS, shapes)]
    return max(named) == 1


def exchanged(words: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Each of the words to one of them."""
    return dict(zip(words, rng.sample(words, len(words)), strict=True))


Rng = random.Random
Maker = Callable[[Rng, Memory, "Scene | None", int, bool], "Turn | None"]
"""(random source, memory, scene, turn number, held-out slots wanted) to a turn, or None where the skill does not apply."""


@dataclass(frozen=True)
class Litter:
    """What the kittens of one generation are taught. A file of skills has one of its own; `skills.py` joins them."""

    talk: Mapping[str, tuple[Maker, float]] = field(default_factory=dict)
    """Skills without a camera, with their weight among dialogue turns."""
    look: Mapping[str, tuple[Maker, float]] = field(default_factory=dict)
    """Skills with a camera; without one it says that there is none."""
    quiz: Mapping[str, float] = field(default_factory=dict)
    """Skills of `look` with their weight in a quiz: a single thing is found sooner than a pair of words, or a number."""
    seen: tuple[str, ...] = ()
    """`Turn.skill` of answers about a scene: what evaluation asks before the camera."""

    def joined(self, *others: Litter) -> Litter:
        """All of them; a skill of the same name takes the place of the earlier one."""
        made = self
        for other in others:
            made = Litter(
                {**made.talk, **other.talk},
                {**made.look, **other.look},
                {**made.quiz, **other.quiz},
                (*made.seen, *other.seen),
            )
        return made


POLITE = ("", "", "", "", "please ", "hey ", "okay ", "so ", "well ")
TAIL = ("", "", "", "", "", " please", " now")


def polite(rng: Rng, text: str) -> str:
    return (rng.choice(POLITE) + text + rng.choice(TAIL)).strip()
