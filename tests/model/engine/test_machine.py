"""The decode state machine, cell by cell, and the odd cases of the released decoder."""

import pytest

from vivavoce.model.engine.machine import (
    NONE,
    TRANSITIONS,
    Codes,
    Signal,
    Stage,
    State,
    Step,
    advance,
    advance_text,
)

WORD, PAUSE, END = 500, 137, 2
SOUND: Codes = (40, 41, 42, 43)
QUIET: Codes = (2, 41, 42, 43)


def run(*steps: tuple[int, Codes]) -> list[Step]:
    made: list[Step] = []
    for text_id, codes in steps:
        made.append(advance(made[-1].state if made else State(), text_id, codes))
    return made


@pytest.mark.parametrize(
    ("stage", "text_id", "codes", "after"),
    [
        (Stage.SPEAKING, WORD, SOUND, Stage.SPEAKING),
        (Stage.SPEAKING, PAUSE, SOUND, Stage.TAIL),
        (Stage.SPEAKING, END, SOUND, Stage.TAIL),
        (Stage.TAIL, WORD, SOUND, Stage.TAIL),
        (Stage.TAIL, WORD, QUIET, Stage.SPEAKING),
    ],
)
def test_every_cell_of_the_table(stage: Stage, text_id: int, codes: Codes, after: Stage) -> None:
    assert advance(State(stage, 3), text_id, codes).state.stage is after


def test_the_table_has_no_other_cells() -> None:
    assert {signal for stage, signal in TRANSITIONS if stage is Stage.SPEAKING} == {
        Signal.WORD,
        Signal.PAUSE,
        Signal.END,
    }
    assert {signal for stage, signal in TRANSITIONS if stage is Stage.TAIL} == {Signal.SOUND, Signal.QUIET}


def test_a_reply_of_two_pieces() -> None:
    made = run(
        (WORD, SOUND), (PAUSE, SOUND), (WORD, SOUND), (WORD, QUIET),
        (WORD, SOUND), (END, SOUND), (PAUSE, SOUND), (WORD, QUIET),
    )  # fmt: skip
    assert [step.state.stage for step in made] == [
        Stage.SPEAKING, Stage.TAIL, Stage.TAIL, Stage.SPEAKING,
        Stage.SPEAKING, Stage.TAIL, Stage.TAIL, Stage.DONE,
    ]  # fmt: skip
    assert [step.text_id for step in made] == [WORD, PAUSE, None, None, WORD, END, None, None]
    assert [step.state.count for step in made] == [1, 0, 1, 0, 1, 0, 1, 0]


def test_only_the_first_step_of_a_piece_has_no_acoustic_codes() -> None:
    made = run((WORD, SOUND), (WORD, SOUND), (PAUSE, SOUND), (WORD, QUIET), (WORD, SOUND))
    assert [step.codes for step in made] == [(40, NONE, NONE, NONE), SOUND, SOUND, QUIET, (40, NONE, NONE, NONE)]


@pytest.mark.parametrize("token", [PAUSE, END])
def test_a_piece_that_ends_with_its_first_word_keeps_its_acoustic_codes(token: int) -> None:
    (made,) = run((token, SOUND))
    assert (made.state.stage, made.state.count, made.codes) == (Stage.TAIL, 0, SOUND)
    assert made.state.finishing is (token == END)


def test_a_semantic_end_while_words_come_is_recorded_and_not_remembered() -> None:
    made = run((WORD, QUIET), (WORD, QUIET), (END, QUIET), (WORD, SOUND))
    assert [step.state.stage for step in made] == [Stage.SPEAKING, Stage.SPEAKING, Stage.TAIL, Stage.TAIL]
    assert made[1].codes == QUIET


def test_the_tail_may_be_a_single_step() -> None:
    assert run((END, SOUND), (WORD, QUIET))[-1].state.stage is Stage.DONE


def test_words_chosen_in_the_tail_mean_nothing() -> None:
    made = run((PAUSE, SOUND), (END, SOUND), (WORD, QUIET))
    assert made[-1].state == State(Stage.SPEAKING, 0, finishing=False)


def test_nothing_follows_the_end() -> None:
    with pytest.raises(ValueError, match="cannot go on from done"):
        advance(State(Stage.DONE), WORD, SOUND)
    with pytest.raises(ValueError, match="cannot go on from done"):
        advance_text(State(Stage.DONE), WORD)


def test_a_reply_in_writing_goes_on_until_its_end() -> None:
    state = State()
    for token in (WORD, PAUSE, WORD):
        made = advance_text(state, token)
        assert (made.text_id, made.codes, made.state.stage) == (token, None, Stage.SPEAKING)
        state = made.state
    assert advance_text(state, END).state.stage is Stage.DONE
