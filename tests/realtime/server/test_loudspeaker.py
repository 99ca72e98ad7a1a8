"""Answers cut into packets, and how much of them has gone out."""

import numpy as np

from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server.loudspeaker import Loudspeaker
from vivavoce.realtime.server.opus import PACKET_SAMPLES


def sound(ms: int) -> np.ndarray:
    return np.full(ms * 24, 0.5, np.float32)


def test_with_nothing_to_say_it_is_silent() -> None:
    assert Loudspeaker().take() == (None, [])


def test_an_answer_goes_out_in_packets_and_is_over_after_the_last() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(50))
    pieces = [speaker.take() for _ in range(4)]
    assert [len(piece) if piece is not None else 0 for piece, _ in pieces] == [PACKET_SAMPLES] * 3 + [0]
    assert [int(np.count_nonzero(piece)) // 24 for piece, _ in pieces if piece is not None] == [20, 20, 10]
    assert [reports for _, reports in pieces] == [[Playing(1)], [], [], [Played(1, 50)]]
    assert speaker.take() == (None, [])


def test_a_slow_model_s_answer_goes_on_counting() -> None:
    speaker = Loudspeaker()
    for piece in (sound(20), sound(20)):
        speaker.play(1, piece)
        speaker.take()
        _, reports = speaker.take()
    assert reports == [Played(1, 40)]


def test_one_answer_follows_the_other() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(20))
    speaker.play(2, sound(20))
    reports = [reports for _, reports in (speaker.take() for _ in range(3))]
    assert reports == [[Playing(1)], [Played(1, 20), Playing(2)], [Played(2, 20)]]


def test_stopped_it_says_how_much_was_heard() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(100))
    speaker.play(2, sound(100))
    speaker.take()
    assert speaker.stop() == [Played(1, 20, stopped=True), Played(2, 0, stopped=True)]
    assert speaker.take() == (None, [])
    assert speaker.stop() == []
