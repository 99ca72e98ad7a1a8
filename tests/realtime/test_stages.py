"""The wait for an answer in parts that sum to it, whatever was measured."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from simulate import Simulation

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerSpoke, Played, Playing, Stint
from vivavoce.realtime.extensions import METRICS
from vivavoce.realtime.stages import MODEL, PARTS, WORK, Lateness, code_ago, shares

STINTS = st.lists(
    st.builds(Stint, st.sampled_from([*WORK, "code", "juggling"]), st.floats(-50, 5_000), st.floats(-50, 2_000))
)


@given(st.integers(0, 4_000), STINTS)
def test_the_parts_sum_to_the_whole_whatever_the_model_says(length_ms: int, stints: list[Stint]) -> None:
    parts = shares(length_ms, stints)
    assert sum(parts.values()) == length_ms
    assert tuple(parts) == MODEL and min(parts.values()) >= 0


def test_work_is_laid_backwards_from_the_first_sound() -> None:
    stints = [Stint("encode", 90, 40), Stint("prefill", 45, 20), Stint("decode", 25, 15), Stint("codec", 10, 10)]
    assert shares(100, stints) == {
        "transit": 10,  # before the first of it
        "queue": 5,  # between the encoder and the prefill
        "encode": 40,
        "prefill": 20,
        "decode": 15,
        "codec": 10,
    }


def test_what_was_done_before_the_question_s_end_is_no_part_of_the_wait() -> None:
    assert shares(30, [Stint("encode", 900, 40), Stint("prefill", 50, 40)])["prefill"] == 20


def test_of_a_model_that_says_nothing_all_of_it_is_transit() -> None:
    assert shares(70, []) == {**dict.fromkeys(MODEL, 0), "transit": 70}


def test_sound_is_as_late_as_it_came_after_the_promptest() -> None:
    lateness = Lateness(memory_ms=1_000)
    assert lateness.of(0, 100) == 0, "nothing is known yet"
    for end_ms, now_ms in ((100, 150), (200, 250), (300, 410)):
        lateness.arrived(end_ms, now_ms)
    assert lateness.of(300, 410) == 60
    assert lateness.of(250, 410) == 110, "it is not the newest of what came"
    lateness.arrived(1_100, 1_390)
    assert lateness.of(1_100, 1_390) == 180, "the promptest of the last second was 110 behind, not 50"


def metrics(talk: Simulation) -> dict[str, Any]:
    return talk.events(METRICS)[-1]


def says(talk: Simulation, effort: tuple[Stint, ...] = (), turn: int = 1, ms: int = 60) -> None:
    talk.give(AnswerSpoke(turn, "Well.", np.full(ms * 24, 0.1, np.float32), 0, effort))


def asked(config: SessionConfig | None = None) -> Simulation:
    talk = Simulation(config or SessionConfig(wanted={"extensions": [METRICS]}))
    talk.user_speaks(1_000)
    talk.silence(300)  # past t3
    return talk


def test_an_answer_that_is_ready_too_early_is_held() -> None:
    talk = asked()
    talk.wait(100)
    says(talk, (Stint("encode", 70, 30), Stint("decode", 40, 40), Stint("code", 25, 0)))
    talk.silence(400)
    talk.engine_ends()
    told = metrics(talk)
    parts = told["parts_ms"]
    assert told["first_sound_ms"] == 1_400 and told["first_code_ms"] == 1_375
    assert (parts["encode"], parts["decode"]) == (30, 40)
    assert parts["held"] == told["first_audio_ms"] - told["first_sound_ms"] > 0
    assert parts["pause"] == told["wait_ms"]["pause"]
    assert parts["playback"] is None, "what the client plays, and when, it has not said"
    assert parts["total"] == told["wait_ms"]["total"] + parts["capture"]


def test_silence_at_the_beginning_of_an_answer_is_told_apart() -> None:
    talk = asked()
    talk.give(AnswerSpoke(1, "Well.", np.zeros(2_400, np.float32), 0))
    talk.give(AnswerSpoke(1, "", np.r_[np.zeros(480), np.full(960, 0.1)].astype(np.float32), 100))
    talk.silence(400)
    talk.engine_ends()
    assert metrics(talk)["leading_silence_ms"] == 120


def test_where_the_server_plays_the_figures_wait_until_it_has() -> None:
    talk = asked(SessionConfig(server_plays=True, wanted={"extensions": [METRICS]}))
    says(talk)
    talk.silence(400)
    talk.engine_ends()
    assert "response.done" in talk.sent_types and METRICS not in talk.sent_types
    talk.wait(20)
    talk.give(Playing(1))
    told = metrics(talk)
    assert told["parts_ms"]["playback"] == told["played_ms"] - told["first_audio_ms"] >= 20
    assert told["parts_ms"]["total"] == sum(told["parts_ms"][part] for part in PARTS)


def test_or_until_it_never_will() -> None:
    talk = asked(SessionConfig(server_plays=True, wanted={"extensions": [METRICS]}))
    says(talk)
    talk.silence(400)
    talk.engine_ends()
    talk.give(Played(1, 0, stopped=True))
    assert metrics(talk)["parts_ms"]["playback"] is None


def test_the_first_code_is_the_first_that_was_told_of() -> None:
    assert code_ago([Stint("decode", 9, 9), Stint("code", 4.4, 0)]) == 4
    assert code_ago([Stint("decode", 9, 9)]) is None
