"""What kitten can do without a camera, as sentence grammars: many wordings of a question and the true reply.

A slot combination for which `is_held_out` is true is drawn only with `held`, which only evaluation asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Memory, Rng, Turn, article, is_held_out, number, polite


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
        return Turn(polite(rng, user), "I can talk, count, remember things, and look at shapes.", "skills", "shapes")
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
    return Turn(polite(rng, user), "I am Kitten, a small voice model.", "identity", "kitten")


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
        return Turn(polite(rng, user), "You have not told me your name.", "no fact", "not")
    return Turn(
        polite(rng, user), f"Your name is {memory.name}.", "recall name", memory.name, index - memory.told_at["name"]
    )


TELLS_FAVOURITE = (
    "my favourite {k} is {v}",
    "remember that my favourite {k} is {v}",
    "please remember my favourite {k} is {v}",
    "i want you to know my favourite {k} is {v}",
    "the {k} i like best is {v}",
    "{v} is my favourite {k}",
    "my best {k} is {v}",
)


def tell_fact(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    kind, pattern = rng.choice(list(lx.FACTS)), rng.choice(TELLS_FAVOURITE)
    values = [v for v in lx.FACTS[kind] if is_held_out("fact", kind, v, pattern) == held]
    if not values:
        return None
    value = rng.choice(values)
    memory.favourites[kind] = value
    memory.told_at[kind] = index
    user = pattern.format(k=kind, v=value)
    return Turn(user, f"Okay, your favourite {kind} is {value}.", "tell fact", value)


def told(rng: Rng) -> Turn:
    """A name or a favourite, told."""
    while True:
        turn = rng.choice([tell_name, tell_fact])(rng, Memory(), None, 0, False)
        if turn is not None:
            return turn


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
        return Turn(polite(rng, user), f"You have not told me your favourite {kind}.", "no fact", "not")
    value = memory.favourites[kind]
    return Turn(
        polite(rng, user), f"Your favourite {kind} is {value}.", "recall fact", value, index - memory.told_at[kind]
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
    return repeat_words(rng, phrase.split())


def repeat_words(rng: Rng, words: Sequence[str]) -> Turn:
    """Any words, to be said after the user."""
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
    )
    phrase = " ".join(words)
    return Turn(user.format(phrase), phrase[0].upper() + phrase[1:] + ".", "repeat", phrase)


SUMS = (
    "what is {x} {word} {y}",
    "how much is {x} {word} {y}",
    "{x} {word} {y}",
    "what's {x} {word} {y}",
    "calculate {x} {word} {y}",
    "can you tell me {x} {word} {y}",
)


def arithmetic(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A sum or a difference of 0 to 20. Held out are numbers in a wording: which sums there are, people learn by heart as well."""
    while True:
        a, b, sign = rng.randint(0, 20), rng.randint(0, 20), rng.choice("+-")
        pattern = rng.choice((*SUMS, "add {x} and {y}" if sign == "+" else "take {y} from {x}"))
        value = a + b if sign == "+" else a - b
        if 0 <= value <= 20 and is_held_out("sum", str(a), sign, str(b), pattern) == held:
            break
    word = "plus" if sign == "+" else "minus"
    x, y = number(a), number(b)
    return Turn(
        polite(rng, pattern.format(x=x, y=y, word=word)),
        f"{x[0].upper()}{x[1:]} {word} {y} is {number(value)}.",
        "arithmetic",
        f"is {number(value)}",
    )


UNKNOWN_REPLY = "Sorry, I don't know that."


def _crossed(rng: Rng, questions: Sequence[str]) -> str:
    """The beginning of one question and the end of another: what lies outside the skills is more than a list."""
    first, second = (rng.choice(questions).split() for _ in range(2))
    return " ".join(first[: rng.randint(2, max(2, len(first) - 1))] + second[-rng.randint(1, 3) :])


def unknown_among(rng: Rng, questions: Sequence[str]) -> str:
    """One of these, halves of two of them, or about a topic of its own."""
    if rng.random() < 0.3:
        return rng.choice(["what is ", "what's ", "tell me ", "do you know "]) + rng.choice(lx.UNKNOWN_TOPICS)
    return _crossed(rng, questions) if rng.random() < 0.5 else rng.choice(questions)


def unknown(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(lx.HELD_OUT_UNKNOWN) if held else unknown_among(rng, lx.UNKNOWN_QUESTIONS)
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know")
