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
    for _ in range(2):
        speaker.play(1, sound(20))
        reports = [report for _ in range(8) for report in speaker.take()[1]]
    assert reports == [Played(1, 40)]


def pattern(speaker: Loudspeaker, packets: int) -> str:
    """What the next packets are: sound or silence."""
    return "".join("." if speaker.take()[0] is None else "#" for _ in range(packets))


def test_an_answer_that_ran_dry_collects_before_it_goes_on() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(60))
    assert pattern(speaker, 4) == "###."
    speaker.play(1, sound(60))
    assert pattern(speaker, 2) == ".."
    speaker.play(1, sound(60))
    assert pattern(speaker, 7) == "######."
    speaker.play(1, sound(60))
    assert pattern(speaker, 20) == "." * 12 + "###" + "." * 5, (
        "nor does it wait longer than what it waits for would last"
    )


def test_the_end_of_an_answer_is_not_collected_for() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(20))
    assert pattern(speaker, 2) == "#."
    speaker.play(1, sound(60))
    speaker.complete(1)
    assert pattern(speaker, 4) == "###."


def test_answers_that_do_not_run_dry_win_back_the_trust() -> None:
    speaker = Loudspeaker()
    speaker.play(1, sound(20))
    assert pattern(speaker, 2) == "#."
    speaker.play(1, sound(20))
    speaker.complete(1)
    assert pattern(speaker, 2) == "#."
    speaker.play(2, sound(120))
    speaker.complete(2)
    assert pattern(speaker, 6) == "######"
    speaker.play(3, sound(20))
    assert pattern(speaker, 1) == "#", "at once"


def test_it_is_starved_between_the_pieces_of_an_answer_and_not_behind_the_last_nor_for_ever() -> None:
    speaker = Loudspeaker()
    assert (speaker.starved, speaker.silent) == (False, True)
    speaker.play(1, sound(20))
    assert (speaker.starved, speaker.silent) == (False, False)
    speaker.take()
    assert (speaker.starved, speaker.silent) == (True, False)
    assert pattern(speaker, 60) == "." * 60
    assert (speaker.starved, speaker.silent) == (False, True)
    speaker.play(2, sound(20))
    speaker.complete(2)
    speaker.take()
    assert (speaker.starved, speaker.silent) == (False, True)


def test_what_follows_can_be_seen_before_it_is_due() -> None:
    speaker = Loudspeaker()
    speaker.play(1, np.arange(600, dtype=np.float32))
    speaker.take()
    assert speaker.ahead(4).tolist() == [480, 481, 482, 483] and len(speaker.ahead(1_000)) == 120
    pcm, _ = speaker.take()
    assert pcm is not None and pcm[0] == 480 and len(speaker.ahead(1)) == 0


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
