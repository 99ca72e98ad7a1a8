"""A conversation's turns as data, and what every skill's grammar needs: held-out slots, articles, numbers, politeness."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vivavoce.model.functions import Call
from vivavoce.model.messages import Function
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
    exact: bool = False
    """No word of it may stand for another: it is spelled, or known by heart."""
    style: str = ""
    """How the reply is spoken, one of `styles.STYLES`; as usual if empty."""
    called: Call | None = None
    """The function that is called first; the reply says what came of it."""
    returned: str = ""
    """What that function returned."""
    heard: str | None = None
    """The user interrupted: the beginning of the reply that they have heard."""
    language: str = "en"
    """Of the question: "en" or "zh". The reply is in the same, but to ask for a translation."""
    scene: Scene | None = None
    """Before the camera from here on; None: what was there before."""
    kept: Scene | None = None
    """Before the camera for a while since the turn before, while kitten was speaking: what the server's kept frames show."""


@dataclass(frozen=True)
class Dialogue:
    """One conversation; `scene` is what the camera shows until a turn has another, None with the camera off."""

    turns: tuple[Turn, ...]
    scene: Scene | None
    instructions: str = ""
    """What the session says to the model."""
    functions: tuple[Function, ...] = ()
    """What the session lets it call."""

    @property
    def changes(self) -> bool:
        """Not everything is before the camera all along."""
        return any(turn.scene is not None or turn.kept is not None for turn in self.turns)


@dataclass
class Memory:
    """What the session has said, what the user has told so far and in which turn."""

    name: str | None = None
    favourites: dict[str, str] = field(default_factory=dict)
    told_at: dict[str, int] = field(default_factory=dict)
    instructions: list[str] = field(default_factory=list)
    functions: tuple[Function, ...] = ()
    minutes: int | None = None
    """The time of day as it was told, in minutes since twelve, below 720."""
    style: str = ""
    """How it has been asked to speak."""
    stories: list[str] = field(default_factory=list)
    """Told so far, by what they are about."""
    unheard: str = ""
    """What an interrupted story has left to tell."""


def is_held_out(*slots: str) -> bool:
    """True for one in ten slot combinations, by a hash that does not depend on process or order of use."""
    return zlib.crc32("|".join(slots).encode()) % 10 == 0


def article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def number(n: int) -> str:
    """Spoken form of -100..100."""
    if n < 0:
        return f"minus {number(-n)}"
    if n < len(lx.NUMBERS):
        return lx.NUMBERS[n]
    if n == 100:
        return "one hundred"
    tens, units = divmod(n, 10)
    return f"{lx.TENS[tens]} {lx.NUMBERS[units]}" if units else lx.TENS[tens]


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
Premise = Callable[[Rng, Memory, bool], None]
"""(random source, memory, held-out slots wanted): what a session brings along is written into the memory."""
Lesson = Callable[[Rng, int, bool], Dialogue]
"""(random source, turns, held-out slots wanted) to a dialogue about one subject."""
Maker = Callable[[Rng, Memory, "Scene | None", int, bool], "Turn | None"]
"""(random source, memory, scene, turn number, held-out slots wanted) to a turn, or None where the skill does not apply."""


@dataclass(frozen=True)
class Sight:
    """Scenes of one kind, and what they are drawn to be asked for."""

    draw: Callable[[Rng, bool], Scene]
    """(random source, held out wanted) to a scene."""
    share: float
    """Of the scenes of mixed conversations."""
    skills: tuple[str, ...]
    """Of `Litter.look`."""


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
    near: Mapping[str, tuple[Maker, float]] = field(default_factory=dict)
    """Questions near the skills and outside them, with their weight among dialogue turns: it must not take them for its own."""
    premises: Mapping[str, tuple[Premise, float]] = field(default_factory=dict)
    """What sessions bring along, with the share of the sessions that do."""
    lessons: Mapping[str, tuple[Lesson, float]] = field(default_factory=dict)
    """Dialogues about one subject, with their weight: what is learned by heart wants to be asked often."""
    errands: Mapping[str, tuple[Lesson, float]] = field(default_factory=dict)
    """The same with functions to call; these are long to read."""
    views: Mapping[str, Sight] = field(default_factory=dict)
    """What is shown to it beside scenes of things that stand still."""
    shows: Mapping[str, tuple[Lesson, float]] = field(default_factory=dict)
    """Dialogues before a camera that shows more than one scene, with their weight."""

    def joined(self, *others: Litter) -> Litter:
        """All of them; a skill of the same name takes the place of the earlier one."""
        made = self
        for other in others:
            made = Litter(
                {**made.talk, **other.talk},
                {**made.look, **other.look},
                {**made.quiz, **other.quiz},
                (*made.seen, *other.seen),
                {**made.near, **other.near},
                {**made.premises, **other.premises},
                {**made.lessons, **other.lessons},
                {**made.errands, **other.errands},
                {**made.views, **other.views},
                {**made.shows, **other.shows},
            )
        return made


POLITE = ("", "", "", "", "please ", "hey ", "okay ", "so ", "well ")
TAIL = ("", "", "", "", "", " please", " now")


def polite(rng: Rng, text: str) -> str:
    return (rng.choice(POLITE) + text + rng.choice(TAIL)).strip()
