"""Where the time and the sound of an answer went."""

from typing import Any

from simulate import Simulation

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.extensions import METRICS


def measured() -> Simulation:
    return Simulation(SessionConfig(wanted={"extensions": [METRICS]}))


def metrics(talk: Simulation) -> dict[str, Any]:
    return talk.events(METRICS)[-1]


def test_a_guess_that_was_right_hides_the_model_s_time_in_the_pause() -> None:
    talk = measured()
    talk.user_speaks(1_000)
    talk.silence(300)  # past t3
    talk.wait(100)
    talk.engine_says("Well.", ms=480)
    talk.silence(400)
    talk.engine_ends()
    told = metrics(talk)
    assert (told["response_id"], told["status"], told["rollback_count"]) == ("resp_000001", "completed", 0)
    assert 980 <= told["speech_end_ms"] <= 1_020
    assert 240 <= told["wait_ms"]["pause"] <= 280
    assert told["first_token_ms"] == 1_400
    assert told["wait_ms"]["rest"] == 0, "it was ready when the turn was over"
    assert told["first_audio_ms"] == told["turn_end_ms"]
    assert told["wait_ms"]["total"] == told["first_audio_ms"] - told["speech_end_ms"]
    assert told["audio_ms"] == {"sent": 480, "discarded": 0, "decoded": 480}
    assert talk.sent_types[-2:] == ["response.done", METRICS]


def test_a_slow_model_is_waited_for() -> None:
    talk = measured()
    talk.question_asked()
    talk.wait(900)
    talk.engine_says("Well.", ms=60)
    talk.engine_ends()
    told = metrics(talk)
    assert told["first_token_ms"] == told["first_audio_ms"] == 2_600
    assert told["wait_ms"]["rest"] == 2_600 - told["turn_end_ms"] >= 900


def test_guesses_that_were_wrong_are_counted_with_their_sound() -> None:
    talk = measured()
    for _ in range(2):
        talk.user_speaks(800)
        talk.silence(300)
        talk.engine_says("Well,", ms=240)
    talk.question_asked()
    talk.engine_says("Well, there is", ms=600)
    talk.engine_ends()
    assert metrics(talk)["rollback_count"] == 2
    assert metrics(talk)["audio_ms"] == {"sent": 600, "discarded": 480, "decoded": 1_080}
    talk.silence(2_000)
    talk.question_asked()
    talk.engine_ends()
    assert metrics(talk)["rollback_count"] == 0, "the next turn is another matter"


def test_an_answer_that_is_interrupted_is_measured_too() -> None:
    talk = measured()
    talk.answer_begun()
    talk.user_speaks(300)
    told = metrics(talk)
    assert told["status"] == "cancelled"
    assert told["audio_ms"]["sent"] == 2_000


def test_a_guess_that_the_client_cancels_was_for_nothing() -> None:
    talk = measured()
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_says("Well.", ms=300)
    talk.client("response.cancel")
    told = metrics(talk)
    assert (told["status"], told["first_audio_ms"], told["wait_ms"]) == ("cancelled", None, None)
    assert told["audio_ms"] == {"sent": 0, "discarded": 300, "decoded": 300}


def test_of_a_written_question_the_wait_begins_with_the_request() -> None:
    talk = measured()
    talk.wait(5_000)
    talk.client("response.create")
    talk.wait(250)
    talk.engine_says("Well.", ms=60)
    talk.engine_ends()
    told = metrics(talk)
    assert (told["speech_end_ms"], told["speculative_start_ms"], told["turn_end_ms"]) == (None, 5_000, 5_000)
    assert told["wait_ms"] == {"pause": 0, "speculation": 0, "rest": 250, "total": 250}


def test_a_written_answer_sends_no_sound() -> None:
    talk = measured()
    talk.client("response.create", response={"output_modalities": ["text"]})
    talk.engine_says("Well.", ms=0)
    talk.engine_ends()
    told = metrics(talk)
    assert (told["first_token_ms"], told["first_audio_ms"], told["wait_ms"]) == (0, None, None)
    assert told["audio_ms"] == {"sent": 0, "discarded": 0, "decoded": 0}


def test_an_answer_beside_the_conversation_has_figures_of_its_own() -> None:
    talk = measured()
    talk.user_speaks(800)
    talk.silence(300)
    talk.engine_says("Well,", ms=240)
    talk.user_speaks(300)
    talk.client("response.create", response={"conversation": "none"})
    talk.wait(100)
    talk.engine_says("psst", ms=60, turn=2)
    talk.engine_ends(turn=2)
    told = metrics(talk)
    assert (told["response_id"], told["rollback_count"]) == ("resp_000002", 0)
    assert told["wait_ms"]["total"] == 100
    assert told["audio_ms"] == {"sent": 60, "discarded": 0, "decoded": 60}
    talk.silence(700)
    talk.engine_ends()
    assert metrics(talk)["rollback_count"] == 1


def test_a_model_that_fails_is_measured_up_to_there() -> None:
    talk = measured()
    talk.answer_begun()
    talk.engine_fails()
    assert metrics(talk)["status"] == "failed"
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_fails(turn=talk.turn)  # a guess that nobody knows of
    assert len(talk.events(METRICS)) == 1


def test_who_hangs_up_is_told_nothing_more() -> None:
    talk = measured()
    talk.client("response.create", response={"conversation": "none"})
    talk.answer_begun()
    talk.forget()
    talk.hang_up()
    assert talk.sent == []
