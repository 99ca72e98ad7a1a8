"""The phases of a conversation and what leads from one to another: a table, and nothing else.

A signal about an answer belongs to the current one: whoever feeds the table drops those of older turns first. So an
empty cell can only be our own mistake. What is *done* on a move is in `floor.py`; the words in `EFFECTS` say it.
"""

from __future__ import annotations

from enum import Enum

from vivavoce.realtime.errors import UnexpectedSignal


class Phase(Enum):
    """Who has the floor."""

    LISTENING = "LISTENING"
    """Nobody speaks."""
    HEARING = "HEARING"
    """The user speaks; the model takes it in as it comes."""
    GUESSING = "GUESSING"
    """The user paused; the model already answers, nobody hears it."""
    ANSWERING = "ANSWERING"
    """The user has finished; the answer is being heard."""
    YIELDING = "YIELDING"
    """The user makes a sound during the answer, which waits: is it a "mhm", or do they take the floor?"""
    CLOSED = "CLOSED"
    """Hung up."""


class Signal(Enum):
    """What can move a conversation from one phase to the next."""

    SPEECH_STARTED = "SpeechStarted"
    SPEECH_PAUSED = "SpeechPaused"
    SPEECH_ENDED = "SpeechEnded"
    OVERLAP_BEGAN = "OverlapBegan"
    OVERLAP_PASSED = "OverlapPassed"
    ANSWER_HEARD = "AnswerHeard"
    ANSWER_CANCELLED = "AnswerCancelled"
    MODEL_FAILED = "ModelFailed"
    HUNG_UP = "HungUp"


TRANSITIONS: dict[Phase, dict[Signal, Phase]] = {
    Phase.LISTENING: {
        Signal.SPEECH_STARTED: Phase.HEARING,
        Signal.MODEL_FAILED: Phase.LISTENING,
        Signal.HUNG_UP: Phase.CLOSED,
    },
    Phase.HEARING: {
        Signal.SPEECH_PAUSED: Phase.GUESSING,
        Signal.MODEL_FAILED: Phase.LISTENING,
        Signal.HUNG_UP: Phase.CLOSED,
    },
    Phase.GUESSING: {
        Signal.SPEECH_STARTED: Phase.HEARING,
        Signal.SPEECH_ENDED: Phase.ANSWERING,
        Signal.ANSWER_CANCELLED: Phase.LISTENING,
        Signal.MODEL_FAILED: Phase.LISTENING,
        Signal.HUNG_UP: Phase.CLOSED,
    },
    Phase.ANSWERING: {
        Signal.SPEECH_STARTED: Phase.HEARING,
        Signal.OVERLAP_BEGAN: Phase.YIELDING,
        Signal.ANSWER_HEARD: Phase.LISTENING,
        Signal.ANSWER_CANCELLED: Phase.LISTENING,
        Signal.MODEL_FAILED: Phase.LISTENING,
        Signal.HUNG_UP: Phase.CLOSED,
    },
    Phase.YIELDING: {
        Signal.SPEECH_STARTED: Phase.HEARING,
        Signal.OVERLAP_PASSED: Phase.ANSWERING,
        Signal.ANSWER_CANCELLED: Phase.LISTENING,
        Signal.MODEL_FAILED: Phase.LISTENING,
        Signal.HUNG_UP: Phase.CLOSED,
    },
    Phase.CLOSED: {},
}

EFFECTS: dict[tuple[Phase, Signal], str] = {
    (Phase.LISTENING, Signal.MODEL_FAILED): "report",
    (Phase.HEARING, Signal.SPEECH_PAUSED): "flush, mark, answer",
    (Phase.HEARING, Signal.MODEL_FAILED): "report",
    (Phase.GUESSING, Signal.SPEECH_STARTED): "rewind to mark",
    (Phase.GUESSING, Signal.SPEECH_ENDED): "release speech",
    (Phase.GUESSING, Signal.ANSWER_CANCELLED): "rewind",
    (Phase.GUESSING, Signal.MODEL_FAILED): "rewind, report",
    (Phase.ANSWERING, Signal.SPEECH_STARTED): "stop playback, cut at last punctuation heard",
    (Phase.ANSWERING, Signal.OVERLAP_BEGAN): "pause playback",
    (Phase.YIELDING, Signal.SPEECH_STARTED): "stop playback, cut at last punctuation heard",
    (Phase.YIELDING, Signal.OVERLAP_PASSED): "resume playback",
    (Phase.YIELDING, Signal.ANSWER_CANCELLED): "stop, cut",
    (Phase.YIELDING, Signal.MODEL_FAILED): "stop, report",
    (Phase.ANSWERING, Signal.ANSWER_CANCELLED): "stop, cut",
    (Phase.ANSWERING, Signal.MODEL_FAILED): "stop, report",
}


def move(phase: Phase, signal: Signal) -> Phase:
    """The phase that `signal` leads to.

    Raises:
        UnexpectedSignal: the cell is empty.
    """
    try:
        return TRANSITIONS[phase][signal]
    except KeyError:
        raise UnexpectedSignal(phase.value, signal.value) from None


def table() -> str:
    """The table as Markdown, for the README of this room."""
    lines = ["| phase | " + " | ".join(signal.value for signal in Signal) + " |", "|---" * (len(Signal) + 1) + "|"]
    for phase in Phase:
        cells = []
        for signal in Signal:
            target = TRANSITIONS[phase].get(signal)
            effect = EFFECTS.get((phase, signal))
            cells.append(f"{target.value} *{effect}*" if target and effect else target.value if target else "")
        lines.append(f"| {phase.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
