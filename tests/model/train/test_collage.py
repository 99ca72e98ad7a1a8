"""Cut readings, set together anew, say what they should in the words of those who read."""

import numpy as np

from vivavoce.model.tokenizer import train_tokenizer
from vivavoce.model.train.collage import AFTER, BEFORE, Collage, Piece, cut
from vivavoce.model.train.hearing import BLANK, ctc_target

TOKENIZER = train_tokenizer(["call me Simon", "say hello Elena", "what's this"] * 20, 460)


def path(text, gap=2):
    """What a sure recogniser hears: some quiet, then every piece twice and a gap."""
    pieces = ctc_target(TOKENIZER, text)
    return [BLANK] * 5 + [step for piece in pieces for step in (piece, piece, *[BLANK] * gap)]


def test_a_reading_is_cut_where_its_words_end():
    made = cut(path("call me Simon"), "call me Simon", TOKENIZER)
    assert [word for word, *_ in made] == [BEFORE, "call", "me", "Simon", AFTER]
    stops = [stop for *_, stop in made]
    assert [start for _, start, _ in made] == [0, *stops[:-1]]
    assert stops[-1] == len(path("call me Simon"))


def test_a_word_of_several_pieces_stays_whole():
    text = "what's this"
    assert len(ctc_target(TOKENIZER, "what's")) > 1
    assert [word for word, *_ in cut(path(text), text, TOKENIZER)] == [BEFORE, "what's", "this", AFTER]


def test_a_reading_that_was_misheard_is_not_cut():
    assert cut(path("call me Elena"), "call me Simon", TOKENIZER) == []
    assert cut([BLANK] * 9, "call me Simon", TOKENIZER) == []


def test_a_sentence_nobody_has_read_is_spoken_by_those_who_read_its_words():
    readings = {text: [np.array(path(text), np.float16)[:, None]] for text in ("call me Simon", "say hello Elena")}
    pieces = {}
    for text in readings:
        for word, start, stop in cut(path(text), text, TOKENIZER):
            pieces.setdefault(word, []).append(Piece(text, 0, start, stop))
    collage = Collage(readings, pieces)
    rng = np.random.default_rng(0)
    said = collage.say("call me Elena", rng)[:, 0].astype(int).tolist()
    assert [word for word, *_ in cut(said, "call me Elena", TOKENIZER)] == [BEFORE, "call", "me", "Elena", AFTER]
    assert collage.say("call me Walter", rng) is None
