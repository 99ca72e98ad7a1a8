"""The phase table, cell by cell. The expected table is the drawing in realtime/README.md, read as it stands there."""

import re
from pathlib import Path

import pytest

from vivavoce.realtime import turns
from vivavoce.realtime.errors import UnexpectedSignal
from vivavoce.realtime.turns import Phase, Signal, move

EXPECTED = """
            SpeechStarted SpeechPaused SpeechEnded OverlapBegan OverlapPassed AnswerHeard AnswerCancelled ModelFailed HungUp
LISTENING   HEARING       -            -           -            -             -           -               LISTENING   CLOSED
HEARING     -             GUESSING     -           -            -             -           -               LISTENING   CLOSED
GUESSING    HEARING       -            ANSWERING   -            -             -           LISTENING       LISTENING   CLOSED
ANSWERING   HEARING       -            -           YIELDING     -             LISTENING   LISTENING       LISTENING   CLOSED
YIELDING    HEARING       -            -           -            ANSWERING     -           LISTENING       LISTENING   CLOSED
CLOSED      -             -            -           -            -             -           -               -           -
"""


def cells():
    head, *rows = EXPECTED.strip().splitlines()
    for row in rows:
        phase, *targets = row.split()
        for signal, target in zip(head.split(), targets, strict=True):
            yield pytest.param(phase, signal, target, id=f"{phase}-{signal}")


def test_there_are_54_cells():
    assert len(list(cells())) == len(Phase) * len(Signal) == 54


@pytest.mark.parametrize(("phase", "signal", "target"), list(cells()))
def test_cell(phase, signal, target):
    if target == "-":
        with pytest.raises(UnexpectedSignal, match=f"{signal} cannot happen while {phase}"):
            move(Phase(phase), Signal(signal))
    else:
        assert move(Phase(phase), Signal(signal)) is Phase(target)


def test_effects_are_written_only_beside_moves_that_exist():
    assert all(signal in turns.TRANSITIONS[phase] for phase, signal in turns.EFFECTS)


def test_the_readme_draws_the_table_as_it_is():
    readme = (Path(__file__).parents[2] / "realtime" / "README.md").read_text()
    assert re.sub(r" +", " ", turns.table()) in re.sub(r" +", " ", readme)
