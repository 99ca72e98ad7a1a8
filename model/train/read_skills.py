"""Reading what is printed: a word that kitten knows, or a number from zero to ninety-nine.

An answer goes on behind the number, or "twenty" would be found in "twenty nine".
"""

from __future__ import annotations

from vivavoce.model.train import sight_skills
from vivavoce.model.train.place_skills import no_camera
from vivavoce.model.train.printing import PRINTED_WORDS, spoken
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Maker, Memory, Rng, Turn, polite
from vivavoce.model.train.views import View, keeps_its_order

NOTHING = "I don't see anything printed."
ANYTHING = [
    "what does it say",
    "what is written there",
    "read it to me",
    "can you read this",
    "what does the card say",
    "read this",
]
WORDS = ["which word is this", "what word do you see", "read the word", "which word is printed there"]
NUMBERS = ["which number is this", "what number do you see", "read the number", "which number is printed there"]


def read(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    prints = scene.prints if isinstance(scene, View) else ()
    asks = list(ANYTHING)
    if all(p.text.isdigit() for p in prints):
        asks += NUMBERS
    if not any(p.text.isdigit() for p in prints):
        asks += WORDS
    user = rng.choice(asks)
    if scene is None:
        return no_camera(rng, user)
    if not prints:
        return Turn(polite(rng, user), NOTHING, "read", "don't see anything printed")
    said = " and ".join(p.said for p in prints)
    return Turn(polite(rng, user), f"It says {said} there.", "read", f"says {said} there")


def does_it_say(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Whether a word or a number is printed there; numbers that are nearly right are asked for, too."""
    prints = scene.prints if isinstance(scene, View) else ()
    if scene is not None and len(prints) != 1:
        return None
    said = prints[0].said if prints else rng.choice(PRINTED_WORDS)
    asked = said
    if rng.random() < 0.5:
        if prints and prints[0].text.isdigit():
            near = int(prints[0].text)
            others = [
                n
                for n in (near + 1, near - 1, near + 10, near - 10, near % 10 * 10 + near // 10)
                if 0 <= n < 100 and n != near
            ]
            asked = spoken(rng.choice(others))
        else:
            asked = rng.choice([w for w in PRINTED_WORDS if w != said])
    user = rng.choice(["does it say {}", "is that {}", "does the card say {}", "is {} printed there"]).format(asked)
    if scene is None:
        return no_camera(rng, user)
    return Turn(
        polite(rng, user),
        f"{'Yes' if asked == said else 'No'}, it says {said} there.",
        "does it say",
        "yes" if asked == said else "no",
    )


def what_do_you_see(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Things from the left, and what is printed beside them; None where there is nothing, or things pass each other meanwhile."""
    prints = scene.prints if isinstance(scene, View) else ()
    if scene is not None and not ((scene.things or prints) and keeps_its_order(scene)):
        return None
    if scene is None or not prints:
        return sight_skills.what_do_you_see(rng, memory, scene, index, held)
    written = " and ".join(f"the {'number' if p.text.isdigit() else 'word'} {p.said}" for p in prints)
    if scene.things:
        turn = sight_skills.what_do_you_see(rng, memory, scene, index, held)
        assert turn is not None
        slot = f"{turn.slot.replace(' and ', ', ')} and {written}"
        return Turn(turn.user, f"I see {slot}.", "describe", slot)
    user = rng.choice(["what do you see", "what can you see", "what is this", "what am i holding", "what's this"])
    return Turn(polite(rng, user), f"I see {written}.", "describe", written)


LOOK: dict[str, tuple[Maker, float]] = {
    "read": (read, 1.4),
    "does it say": (does_it_say, 0.6),
    "see": (what_do_you_see, 1.2),
}
"""Skills with their weight among dialogue turns; `views.random_reading` draws what the first two are asked about. The last
takes the place of the first litter's."""
