"""What the model would be told again."""

import numpy as np

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.realtime.actions import AddImage, AddText, Prefill
from vivavoce.realtime.items import message
from vivavoce.realtime.ledger import Ledger, weight


def second(at: int) -> Prefill:
    """A second of sound: 64000 bytes."""
    return Prefill(MediaChunk(at * 1_000, AudioChunk(np.zeros(16_000, np.float32), 16_000, at * 16_000), (), True))


def spoken(item_id: str, transcript: str | None):
    return message(item_id, "user", [{"type": "input_audio", "transcript": transcript}])


def test_everything_is_told_in_the_order_of_the_items():
    ledger, first, last = Ledger(1_000_000), second(0), AddText("user", "and now?")
    ledger.note("b", last)
    ledger.note("a", first)
    assert ledger.tell_again([spoken("a", None), message("b", "user", [])]) == [first, last]


def test_an_answer_is_told_by_its_words():
    answer = message("a", "assistant", [{"type": "output_audio", "transcript": "Red."}])
    assert Ledger(0).tell_again([answer]) == [AddText("assistant", "Red.")]


def test_what_is_forgotten_is_not_told():
    ledger = Ledger(1_000_000)
    ledger.note("a", second(0))
    ledger.forget("a")
    assert ledger.tell_again([spoken("a", None)]) == []


def test_past_the_budget_the_oldest_sound_becomes_its_words():
    ledger, later = Ledger(2 * 64_000), second(2)
    for item_id, action in (("a", second(0)), ("b", second(1)), ("c", later)):
        ledger.note(item_id, action)
    told = ledger.tell_again([spoken("a", "what is it"), spoken("c", None)])
    assert told == [AddText("user", "what is it"), later]


def test_words_beside_a_picture_outlast_it():
    ledger = Ledger(10)
    ledger.note("a", AddText("user", "what is this?"))
    ledger.note("a", AddImage(np.zeros((2, 3, 3), np.uint8)))
    assert ledger.tell_again([message("a", "user", [])]) == [AddText("user", "what is this?")]


def test_a_frame_weighs_what_its_pixels_do():
    seen = MediaChunk(0, None, (VideoFrame(np.zeros((4, 5, 3), np.uint8), 0),), False)
    assert weight(Prefill(seen)) == 4 * 5 * 3
