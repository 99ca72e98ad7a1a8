"""What /metrics tells of guesses: how many were right, how much they won, how much was thrown away."""

import pytest

from vivavoce.realtime.server.metrics import Metrics, TurnClock

STOPPED = {"type": "input_audio_buffer.speech_stopped"}
DONE = {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}


class Listener:
    """A clock that is set, and the numbers that came of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.clock = TurnClock(self.metrics, lambda: self.now)

    def number(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"vivavoce_{name}", labels) or 0.0


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_a_right_guess_wins_the_time_from_the_request_to_the_end_of_the_turn(listener):
    listener.clock.asked_model(1)
    listener.clock.model_spoke(1, 0.06)
    listener.now = 0.15
    listener.clock.sent(STOPPED)
    listener.clock.model_spoke(1, 2.0)  # made when it was certain
    assert listener.number("guesses_total", result="right") == 1
    assert listener.number("head_start_seconds_sum") == 0.15
    assert listener.number("guessed_sound_seconds_total", result="kept") == 0.06


def test_a_wrong_guess_throws_away_what_it_made(listener):
    listener.clock.asked_model(1)
    listener.clock.model_spoke(1, 0.3)
    listener.clock.rewound(1)
    listener.clock.sent(STOPPED)
    assert listener.number("guesses_total", result="wrong") == 1
    assert listener.number("guesses_total", result="right") == 0
    assert listener.number("guessed_sound_seconds_total", result="discarded") == 0.3


def test_an_answer_to_a_written_question_was_no_guess(listener):
    listener.clock.asked_model(1)
    listener.clock.sent({"type": "response.created", "response": {"id": "resp_1", "conversation_id": "conv"}})
    listener.clock.sent(DONE)
    listener.clock.sent(STOPPED)
    assert listener.number("guesses_total", result="right") == 0
