"""How much of everything: from nothing, and for a checkpoint that is trained further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHARES = {"drill": 0.16, "talk": 0.13, "look": 0.16, "quiz": 0.36, "spoken": 0.13, "aloud": 0.06}
"""What `talking` practises; see `practice.py`."""
LAST_SHARES = {"drill": 0.06, "talk": 0.1, "look": 0.14, "quiz": 0.16, "spoken": 0.22, "aloud": 0.32}
"""What it practises at the end, so that the voice is as good as the answers:
about what the shipped checkpoint had in its last 8,000 steps."""
FURTHER_SHARES = {"drill": 0.04, "talk": 0.08, "look": 0.18, "quiz": 0.2, "spoken": 0.12, "aloud": 0.38}
"""What a checkpoint practises that is trained further: about what the shipped one had in its last 2,500 steps."""
LESSONS: dict[int, dict[str, float]] = {1: {}, 2: {"lesson": 0.25, "errand": 0.1}}
"""Shares of what a litter has dialogues of its own for; all others shrink by them."""
ALIGNMENT_SHARES = {"talk": 0.45, "quiz": 0.35, "look": 0.2}
"""What the ears practise in `alignment`: what is asked aloud."""
REFERENCE = {"drill": 0.23, "talk": 0.046, "look": 0.15, "quiz": 0.046, "spoken": 0.021, "aloud": 1.51}
"""Nats of a word, or of a semantic code where only codes count, that the shipped checkpoint needs on practice it has not seen:
nine batches of 430 rows of each kind. See `lagging.py`."""
QUIET, LAST = 0.4, 0.6
"""Until which share of its steps all answers are written, and from which on nearly all are spoken."""
VOICED, LAST_VOICED = 0.6, 0.8
"""Share of answers that are spoken in between, and at the end."""


def with_lessons(shares: Mapping[str, float], litter: int) -> dict[str, float]:
    """The shares of a step's kinds, with those of the litter's own."""
    own = LESSONS[litter]
    return {**{kind: share * (1 - sum(own.values())) for kind, share in shares.items()}, **own} if own else dict(shares)


@dataclass(frozen=True)
class Plan:
    """How much of everything: about what the shipped checkpoint had, in the end, of every stage."""

    seed: int = 1
    litter: int = 1
    """Which of `skills.LITTERS` is practised."""
    dialogues: int = 8000
    recalls: int = 2500
    more_replies: int = 5000
    strange_replies: int = 10_000
    answers: int = 3
    readings: int = 20_000
    strange_readings: int = 7_000
    least: int = 50
    copies: int = 2
    pictures: int = 28_000
    crowded: int = 16_000
    close_ups: int = 4000
    views: int = 9000
    """Pictures to read, to compare and of what moves, for the second litter; two seconds of computing for a hundred."""
    changes: int = 1500
    """Scenes of which each is shown before and after something has changed, for the second litter."""
    semantic_steps: int = 1400
    acoustic_steps: int = 1200
    voice_steps: int = 2900
    second_voice_steps: int = 2000
    second_readings: int = 2000
    ears_steps: int = 10_800
    first_eyes_steps: int = 11_000
    eyes_steps: int = 4300
    further_eyes_steps: int = 3000
    writing_steps: int = 1500
    projector_steps: int = 600
    talking_steps: int = 14_000
    ears_tokens: int = 1100
    talking_rate: float = 1.4e-3
    talk_rows: int = 2600
    workers: int = 2
    further: bool = False
    """What is trained has been trained before."""
    hidden_z: float = 0.0
    """Weight of the hidden z-loss in `talking`, 1e-7 in the report, which would add 0.001 to 0.004 to kitten's loss: before the
    final norm its largest values are 10 to 25 times their root mean square. What it changes has not been measured."""
    languages: tuple[str, ...] = ("en",)
    """In which it talks: "en", "zh" or both. Dialogues, readings and replies are shared out evenly among them."""
    lagging: bool = False
    """`talking` practises more of what is farther from `REFERENCE`."""
    layers: int = 0
    """Double layers that the backbone grows to before `talking`; 0 for as many as it has. See `growth.py`."""
    alignment_steps: int = 300
    alignment_rate: float = 1e-4
    questions: int = 2000
    """That `dpo` asks the model, for pairs of its own answers."""
    dpo_steps: int = 200
    dpo_rate: float = 5e-5
    along: tuple[str, ...] = ()
    """Encoders that learn along in `talking`: "ears", "eyes", or both."""


FURTHER = Plan(
    dialogues=1500,
    recalls=400,
    more_replies=0,
    strange_replies=10_000,
    readings=4500,
    strange_readings=800,
    least=15,
    copies=1,
    pictures=3500,
    crowded=2500,
    close_ups=0,
    projector_steps=0,
    ears_steps=3000,
    talking_steps=2400,
    talking_rate=6e-4,
    further=True,
)
"""A lesson for a checkpoint that can talk already."""
