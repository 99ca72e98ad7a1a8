"""Speech on its way to the ear."""

import numpy as np

from vivavoce.realtime.events import AnswerSpoke
from vivavoce.realtime.playout import Playout, split


def piece(text: str, at_ms: int, ms: int) -> AnswerSpoke:
    return AnswerSpoke(1, text, np.zeros(ms * 24, np.float32), at_ms)


def test_speech_is_held_until_it_is_released():
    playout = Playout()
    assert playout.push(piece("Well, ", 0, 500), now_ms=100) == []
    assert playout.sent_ms == 0
    assert [held.text for held in playout.release(now_ms=400)] == ["Well, "]
    assert [sent.text for sent in playout.push(piece("yes.", 500, 500), now_ms=450)] == ["yes."]
    assert playout.text_until(1_000) == "Well, yes."


def test_no_more_is_heard_than_time_has_passed_or_sound_was_sent():
    playout = Playout()
    playout.release(0)
    playout.push(piece("", 0, 1_000), now_ms=100)
    assert [playout.heard_ms(now) for now in (100, 600, 1_100, 9_000)] == [0, 500, 1_000, 1_000]
    assert playout.over_at() == 1_100


def test_sound_that_ran_dry_goes_on_where_it_stopped():
    playout = Playout()
    playout.release(0)
    playout.push(piece("", 0, 100), now_ms=0)
    playout.push(piece("", 100, 100), now_ms=500)
    assert playout.heard_ms(550) == 150
    assert playout.over_at() == 600


def test_words_are_heard_when_their_sound_begins():
    playout = Playout()
    playout.release(0)
    playout.push(piece("One, ", 0, 500), 0)
    playout.push(piece("two. ", 500, 500), 0)
    assert [playout.text_until(ms) for ms in (0, 1, 500, 501)] == ["", "One, ", "One, ", "One, two. "]


def test_words_that_were_written_ahead_of_the_voice_are_heard_at_their_share_of_it():
    playout = Playout()
    playout.release(0)
    for at, word in enumerate(["I ", "can't ", "see ", "you."]):
        playout.push(piece(word, at * 60, 60), 0)
    playout.push(piece("", 240, 960), 0)
    kept = ["I ", "I can't ", "I can't ", "I can't see you."]
    assert [playout.text_until(ms) for ms in (150, 151, 600, 1_200)] == kept


def test_while_an_answer_is_being_made_its_words_take_the_time_that_words_take():
    playout = Playout()
    playout.release(0)
    playout.push(piece("It is ", 0, 60), 0)
    playout.push(piece("a red circle.", 60, 60), 0)
    assert [playout.text_until(100, is_whole) for is_whole in (True, False)] == ["It is a red circle.", "It is "]


def test_nothing_sent_is_never_over():
    playout = Playout()
    playout.release(0)
    playout.push(AnswerSpoke(1, "only words", np.zeros(0, np.float32), 0), 0)
    assert playout.over_at() is None
    assert playout.heard_ms(1_000) == 0


def test_split_loses_nothing():
    pcm = np.arange(24 * 450, dtype=np.float32)
    pieces = split(pcm, 200)
    assert [len(part) // 24 for part in pieces] == [200, 200, 50]
    assert np.array_equal(np.concatenate(pieces), pcm)
