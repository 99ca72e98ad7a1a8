"""How words are spelled, and which word some letters are, as sentence grammars.

It knows the words of its own world by heart. To spell is to know which letters a piece of the tokenizer has; nobody can tell that
from the letters of others, so words that it was never taught are outside.
"""

from __future__ import annotations

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, is_held_out, polite

WORDS = tuple(dict.fromkeys(word for word in lx.WORDS if 2 < len(word) < 9))
SPELL = (
    "how do you spell {w}",
    "spell {w}",
    "can you spell {w}",
    "spell the word {w}",
    "how is {w} spelled",
    "how do i spell {w}",
    "tell me how to spell {w}",
    "what are the letters of {w}",
)
READ = (
    "what word is {l}",
    "which word is {l}",
    "what does {l} spell",
    "what word has the letters {l}",
    "which word is spelled {l}",
    "{l} what word is that",
    "read this {l}",
)
STRANGE_WORDS = (
    "xylophone rhythm giraffe necessary bureaucracy psychology restaurant chameleon encyclopedia conscience pneumonia "
    "hippopotamus mississippi quinoa knowledge lieutenant embarrass parliament vacuum zucchini beautiful calendar definitely "
    "government jewellery library mischievous neighbour occasion privilege queue receipt separate tomorrow vegetable weird yacht "
    "kitchen bridge candle pillow hammer island jacket ladder mirror needle office pocket rocket shadow tunnel violin wallet "
    "zebra ankle basket camel desert engine forest guitar helmet insect jungle kettle lizard magnet napkin onion parrot quilt "
    "ribbon saddle thunder umbrella valley whistle blanket carpet dragon elbow feather goblin honey igloo jelly lemonade muffin "
    "notebook oyster pepper raincoat sandwich tomato uncle village walnut airport bicycle castle dolphin evening freedom giant "
    "hospital journey language machine nature ocean palace quarter reason station theatre useful visitor weather yesterday "
    "cousin daughter finger picture question secret ticket mountaineer fisherman breakfast dinner luggage"
).split()
"""What people ask to have spelled, and nobody has told it; every fourth of evaluation alone."""


def letters(word: str) -> str:
    """As they are said, one by one."""
    return ", ".join(word.upper())


def spell(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A word, letter by letter. Held out are words in a wording."""
    while True:
        word, pattern = rng.choice(WORDS), rng.choice(SPELL)
        if is_held_out("spell", word, pattern) == held:
            break
    told = letters(word)
    return Turn(polite(rng, pattern.format(w=word)), f"{told}.", "spell", told.replace(",", ""), exact=True)


def read(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Letters, and the word that they are."""
    while True:
        word, pattern = rng.choice(WORDS), rng.choice(READ)
        if is_held_out("letters", word, pattern) == held:
            break
    user = pattern.format(l=" ".join(word.upper()))
    return Turn(polite(rng, user), f"That is {word}.", "letters", word, exact=True)


def unspelled(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A word that it was never taught to spell, or letters that are no word."""
    if rng.random() < 0.6:
        word = rng.choice([w for i, w in enumerate(STRANGE_WORDS) if (i % 4 == 0) == held])
        user = rng.choice(SPELL).format(w=word)
    else:
        some = [rng.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(rng.randint(3, 6))]
        if (some[0] in "BDKZ") != held:
            return None
        user = rng.choice(READ).format(l=" ".join(some))
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know", exact=True)


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """Three words, spelled or read."""
    made: list[Turn] = []
    while len(made) < 3:
        turn = rng.choices([spell, read, unspelled], [5, 3, 1])[0](rng, Memory(), None, len(made), held)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), None)


TAUGHT = Litter(
    talk={"spell": (spell, 0.9), "read": (read, 0.6)},
    near={"unspelled": (unspelled, 0.25)},
    lessons={"spelling": (lesson, 2.0)},
)
