"""The rows the model reads, against the tables written down from the reference client."""

import numpy as np
import pytest

from vivavoce.model import prompt
from vivavoce.model.tokenizer import EOS, PAD, PAUSE, train_tokenizer

TOKENIZER = train_tokenizer(
    ["SYSTEM:", "USER:", "VOICE ASSISTANT:", "ASSISTANT:", "\n", "second{0.0}:", "Hi there. I see."] * 9, 460
)


def words(rows):
    return TOKENIZER.decode(rows[:, 0].tolist())


def test_a_written_conversation_reads_as_the_reference_client_writes_it():
    rows = prompt.join(
        prompt.text_turn(TOKENIZER, "SYSTEM", "Hi there."),
        prompt.text_turn(TOKENIZER, "USER", "Hi"),
        prompt.generation(TOKENIZER, voice=False),
    )
    assert words(rows) == "SYSTEM:Hi there.</longcat_s>\nUSER:Hi\nASSISTANT:"
    assert (rows[:, 1:] == PAD).all()


def test_a_spoken_piece_has_the_layout_of_the_report():
    """Three frames: semantic codes 10 11 12, acoustic codes one row later, text from the first row on."""
    codes = np.array([[10, 20, 30, 40], [11, 21, 31, 41], [12, 22, 32, 42]])
    rows = prompt.spoken_piece([7, 8, EOS], codes)
    assert rows.tolist() == [
        [7, 42, 3, 3, 3],
        [8, 43, 52, 62, 72],
        [EOS, 44, 53, 63, 73],
        [PAD, 2, 54, 64, 74],
    ]


def test_pieces_end_in_pause_and_the_last_in_end():
    codes = np.zeros((30, 4), np.int64)
    rows = prompt.spoken_reply(TOKENIZER, [("Hi there.", codes), ("I see.", codes)])
    ids = [i for i in rows[:, 0].tolist() if i != PAD]
    assert TOKENIZER.decode(ids) == "Hi there.</pause>I see.</longcat_s>\n"
    assert ids.count(PAUSE) == 1
    assert len(rows) == 31 + 31 + len(TOKENIZER.encode("\n"))


def test_speech_shorter_than_its_text_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="5 text ids do not fit into the 3 rows of 2 speech frames"):
        prompt.spoken_piece([5, 6, 7, 8, EOS], np.zeros((2, 4), np.int64))


@pytest.mark.parametrize(
    ("tokens", "chunks"), [(13, [12, 1]), (25, [12, 13]), (38, [12, 13, 12, 1]), (63, [12, 13, 12, 13, 12, 1])]
)
def test_sound_is_cut_into_seconds_as_the_reference_does(tokens, chunks):
    made, left = [], tokens
    while left:
        made.append(min(left, prompt.pads_in_chunk(len(made))))
        left -= made[-1]
    assert made == chunks


def test_markers_stand_around_one_span_of_sound():
    rows = prompt.join(prompt.audio_pads(2, opens=True, closes=False), prompt.audio_pads(1, opens=False, closes=True))
    assert words(rows) == "<|audio|><|audio_pad|><|audio_pad|><|audio_pad|><|/audio|>"


def test_a_stamp_has_one_decimal():
    assert words(prompt.stamp(TOKENIZER, 12.54)) == "second{12.5}:"


def test_an_unknown_role_is_named():
    with pytest.raises(ValueError, match="'JUDGE'"):
        prompt.text_turn(TOKENIZER, "JUDGE", "x")
