"""Timers, as sentence grammars: kitten has none, but a session may let it call a function that does.

What that function is called and how it wants to be told a duration is drawn anew for every session, so that both are read and not
known: in seconds, in minutes, as a number and a unit, as hours, minutes and seconds. A session without one is told that it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vivavoce.model.functions import Call
from vivavoce.model.messages import Function
from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, article, is_held_out, number, polite

UNITS = {"second": 1, "minute": 60, "hour": 3600}
AMOUNTS = {
    "second": (5, 10, 15, 20, 30, 40, 45, 50),
    "minute": (*range(1, 21), 25, 30, 35, 40, 45, 50),
    "hour": (1, 2, 3),
}
CANNOT = "Sorry, I can't set timers here."
FAILED = "Sorry, that did not work."

ASKED = (
    "set a timer for {d}",
    "set a {s} timer",
    "start a timer for {d}",
    "start a {s} timer",
    "give me a timer of {d}",
    "make it ring in {d}",
    "can you set a timer for {d}",
    "put {d} on the timer",
    "let me know in {d}",
    "i need a timer for {d}",
    "wake me in {d}",
    "timer {d}",
)
VERBS = ("set", "start", "create", "add", "new", "begin", "make", "run")
NOUNS = ("timer", "countdown", "kitchen_timer", "timer_event", "clock_timer", "egg_timer")
TOLD = (
    "Set a timer.",
    "Starts a timer.",
    "Start a countdown.",
    "Sets a timer that rings when it is over.",
    "A kitchen timer.",
    "Timer.",
)
OTHERS = (
    ("get_weather", "The weather in a city.", "city"),
    ("play_music", "Play a song.", "song"),
    ("turn_on_light", "Switch a lamp on.", "room"),
    ("send_message", "Send a message to somebody.", "text"),
    ("search", "Search the web.", "query"),
)
SUCCESS = (
    '{{"ok": true}}',
    "ok",
    "done",
    '{{"status": "started"}}',
    '{{"success": true, "id": {n}}}',
    "timer {n} started",
    '"ok"',
)
FAILURE = ('{{"error": "too many timers"}}', '{{"ok": false}}', "error: not possible", '{{"status": "failed"}}')


@dataclass(frozen=True)
class Duration:
    """So many of a unit."""

    amount: int
    unit: str

    @property
    def seconds(self) -> int:
        return self.amount * UNITS[self.unit]

    @property
    def words(self) -> str:
        """ "five minutes" """
        return f"{number(self.amount)} {self.unit}{'s' * (self.amount != 1)}"


@dataclass(frozen=True)
class Schema:
    """One way to tell a function how long."""

    parameters: Callable[[Rng], dict[str, Any]]
    arguments: Callable[[Duration, list[str]], dict[str, Any]]
    """Of the duration, and the names that `parameters` has for what it wants."""
    units: tuple[str, ...] = tuple(UNITS)
    """Durations that it can be told."""


def _object(rng: Rng, properties: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    if rng.random() < 0.3:
        schema["additionalProperties"] = False
    return schema


def _whole(rng: Rng, unit: str, names: tuple[str, ...]) -> dict[str, Any]:
    """One number, of the unit that its name or its description tells."""
    name = rng.choice(names)
    field = {"type": rng.choice(["integer", "number"])}
    if unit not in name or rng.random() < 0.5:
        field["description"] = rng.choice(
            ["How long, in {u}.", "Duration in {u}.", "In {u}.", "Length in {u}."]
        ).format(u=unit)
    return _object(rng, {name: field})


def _one(per: int) -> Callable[[Duration, list[str]], dict[str, Any]]:
    return lambda duration, names: {names[0]: duration.seconds // per}


SCHEMAS = {
    "seconds": Schema(
        lambda rng: _whole(
            rng, "seconds", ("seconds", "duration_seconds", "length_in_seconds", "duration", "length", "time")
        ),
        _one(1),
    ),
    "minutes": Schema(
        lambda rng: _whole(
            rng, "minutes", ("minutes", "duration_minutes", "time_in_minutes", "duration", "length", "time")
        ),
        _one(60),
        ("minute", "hour"),
    ),
    "unit": Schema(
        lambda rng: _object(
            rng,
            {
                rng.choice(["amount", "value", "number"]): {"type": "integer"},
                "unit": {"type": "string", "enum": ["seconds", "minutes", "hours"]},
            },
        ),
        lambda duration, names: {names[0]: duration.amount, "unit": duration.unit + "s"},
    ),
    "parts": Schema(
        lambda rng: _object(rng, {unit: {"type": "integer"} for unit in ("hours", "minutes", "seconds")}),
        lambda duration, names: {name: duration.amount * (name == duration.unit + "s") for name in names},
    ),
}


def _name(rng: Rng, held: bool) -> str:
    """ "set_timer", "startCountdown", "timers.new": one of ten is kept back."""
    while True:
        verb, noun, way = rng.choice(VERBS), rng.choice(NOUNS), rng.random()
        camel = noun.title().replace("_", "")
        name = f"{verb}_{noun}" if way < 0.6 else f"{verb}{camel}" if way < 0.8 else f"{noun}_{verb}"
        if is_held_out("function", name) == held:
            return name


def offered(rng: Rng, held: bool) -> Function:
    """A function that sets a timer."""
    schema = SCHEMAS[rng.choice(list(SCHEMAS))]
    return Function(_name(rng, held), rng.choice(TOLD), json.dumps(schema.parameters(rng)))


def other(rng: Rng) -> Function:
    """A function for something else."""
    name, told, wanted = rng.choice(OTHERS)
    return Function(name, told, json.dumps(_object(rng, {wanted: {"type": "string"}})))


def schema_of(function: Function) -> Schema | None:
    """How it wants to be told a duration; None if it is no timer's."""
    properties = json.loads(function.parameters)["properties"]
    if any(field.get("type") == "string" and "enum" not in field for field in properties.values()):
        return None
    if len(properties) > 1:
        return SCHEMAS["unit" if "unit" in properties else "parts"]
    return SCHEMAS["minutes" if "minute" in json.dumps(properties) else "seconds"]


def premise(rng: Rng, memory: Memory, held: bool) -> None:
    """The session has functions: a timer's, or others, or both."""
    kind = rng.random()
    some = [offered(rng, held)] if kind < 0.85 else []
    if kind > 0.7:
        some.append(other(rng))
    rng.shuffle(some)
    memory.functions = tuple(some)


def timer(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A timer is asked for: the function is called, and what it returned is told; or there is none."""
    found = [(f, schema) for f in memory.functions if (schema := schema_of(f)) is not None]
    units = found[0][1].units if found else tuple(UNITS)
    unit, pattern = rng.choice(units if rng.random() < 0.5 else units[:-1] or units), rng.choice(ASKED)
    duration = Duration(rng.choice(AMOUNTS[unit]), unit)
    if is_held_out("timer", duration.words, pattern) != held:
        return None
    single = f"{number(duration.amount)} {unit}"
    user = polite(rng, pattern.format(d=duration.words, s=single))
    if not found:
        return Turn(user, CANNOT, "no timer", "can't", exact=True)
    function, schema = found[0]
    arguments = schema.arguments(duration, list(json.loads(function.parameters)["properties"]))
    call = Call(function.name, json.dumps(arguments))
    if rng.random() < 0.12:
        returned, reply, slot = rng.choice(FAILURE).format(), FAILED, "not"
    else:
        returned = rng.choice(SUCCESS).format(n=rng.randint(1, 9))
        reply, slot = f"Okay, {duration.words}.", duration.words
    return Turn(user, reply, "timer", slot, exact=True, called=call, returned=returned)


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """Nothing but timers, in a session with functions or, now and then, without."""
    memory, made = Memory(), list[Turn]()
    premise(rng, memory, held)
    while len(made) < turns:
        if rng.random() < 0.15 and not held:
            made.append(_else(rng))
            continue
        turn = timer(rng, memory, None, len(made), held)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), None, " ".join(memory.instructions), memory.functions)


def _else(rng: Rng) -> Turn:
    """Small talk, for which no function is called."""
    colour = rng.choice(lx.PHRASE_NOUNS)
    return rng.choice(
        [
            Turn("thank you", "You are welcome.", "thanks", "welcome"),
            Turn(f"say {colour}", f"{colour[0].upper()}{colour[1:]}.", "repeat", colour),
            Turn(f"say {article(colour)}", f"{article(colour).capitalize()}.", "repeat", article(colour)),
        ]
    )


TAUGHT = Litter(
    talk={"timer": (timer, 0.4)},
    premises={"functions": (premise, 0.04)},
    errands={"timers": (lesson, 1.0)},
)
