"""Who goes first: those whose listeners would run dry, and behind them the encoders, in batches as large as there is time for."""

import numpy as np

from vivavoce.codecs.media import AudioChunk, MediaChunk
from vivavoce.model.intake import FIRST_GUESS_MS, LARGEST, LONGEST_MS, PATIENCE, Intake
from vivavoce.model.messages import AddImage, AddText, Answer, Listen, Weigh
from vivavoce.model.pacing import FIRST_SOUND_MS, IN_STORE_MS, Hurry, Pace

FRAME = 1440
"""Samples in 60 ms."""


class Clock:
    """Milliseconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


def picture(session: str) -> AddImage:
    return AddImage(session, np.zeros((1, 1, 3), np.uint8))


def test_a_listener_has_what_was_made_less_what_was_played() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.asked("a")
    assert pace.slack_ms() == {"a": FIRST_SOUND_MS}
    clock.now += 70
    pace.spoke("a", 0)
    assert pace.slack_ms() == {"a": FIRST_SOUND_MS - 70}, "words are no sound"
    pace.spoke("a", 5 * FRAME)
    clock.now += 100
    pace.spoke("a", FRAME)
    assert pace.slack_ms() == {"a": 6 * 60 - 100}
    clock.now += 300
    assert pace.slack_ms() == {"a": -40}
    pace.spoke("a", FRAME)
    assert pace.slack_ms() == {"a": 60}, "what comes late is played from when it comes"
    pace.ended("a")
    assert pace.slack_ms() == {}


def test_without_a_clock_nobody_is_in_a_hurry() -> None:
    pace, hurry, intake = Pace(), Hurry(), Intake()
    pace.asked("a")
    assert pace.slack_ms() == {} and hurry.left({}) is None and hurry.held({}, True) == set()
    for session in "abc":
        intake.put(picture(session))
    assert [request.session for request in intake.due(None)] == ["a", "b", "c"]


def test_a_step_that_somebody_waits_for_leaves_out_those_with_much_in_store() -> None:
    hurry = Hurry(Clock())
    assert hurry.held({"dry": 20.0, "rich": IN_STORE_MS + 1, "some": 200.0}, others_wait=False) == {"rich"}


def test_who_has_much_in_store_lets_listeners_go_first_and_else_goes_on() -> None:
    hurry = Hurry(Clock())
    assert hurry.held({"rich": 900.0, "some": 200.0}, others_wait=True) == {"rich"}
    assert hurry.held({"rich": 900.0, "some": 200.0}, others_wait=False) == set()


def test_what_is_left_for_others_ends_before_the_step_that_somebody_needs() -> None:
    clock = Clock()
    hurry = Hurry(clock)
    for _ in range(60):
        with hurry.measured():
            clock.now += 40
    left = hurry.left({"a": 100.0, "b": 300.0})
    assert left is not None and 0.7 * 59 < left < 0.7 * 61


def test_a_batch_is_as_large_as_there_is_time_for() -> None:
    clock = Clock()
    intake = Intake(clock)
    for _ in range(60):
        with intake.measured([picture("a")] * 4):
            clock.now += 40
    for session in "abcde":
        intake.put(picture(session))
    assert [request.session for request in intake.due(35)] == ["a", "b", "c"]
    assert [request.session for request in intake.due(1000)] == ["d", "e"]
    assert not intake


def test_a_batch_that_nobody_waits_for_is_soon_over_all_the_same() -> None:
    clock = Clock()
    intake = Intake(clock)
    for _ in range(60):
        with intake.measured([picture("a")]):
            clock.now += 11
    for number in range(10):
        intake.put(picture(str(number)))
    assert len(intake.due(None)) == LONGEST_MS // 11


def test_sound_alone_fits_where_no_picture_does() -> None:
    intake, second = Intake(Clock()), np.zeros(16_000, np.float32)
    for session in "abc":
        intake.put(Listen(session, MediaChunk(0, AudioChunk(second, 16_000, 0), (), True)))
    intake.put(picture("d"))
    assert [request.session for request in intake.due(FIRST_GUESS_MS - 1)] == ["a", "b", "c"]


def test_those_go_first_whose_turn_may_be_over() -> None:
    intake = Intake()
    for number in range(LARGEST):
        intake.put(picture(f"speaks {number}"))
    for session in ("asks", "pauses"):
        intake.put(picture(session))
    intake.put(Answer("asks", 1))
    intake.put(Weigh("pauses", 1))
    assert [request.session for request in intake.due(None)][:3] == ["asks", "pauses", "speaks 0"]


def test_a_batch_is_no_larger_than_pays() -> None:
    intake = Intake()
    for number in range(LARGEST + 2):
        intake.put(picture(str(number)))
    assert [len(intake.due(None)), len(intake.due(None))] == [LARGEST, 2]


def test_encoders_yield_but_not_for_ever() -> None:
    intake = Intake(Clock())
    for session in "abcde":
        intake.put(picture(session))
    for first, second in ("ab", "cd"):
        waited = 0
        while not (due := intake.due(-50)):
            waited += 1
        assert (waited, [request.session for request in due]) == (PATIENCE - 1, [first, second])


def test_one_piece_of_a_session_at_a_time_and_sessions_in_turn() -> None:
    intake = Intake()
    for session in "aab":
        intake.put(picture(session))
    assert [request.session for request in intake.due(None)] == ["a", "b"]
    assert [request.session for request in intake.due(None)] == ["a"]


def test_what_needs_no_encoder_follows_at_once_and_in_order() -> None:
    intake = Intake()
    for request in (picture("a"), AddText("a", "user", "hi"), Answer("a", 1), picture("a"), Answer("a", 2)):
        intake.put(request)
    assert len(intake.due(None)) == 1
    assert list(intake.light("a")) == [AddText("a", "user", "hi"), Answer("a", 1)]
    assert intake.holds("a")
    assert len(intake.due(None)) == 1 and list(intake.light("a")) == [Answer("a", 2)]
    assert not intake
