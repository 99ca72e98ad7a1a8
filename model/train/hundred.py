"""Sums and differences up to a hundred, and the tables up to ten, as sentence grammars. What is beyond them it does not know."""

from __future__ import annotations

from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import SUMS, UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, is_held_out, number, polite

MOST = 100
ROUND_TENS, NO_CARRY = 0.2, 0.25
"""Shares of sums of whole tens, and of those without a carry: what people ask most, and the way to all others."""
SIGNS = {"+": "plus", "-": "minus", "*": "times"}
OWN_WORDING = {"+": "add {x} and {y}", "-": "take {y} from {x}", "*": "multiply {x} by {y}"}
BEYOND = (
    "what is {n} divided by {x}",
    "how much is {n} divided by {x}",
    "what is half of {n}",
    "divide {n} by {x}",
    "what is the square root of {n}",
    "what is {x} hundred plus {n}",
    "how much is {n} plus {x} hundred",
    "what is {x} thousand minus {n}",
    "what is {x} plus {n} plus {x}",
    "how much is {n} minus {x} minus {x}",
    "is {n} a prime number",
    "which is bigger {n} or {x}",
    "what is a third of {n}",
    "what is {n} to the power of {x}",
    "how often does {x} go into {n}",
    "what is {n} point five plus {x}",
    "what is the cube of {n}",
    "count from {x} to {n}",
    "round {n} to the next ten",
    "what is twice {n}",
    "what is {n} percent of {x} hundred",
    "what is {n} squared",
)
"""What sounds like sums and is none that it knows; the last two of evaluation alone."""
HELD_BEYOND = 2


def _drawn(rng: Rng) -> tuple[int, str, int, int]:
    """Two numbers, the sign between them and what comes of it."""
    sign = rng.choice("++--*")
    if sign == "*":
        a, b = rng.randint(1, 10), rng.randint(1, 10)
        return a, sign, b, a * b
    value, part = sorted((rng.randint(0, MOST), rng.randint(0, MOST)), reverse=True)
    plain = rng.random()
    if plain < ROUND_TENS:
        value, part = value // 10 * 10, part // 10 * 10
    elif plain < ROUND_TENS + NO_CARRY and part % 10 > value % 10:
        part -= part % 10 - value % 10
    return (part, "+", value - part, value) if sign == "+" else (value, "-", part, value - part)


def hundred(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A sum, a difference or a product. Held out are numbers in a wording, as with small sums."""
    while True:
        a, sign, b, value = _drawn(rng)
        pattern = rng.choice((*SUMS, OWN_WORDING[sign]))
        if is_held_out("sum", str(a), sign, str(b), pattern) == held:
            break
    x, y = number(a), number(b)
    return Turn(
        polite(rng, pattern.format(x=x, y=y, word=SIGNS[sign])),
        f"{x[0].upper()}{x[1:]} {SIGNS[sign]} {y} is {number(value)}.",
        "table" if sign == "*" else "hundred",
        f"is {number(value)}",
    )


def beyond(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A calculation that is outside: it says so, and does not guess."""
    pattern = rng.choice(BEYOND[-HELD_BEYOND:] if held else BEYOND[:-HELD_BEYOND])
    user = pattern.format(n=number(rng.randint(2, 100)), x=number(rng.randint(2, 9)))
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know")


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """One calculation, as people do them by heart; now and then one that is outside."""
    made = (beyond if rng.random() < 0.08 else hundred)(rng, Memory(), None, 0, held)
    assert made is not None
    return Dialogue((made,), None)


TAUGHT = Litter(
    talk={"hundred": (hundred, 1.6)},
    near={"beyond": (beyond, 0.2)},
    lessons={"hundred": (lesson, 4.0)},
)
