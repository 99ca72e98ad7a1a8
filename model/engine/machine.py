"""The decode state machine of a spoken reply: one LLM step in, what is recorded and fed back out. No tensors.

A reply is made of pieces. While a piece has words left, each step makes a word and a frame of sound together
(SPEAKING); `</pause>` or the end of the text starts its TAIL, in which only sound is made until the semantic stream
says that it is quiet. Then the next piece begins, or the reply is DONE.

                 WORD            PAUSE           END                       SOUND   QUIET
    SPEAKING     SPEAKING        TAIL            TAIL, finishing           -       -
    TAIL         -               -               -                         TAIL    SPEAKING, or DONE if finishing

A text-only reply has no sound: it speaks until END.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

TEXT_END = 2
"""Text id of `</longcat_s>`."""
TEXT_PAUSE = 137
"""Text id of `</pause>`."""
SOUND_END = 2
"""Semantic id that ends a piece's sound."""
NONE = -1
"""Stands for "no code"; adds nothing when fed back."""

Codes = tuple[int, int, int, int]
"""Semantic and three acoustic ids of one step, with their offset of 32."""


class Stage(Enum):
    SPEAKING = "speaking"
    TAIL = "tail"
    DONE = "done"


class Signal(Enum):
    """What a step said, as far as the machine cares."""

    WORD = "word"
    PAUSE = "pause"
    END = "end"
    SOUND = "sound"
    QUIET = "quiet"


TRANSITIONS: dict[tuple[Stage, Signal], Stage] = {
    (Stage.SPEAKING, Signal.WORD): Stage.SPEAKING,
    (Stage.SPEAKING, Signal.PAUSE): Stage.TAIL,
    (Stage.SPEAKING, Signal.END): Stage.TAIL,
    (Stage.TAIL, Signal.SOUND): Stage.TAIL,
    (Stage.TAIL, Signal.QUIET): Stage.SPEAKING,
}


@dataclass(frozen=True)
class State:
    """Where a reply stands. `count` is the number of steps made in the stage since it was entered."""

    stage: Stage = Stage.SPEAKING
    count: int = 0
    finishing: bool = False
    """The text has ended: the tail now running is the last."""


@dataclass(frozen=True)
class Step:
    """One step's outcome: the next state, and the ids to record, report and feed back alike."""

    state: State
    text_id: int | None
    codes: Codes | None


def advance(state: State, text_id: int, codes: Codes) -> Step:
    """One step of a spoken reply: the ids the model chose -> what becomes of them.

    A semantic end in SPEAKING is recorded and otherwise ignored. On the first step of a piece the acoustic ids are
    dropped, since they belong to the frame before (there is none); as in the released decoder a piece that ends with
    its first word keeps them. Raises ValueError after DONE.
    """
    signal = _signal(state, text_id, codes)
    stage = TRANSITIONS[state.stage, signal]
    if signal is Signal.QUIET and state.finishing:
        stage = Stage.DONE
    count = state.count + 1 if stage is state.stage else 0
    after = State(stage, count, state.finishing or signal is Signal.END)
    if stage is Stage.SPEAKING and count == 1:
        codes = (codes[0], NONE, NONE, NONE)
    return Step(after, text_id if state.stage is Stage.SPEAKING else None, codes)


def advance_text(state: State, text_id: int) -> Step:
    """One step of a text-only reply. Raises ValueError after DONE."""
    if state.stage is not Stage.SPEAKING:
        raise ValueError(f"a text-only reply cannot go on from {state.stage.value}")
    if text_id == TEXT_END:
        return Step(State(Stage.DONE, 0, True), text_id, None)
    return Step(State(Stage.SPEAKING, state.count + 1), text_id, None)


def _signal(state: State, text_id: int, codes: Codes) -> Signal:
    if state.stage is Stage.SPEAKING:
        return {TEXT_PAUSE: Signal.PAUSE, TEXT_END: Signal.END}.get(text_id, Signal.WORD)
    if state.stage is Stage.TAIL:
        return Signal.QUIET if codes[0] == SOUND_END else Signal.SOUND
    raise ValueError(f"a reply cannot go on from {state.stage.value}")
