"""One conversation's positions and blocks, and the way back."""

import pytest

from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.events import ContextFull, OutOfStep, PoolFull
from vivavoce.model.engine.sequence import Sequence


def sequence(blocks: int = 4, max_context: int = 16) -> Sequence:
    return Sequence("a", BlockPool(blocks, 4), max_context)


def test_rows_are_submitted_then_run() -> None:
    talk = sequence()
    talk.append(6)
    assert (talk.length, talk.pending, len(talk.blocks)) == (0, 6, 2)
    talk.advance(5)
    assert (talk.length, talk.pending) == (5, 1)


def test_going_back_frees_the_blocks_past_the_mark() -> None:
    talk = sequence()
    talk.append(5)
    talk.advance(5)
    mark, kept = talk.mark(), list(talk.blocks)
    talk.append(8)
    talk.advance(4)
    talk.rewind(mark)
    assert (talk.length, talk.end, talk.blocks, talk.pool.free) == (5, 5, kept, 2)


def test_going_back_into_rows_that_wait_keeps_those_before() -> None:
    talk = sequence()
    talk.append(6)
    talk.advance(2)
    talk.rewind(4)
    assert (talk.length, talk.pending) == (2, 2)


def test_a_sequence_has_a_longest_length() -> None:
    talk = sequence(max_context=6)
    talk.append(4)
    with pytest.raises(ContextFull, match="3 more positions are needed, 2 of 6 are left"):
        talk.append(3)
    assert talk.end == 4


def test_a_full_pool_changes_nothing() -> None:
    talk = sequence(blocks=1)
    talk.append(3)
    with pytest.raises(PoolFull):
        talk.append(3)
    assert (talk.end, len(talk.blocks)) == (3, 1)


@pytest.mark.parametrize("position", [-1, 4])
def test_no_way_to_where_it_never_was(position: int) -> None:
    talk = sequence()
    talk.append(3)
    with pytest.raises(OutOfStep, match=f"position {position} of a sequence that ends at 3"):
        talk.rewind(position)
