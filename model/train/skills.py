"""What kitten can do, as sentence grammars: every skill makes user sentences with many wordings and the true reply.

A dialogue is a list of `Turn`. Whatever the reply depends on (the scene before the camera, a name told earlier) is drawn
first and the sentences are written from it, so a reply is always true. Slot combinations named by `is_held_out` never occur
in training; evaluation draws only those.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene, Thing, random_scene


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


Rng = random.Random
Maker = Callable[[Rng, Memory, "Scene | None", int, bool], "Turn | None"]
"""(random source, memory, scene, turn number, held-out slots wanted) to a turn, or None where the skill does not apply."""

POLITE = ("", "", "", "", "please ", "hey ", "okay ", "so ", "well ")
TAIL = ("", "", "", "", "", " please", " now")


def _wrap(rng: Rng, text: str) -> str:
    return (rng.choice(POLITE) + text + rng.choice(TAIL)).strip()


def greeting(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(
        [
            "hello",
            "hi",
            "hello there",
            "hi there",
            "good morning",
            "good evening",
            "hey there",
            "hello kitten",
            "hi kitten",
            "good afternoon",
            "hey kitten",
            "good day",
        ]
    )
    if rng.random() < 0.35:
        user += rng.choice([" how are you", " how are you doing", " how are you today"])
        return Turn(user, "Hello! I am fine, thank you.", "greeting", "fine")
    reply = f"Hello, {memory.name}!" if memory.name else "Hello! How can I help you?"
    return Turn(user, reply, "greeting", "hello")


def goodbye(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if rng.random() < 0.5:
        return Turn(
            rng.choice(["thank you", "thanks", "thank you very much", "thanks a lot", "great thank you"]),
            "You are welcome.",
            "thanks",
            "welcome",
        )
    user = rng.choice(["goodbye", "bye", "bye bye", "see you later", "goodbye kitten", "good night", "see you soon"])
    return Turn(user, "Goodbye! See you soon.", "goodbye", "goodbye")


def who_are_you(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if rng.random() < 0.35:
        user = rng.choice(
            [
                "what can you do",
                "what do you know",
                "how can you help me",
                "what are you able to do",
                "what are your skills",
                "tell me what you can do",
            ]
        )
        return Turn(_wrap(rng, user), "I can talk, count, remember things, and look at shapes.", "skills", "shapes")
    user = rng.choice(
        [
            "who are you",
            "what are you",
            "what is your name",
            "tell me your name",
            "do you have a name",
            "introduce yourself",
            "tell me who you are",
            "what are you called",
            "what's your name",
            "tell me about yourself",
        ]
    )
    return Turn(_wrap(rng, user), "I am Kitten, a small voice model.", "identity", "kitten")


def tell_name(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    pattern = rng.choice(
        [
            "my name is {}",
            "i am {}",
            "call me {}",
            "i'm {}",
            "hello my name is {}",
            "hi i am {}",
            "you can call me {}",
            "the name is {}",
            "people call me {}",
            "hello i'm {}",
        ]
    )
    names = [n for n in lx.NAMES if is_held_out("name", n, pattern) == held]
    if not names:
        return None
    memory.name = rng.choice(names)
    memory.told_at["name"] = index
    return Turn(pattern.format(memory.name), f"Nice to meet you, {memory.name}.", "tell name", memory.name)


def recall_name(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(
        [
            "what is my name",
            "what's my name",
            "who am i",
            "do you remember my name",
            "tell me my name",
            "do you know my name",
            "can you say my name",
            "what did i say my name was",
        ]
    )
    if memory.name is None:
        return Turn(_wrap(rng, user), "You have not told me your name.", "no fact", "not")
    return Turn(
        _wrap(rng, user), f"Your name is {memory.name}.", "recall name", memory.name, index - memory.told_at["name"]
    )


def tell_fact(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    kind = rng.choice(list(lx.FACTS))
    values = [v for v in lx.FACTS[kind] if is_held_out("fact", kind, v) == held]
    if not values:
        return None
    value = rng.choice(values)
    memory.favourites[kind] = value
    memory.told_at[kind] = index
    patterns = [
        "my favourite {k} is {v}",
        "remember that my favourite {k} is {v}",
        "please remember my favourite {k} is {v}",
        "i want you to know my favourite {k} is {v}",
        "the {k} i like best is {v}",
        "{v} is my favourite {k}",
        "my best {k} is {v}",
    ]
    user = rng.choice(patterns).format(k=kind, v=value)
    return Turn(user, f"Okay, your favourite {kind} is {value}.", "tell fact", value)


def recall_fact(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    known = list(memory.favourites)
    kind = rng.choice(known) if known and rng.random() < 0.85 else rng.choice(list(lx.FACTS))
    user = rng.choice(
        [
            "what is my favourite {}",
            "what's my favourite {}",
            "do you remember my favourite {}",
            "tell me my favourite {}",
            "which {} do i like best",
            "do you know my favourite {}",
            "can you tell me my favourite {}",
        ]
    ).format(kind)
    if kind not in memory.favourites:
        return Turn(_wrap(rng, user), f"You have not told me your favourite {kind}.", "no fact", "not")
    value = memory.favourites[kind]
    return Turn(
        _wrap(rng, user), f"Your favourite {kind} is {value}.", "recall fact", value, index - memory.told_at[kind]
    )


def _phrase(rng: Rng) -> str:
    noun, other = rng.choice(lx.PHRASE_NOUNS), rng.choice(lx.PHRASE_NOUNS)
    adjective = rng.choice(lx.PHRASE_ADJECTIVES)
    return rng.choice(
        [
            f"the {adjective} {noun}",
            f"the {noun} {rng.choice(lx.PHRASE_VERBS)}",
            f"{article(adjective)} {noun}",
            f"the {noun} and the {other}",
            f"the {noun} {rng.choice(lx.PHRASE_VERBS)} {rng.choice(lx.PHRASE_PLACES)}",
            f"i like the {adjective} {noun}",
            f"{adjective} {noun}",
            f"my {noun} is {adjective}",
            f"{rng.choice(lx.NUMBERS[:13])} {rng.choice(lx.NUMBERS[:13])} {rng.choice(lx.NUMBERS[:13])}",
            f"{noun} {other}",
            noun,
            f"the {noun} is {adjective}",
            f"{rng.choice(list(lx.COLOURS))} {noun}",
        ]
    )


def repeat(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    phrase = _phrase(rng)
    while is_held_out("repeat", phrase) != held:
        phrase = _phrase(rng)
    user = rng.choice(
        [
            "repeat after me {}",
            "please repeat {}",
            "say {}",
            "repeat this {}",
            "can you say {}",
            "repeat after me please {}",
            "say after me {}",
            "please say {}",
        ]
    ).format(phrase)
    return Turn(user, phrase[0].upper() + phrase[1:] + ".", "repeat", phrase)


def arithmetic(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    while True:
        a, b, sign = rng.randint(0, 20), rng.randint(0, 20), rng.choice("+-")
        value = a + b if sign == "+" else a - b
        if 0 <= value <= 20 and is_held_out("sum", str(a), sign, str(b)) == held:
            break
    word = "plus" if sign == "+" else "minus"
    x, y = number(a), number(b)
    options = [
        f"what is {x} {word} {y}",
        f"how much is {x} {word} {y}",
        f"{x} {word} {y}",
        f"what's {x} {word} {y}",
        f"calculate {x} {word} {y}",
        f"can you tell me {x} {word} {y}",
    ]
    options.append(f"add {x} and {y}" if sign == "+" else f"take {y} from {x}")
    return Turn(
        _wrap(rng, rng.choice(options)),
        f"{x[0].upper()}{x[1:]} {word} {y} is {number(value)}.",
        "arithmetic",
        f"is {number(value)}",
    )


UNKNOWN_REPLY = "Sorry, I don't know that."


def unknown(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if held:
        user = rng.choice(lx.HELD_OUT_UNKNOWN)
    elif rng.random() < 0.3:
        user = rng.choice(["what is ", "what's ", "tell me ", "do you know "]) + rng.choice(lx.UNKNOWN_TOPICS)
    else:
        user = rng.choice(lx.UNKNOWN_QUESTIONS)
    return Turn(_wrap(rng, user), UNKNOWN_REPLY, "unknown", "know")


NO_CAMERA = "I can't see anything. The camera is off."


def _combination_ok(scene: Scene, held: bool) -> bool:
    return not held or any(is_held_out("thing", t.colour, t.shape) for t in scene.things)


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
        return Turn(_wrap(rng, user), NO_CAMERA, "no camera", "camera")
    return Turn(_wrap(rng, user), f"The {thing.shape} is {thing.colour}.", "colour", thing.colour)


def shape(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is None:
        return Turn(
            _wrap(rng, rng.choice(["what shape is it", "what shape is this", "what shape do you see"])),
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
    return Turn(_wrap(rng, user), f"It is {article(thing.shape)}.", "shape", thing.shape)


def count(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is None:
        user = rng.choice(["how many shapes do you see", "how many things are there", "count the shapes"])
        return Turn(_wrap(rng, user), NO_CAMERA, "no camera", "camera")
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
        noun = rng.choice([t.shape for t in scene.things]) if rng.random() < 0.8 else rng.choice(lx.SHAPES)
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
    return Turn(_wrap(rng, user), f"There {verb} {quantity} {plural(noun, n)}.", "count", quantity)


def is_there(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if scene is not None and rng.random() < 0.5:
        wanted = rng.choice(scene.things)
        colour_name, shape_name = wanted.colour, wanted.shape
    else:
        colour_name, shape_name = rng.choice(list(lx.COLOURS)), rng.choice(lx.SHAPES)
        if scene is not None and rng.random() < 0.5:  # near misses: one word right, one wrong
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
        return Turn(_wrap(rng, user), NO_CAMERA, "no camera", "camera")
    yes = any(t.colour == colour_name and t.shape == shape_name for t in scene.things)
    reply = f"Yes, I see {article(thing)}." if yes else f"No, I don't see {article(thing)}."
    return Turn(_wrap(rng, user), reply, "is there", "yes" if yes else "no")


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
        return Turn(_wrap(rng, user), NO_CAMERA, "no camera", "camera")
    groups: dict[tuple[str, str], int] = {}
    for t in scene.things:  # things come left to right
        groups[t.colour, t.shape] = groups.get((t.colour, t.shape), 0) + 1
    parts = [article(f"{c} {s}") if n == 1 else f"{number(n)} {c} {plural(s, n)}" for (c, s), n in groups.items()]
    said = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return Turn(_wrap(rng, user), f"I see {said}.", "describe", said)


TALK: dict[str, tuple[Maker, float]] = {
    "greeting": (greeting, 0.6),
    "goodbye": (goodbye, 0.5),
    "who": (who_are_you, 0.6),
    "tell name": (tell_name, 1.0),
    "recall name": (recall_name, 1.0),
    "tell fact": (tell_fact, 1.1),
    "recall fact": (recall_fact, 1.4),
    "repeat": (repeat, 1.6),
    "arithmetic": (arithmetic, 1.7),
    "unknown": (unknown, 1.7),
}
LOOK: dict[str, tuple[Maker, float]] = {
    "colour": (colour, 1.5),
    "shape": (shape, 1.1),
    "count": (count, 1.3),
    "is there": (is_there, 1.3),
    "see": (what_do_you_see, 1.2),
}
"""Skills with their weight among dialogue turns."""


def dialogue(rng: Rng, *, held: bool = False, turns: int | None = None, camera: float = 0.6) -> Dialogue:
    """A random conversation of `turns` turns (1 to 7 when None), the camera on with probability `camera`."""
    scene = random_scene(rng, held=held) if rng.random() < camera else None
    n = turns if turns is not None else rng.choices([1, 2, 3, 4, 6, 7], [5, 4, 3, 2, 1, 1])[0]
    makers = {**TALK, **{k: (m, w * (2.0 if scene else 0.25)) for k, (m, w) in LOOK.items()}}
    memory, made = Memory(), []
    for index in range(n):
        turn = None
        while turn is None:
            name = rng.choices(list(makers), [w for _, w in makers.values()])[0]
            turn = makers[name][0](rng, memory, scene, index, held)
        made.append(turn)
    return Dialogue(tuple(made), scene)


def recall_dialogue(rng: Rng, distance: int, *, held: bool = False) -> Dialogue:
    """A fact or the name is told, other talk follows, and after `distance` turns it is asked for."""
    memory, made = Memory(), []
    tell, ask = rng.choice([(tell_name, recall_name), (tell_fact, recall_fact)])
    first = None
    while first is None:
        first = tell(rng, memory, None, 0, held)
    made.append(first)
    fillers = [greeting, who_are_you, arithmetic, repeat, unknown, tell_fact if tell is tell_name else tell_name]
    for index in range(1, distance):
        turn = None
        while turn is None or (turn.skill == "tell fact" and tell is tell_fact):
            turn = rng.choice(fillers)(rng, memory, None, index, False)
        made.append(turn)
    asked = None
    while asked is None or not asked.skill.startswith("recall"):
        asked = ask(rng, memory, None, distance, held)
    made.append(asked)
    return Dialogue(tuple(made), None)
