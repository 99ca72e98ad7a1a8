"""The time of day, as sentence grammars: kitten has no clock and knows what it was told, on the five minutes.

Either the session's instructions tell it, or the user does. From then on it can say it, and what time it will be a while later;
how much of it has passed since, it cannot know. Times elsewhere, dates and alarms are outside.
"""

from __future__ import annotations

from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, is_held_out, number, polite

HALF_DAY, STEP = 720, 5
"""Minutes: the hours of a clock's face, and between the times that it knows."""
PARTS = {5: "five", 10: "ten", 15: "quarter", 20: "twenty", 25: "twenty five", 30: "half"}
NO_TIME = "You have not told me the time."

ASKED = (
    "what time is it",
    "what's the time",
    "tell me the time",
    "can you tell me the time",
    "do you know what time it is",
    "what is the time now",
    "how late is it",
    "do you know the time",
    "what time is it now",
)
TOLD = (
    "it is {t}",
    "it is {t} now",
    "the time is {t}",
    "it's {t}",
    "my watch says {t}",
    "the clock says {t}",
    "right now it is {t}",
    "remember it is {t}",
)
INSTRUCTED = (
    "It is {t}.",
    "The time is {t}.",
    "The current time is {t}.",
    "It is now {t}.",
    "Time: {t}.",
    "The clock shows {t}.",
)
LATER = (
    "what time will it be in {d}",
    "what time is it in {d}",
    "what will the time be in {d}",
    "tell me the time in {d}",
    "how late will it be in {d}",
    "which time will it be in {d}",
)
ELSEWHERE = (
    "what time is it in {c};what is the time in {c};when does the sun rise in {c};what day is it;what day is it tomorrow;"
    "what is the date today;what month is it;which year is it;when does the shop open;when is lunch;what time does the film start;"
    "how long is it until {t};how many hours are left today;what was the time in {c};is it {t} in {c};when did I get up;"
    "what season is it;how long have we been talking;when is it noon;what time did I tell you to wake me;"
    "set an alarm for {t};wake me up at {t};how long does the train to {c} take;what time do you go to bed;when is your birthday"
).split(";")
"""Near the time of day and outside; the last four of evaluation alone."""
HELD_ELSEWHERE = 4
CITIES = ("Tokyo", "Paris", "London", "New York", "Moscow", "Berlin", "Cairo", "Rome")


def spoken(minutes: int) -> str:
    """Of twelve hours, as people say it: "ten past three", "quarter to four", "five o'clock"."""
    hour, part = divmod(minutes % HALF_DAY, 60)
    if part > 30:
        return f"{PARTS[60 - part]} to {number(hour % 12 + 1)}"
    name = number(hour or 12)
    return f"{PARTS[part]} past {name}" if part else f"{name} o'clock"


def _otherwise(minutes: int, rng: Rng) -> str:
    """The same time in another way: "three ten", "a quarter past three", "half past three"."""
    hour, part = divmod(minutes, 60)
    usual, way = spoken(minutes), rng.random()
    if way < 0.25 and part >= 10:
        return f"{number(hour or 12)} {number(part)}"
    return f"a {usual}" if usual.startswith("quarter") and way < 0.6 else usual


def _digits(minutes: int) -> str:
    return f"{minutes // 60 or 12}:{minutes % 60:02d}"


def _drawn(rng: Rng, held: bool, pattern: str) -> int:
    while True:
        minutes = rng.randrange(0, HALF_DAY, STEP)
        if is_held_out("time", spoken(minutes), pattern) == held:
            return minutes


def premise(rng: Rng, memory: Memory, held: bool) -> None:
    """The session says what time it is."""
    pattern = rng.choice(INSTRUCTED)
    memory.minutes = _drawn(rng, held, pattern)
    told = _digits(memory.minutes) if rng.random() < 0.4 else spoken(memory.minutes)
    memory.instructions.append(pattern.format(t=told))


def tell_time(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    pattern = rng.choice(TOLD)
    memory.minutes = _drawn(rng, held, pattern)
    said = spoken(memory.minutes)
    return Turn(
        pattern.format(t=_otherwise(memory.minutes, rng)), f"Okay, it is {said}.", "tell time", said, exact=True
    )


def ask_time(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = polite(rng, rng.choice(ASKED))
    if memory.minutes is None:
        return Turn(user, NO_TIME, "no time", "not", exact=True)
    said = spoken(memory.minutes)
    return Turn(user, f"It is {said}.", "time", said, exact=True)


def _while(rng: Rng) -> tuple[int, str]:
    """Minutes, and how they are called: whole hours or minutes."""
    hours = rng.random() < 0.5
    some = rng.randint(1, 6) if hours else rng.choice((5, 10, 15, 20, 30))
    names = [f"{number(some)} {'hour' if hours else 'minute'}{'s' * (some > 1)}"]
    names += [name for at, name in ((1, "an hour"),) if hours and some == at]
    names += [name for at, name in ((15, "a quarter of an hour"), (30, "half an hour")) if not hours and some == at]
    return some * (60 if hours else 1), rng.choice(names)


def later(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Hours are added, or minutes. Held out is how long after which time, in a wording."""
    while True:
        (minutes, name), pattern = _while(rng), rng.choice(LATER)
        user = polite(rng, pattern.format(d=name))
        if memory.minutes is None:
            return Turn(user, NO_TIME, "no time", "not", exact=True)
        if is_held_out("later", spoken(memory.minutes), name, pattern) == held:
            said = spoken(memory.minutes + minutes)
            return Turn(user, f"It will be {said}.", "later", said, exact=True)


def elsewhere(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Near the time of day and outside: it says so, even if it knows the time."""
    user = rng.choice(ELSEWHERE[-HELD_ELSEWHERE:] if held else ELSEWHERE[:-HELD_ELSEWHERE])
    user = user.format(c=rng.choice(CITIES), t=spoken(rng.randrange(0, HALF_DAY, 60)))
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know", exact=True)


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """The time is told, or not, and asked for."""
    memory, made = Memory(), list[Turn]()
    if rng.random() < 0.5:
        premise(rng, memory, held)
    while len(made) < max(2, turns):
        maker = rng.choices([tell_time, ask_time, later, elsewhere], [2, 2, 4, 0.7])[0]
        turn = maker(rng, memory, None, len(made), held)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), None, " ".join(memory.instructions))


TAUGHT = Litter(
    talk={"tell time": (tell_time, 0.5), "time": (ask_time, 0.6), "later": (later, 0.6)},
    near={"elsewhere": (elsewhere, 0.25)},
    premises={"time": (premise, 0.2)},
    lessons={"clock": (lesson, 2.0)},
)
