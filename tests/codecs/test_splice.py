"""Frames with their neighbours: the edges repeat, and a stream gives the rows of the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.splice import SpliceState, splice, splice_flush, splice_step


def count(frames: int) -> np.ndarray:
    """Frames [F, 1] holding 0, 1, 2, ..."""
    return np.arange(frames, dtype=np.float32)[:, None]


def test_the_first_and_the_last_frame_repeat_at_the_edges() -> None:
    assert splice(count(5), 2, 1, 3).tolist() == [[0, 0, 0, 1], [1, 2, 3, 4]]
    assert splice(count(4), 1, 3, 3).tolist() == [[0, 0, 1, 2, 3], [2, 3, 3, 3, 3]]


@pytest.mark.parametrize(
    "seconds, rows", [(1, 13), (2, 25), (3, 38), (5, 63), (10, 125), (30, 375), (60, 750), (120, 1500)]
)
def test_a_second_makes_twelve_and_a_half_rows(seconds: int, rows: int) -> None:
    frames = (16_000 * seconds - 400) // 160 + 1
    assert splice(np.zeros((frames, 80), np.float32), 7, 7, 8).shape == (rows, 1200)


@pytest.mark.parametrize("seconds, rows", [(1, 12), (2, 24), (3, 37), (4, 49), (5, 62)])
def test_what_can_be_computed_of_a_stream_is_half_a_row_behind(seconds: int, rows: int) -> None:
    frames = (16_000 * seconds - 400) // 160 + 1
    assert len(splice_step(count(frames), SpliceState(), 7, 7, 8)[0]) == rows


def test_one_second_lets_twelve_rows_go_before_its_end_is_known() -> None:
    rows, state = splice_step(count(98), SpliceState(), 7, 7, 8)
    assert len(rows) == 12
    assert len(splice_flush(state, 7, 7, 8)) == 1


@given(
    frames=st.integers(1, 40),
    left=st.integers(0, 5),
    right=st.integers(0, 5),
    stride=st.integers(1, 9),
    cuts=st.lists(st.integers(0, 40), max_size=6),
)
def test_a_stream_gives_the_rows_of_the_whole(frames: int, left: int, right: int, stride: int, cuts: list[int]) -> None:
    state, rows = SpliceState(), []
    for piece in np.split(count(frames), sorted(cuts)):
        some, state = splice_step(piece, state, left, right, stride)
        rows.append(some)
    rows.append(splice_flush(state, left, right, stride))
    np.testing.assert_array_equal(np.concatenate(rows), splice(count(frames), left, right, stride))


def test_flushing_does_not_end_the_stream_it_was_taken_from() -> None:
    """A turn may be guessed to be over and then go on."""
    _, mark = splice_step(count(20), SpliceState(), 7, 7, 8)
    splice_flush(mark, 7, 7, 8)
    rows, _ = splice_step(20 + count(20), mark, 7, 7, 8)
    np.testing.assert_array_equal(rows[0], splice(count(40), 7, 7, 8)[2])


def test_nothing_in_nothing_out() -> None:
    assert splice(np.zeros((0, 80), np.float32), 7, 7, 8).shape == (0, 1200)
    assert len(splice_flush(SpliceState(), 7, 7, 8)) == 0


def test_wrong_shapes_are_refused_with_their_numbers() -> None:
    with pytest.raises(ValueError, match=r"\[3\]"):
        splice(np.zeros(3, np.float32), 1, 1, 1)
    with pytest.raises(ValueError, match="1, 1 and 0"):
        splice(count(3), 1, 1, 0)
