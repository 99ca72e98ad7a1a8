"""A reply while it is made: frames pair up across steps, and what was heard can be written down again."""

import numpy as np
import pytest
from toy_host import codes_of, spoken

from vivavoce.model import prompt
from vivavoce.model.reply import Reply, cut_text, frames_in
from vivavoce.model.tokenizer import EOS, Tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a red circle. yes, it is red."], 440)


def played(tokenizer: Tokenizer, *pieces: tuple[str, np.ndarray], steps: int | None = None) -> tuple[Reply, str, list]:
    """A reply that has made these steps, its text, and its speech frames."""
    reply, text, frames, tail, first = Reply(tokenizer), "", [], False, True
    for token, codes in spoken(tokenizer, *pieces)[:steps]:
        kept = (codes[0], -1, -1, -1) if first else codes
        said = reply.push(None if tail else token, kept)
        text += said.text
        frames += [] if said.speech is None else [said.speech.codes]
        first = tail and codes[0] == 2
        tail = not first and (tail or token in (EOS, prompt.PAUSE))
    return reply, text, frames


def test_semantics_of_a_step_meet_the_acoustics_of_the_next(tokenizer: Tokenizer) -> None:
    first, second = codes_of(14, 1), codes_of(17, 2)
    _, text, frames = played(tokenizer, ("Yes.", first), ("It is red", second))
    assert text == "Yes. It is red"
    assert frames == [tuple(row) for row in np.concatenate([first, second]).tolist()]


def test_the_last_step_closes_the_reply(tokenizer: Tokenizer) -> None:
    pieces = [("Yes.", codes_of(14))]
    reply, _, _ = played(tokenizer, *pieces)
    written = prompt.spoken_reply(tokenizer, pieces)
    np.testing.assert_array_equal(reply.closing_rows(), written[-2:])


def test_a_whole_reply_is_written_as_in_training(tokenizer: Tokenizer) -> None:
    pieces = [("Yes.", codes_of(14, 1)), (" It is red.", codes_of(20, 2))]
    reply, _, _ = played(tokenizer, *pieces)
    np.testing.assert_array_equal(reply.rows_heard(34), prompt.spoken_reply(tokenizer, pieces))


def test_a_cut_keeps_whole_pieces_and_the_next_up_to_its_last_punctuation(tokenizer: Tokenizer) -> None:
    first, second = codes_of(14, 1), codes_of(40, 2)
    reply, _, _ = played(tokenizer, ("Yes.", first), (" It is red, and it is round.", second))
    heard = prompt.spoken_reply(tokenizer, [("Yes.", first), (" It is red,", second[:20])])
    np.testing.assert_array_equal(reply.rows_heard(34), heard)


def test_a_cut_at_a_pause_keeps_the_pieces_before(tokenizer: Tokenizer) -> None:
    first = codes_of(14, 1)
    reply, _, _ = played(tokenizer, ("Yes.", first), (" It is red.", codes_of(20, 2)))
    np.testing.assert_array_equal(reply.rows_heard(14), prompt.spoken_reply(tokenizer, [("Yes.", first)]))


def test_nothing_heard_is_nothing_to_remember(tokenizer: Tokenizer) -> None:
    reply, _, _ = played(tokenizer, ("Yes.", codes_of(14)))
    assert reply.rows_heard(0) is None
    assert reply.rows_heard(1) is None


def test_a_reply_cut_while_it_is_made_fits_the_layout_wherever_it_is_cut(tokenizer: Tokenizer) -> None:
    pieces = [("Yes. It is", codes_of(12, 1)), (" a red circle, I think.", codes_of(28, 2))]
    for steps in range(1, 42):
        reply, _, frames = played(tokenizer, *pieces, steps=steps)
        for heard in range(len(frames) + 1):
            rows = reply.rows_heard(heard)  # raises if the words do not fit the frames
            assert rows is None or len(rows) <= heard + 3


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("Yes, it is red.", 99, "Yes, it is red."),
        ("Yes, it is red.", 9, "Yes,"),
        ("It is 3.5 metres", 12, "It is 3.5"),
        ("It is red", 4, "It"),
        ("Wonderful", 4, ""),
        ("是的。它是红色的", 5, "是的。"),
    ],
)
def test_words_are_cut_at_punctuation_or_between_words(text: str, limit: int, kept: str) -> None:
    assert cut_text(text, limit) == kept


@pytest.mark.parametrize(("heard_ms", "frames"), [(-5, 0), (59, 0), (60, 1), (1000, 16)])
def test_frames_in_milliseconds(heard_ms: int, frames: int) -> None:
    assert frames_in(heard_ms) == frames
