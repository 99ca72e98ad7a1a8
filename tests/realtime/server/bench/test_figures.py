"""Conversations whose truth is known, because they were made by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import said, take, told

from vivavoce.realtime.server.bench.figures import parts, turns
from vivavoce.realtime.server.bench.metrics import figures, waterfalls
from vivavoce.realtime.server.bench.sound import samples
from vivavoce.realtime.server.bench.take import Take
from vivavoce.realtime.server.bench.tape import Cleared, Gap, Piece

STEP_MS = 2.5


def only(take: Take) -> dict:
    (row,) = turns(take)
    return row


def piece(came_ms: float, at_ms: float, length_ms: float, item: str = "a") -> Piece:
    return Piece(samples(came_ms), samples(at_ms), samples(length_ms), item, 0)


def test_the_wait_is_from_the_last_sample_said_to_the_first_one_heard() -> None:
    row = only(take(3_000, [(1_430, 2_400)], said(100, 900)))
    assert row["v2v_ms"] == pytest.approx(430, abs=STEP_MS)
    assert row["answered"] and not row["premature"]


def test_the_parts_of_the_wait_are_told_apart_and_sum_to_it() -> None:
    row = only(
        take(
            3_000,
            [(1_430, 2_400)],
            said(100, 900),
            told=[told(1_300, "input_audio_buffer.committed"), told(1_301, "response.created", response={"id": "r"})],
            pieces=[piece(1_340, 1_360, 1_040)],
        )
    )
    assert row["parts_ms"] == {
        "endpointing": pytest.approx(300),
        "response": pytest.approx(40),
        "playout": pytest.approx(20),
        "leading_silence": pytest.approx(70, abs=STEP_MS),
    }
    assert sum(row["parts_ms"].values()) == pytest.approx(row["v2v_ms"], abs=0.05)
    assert row["ttfa_ms"] == pytest.approx(130, abs=STEP_MS)


@given(st.integers(0, 1_000), st.lists(st.integers(-500, 5_000), min_size=1, max_size=7))
def test_parts_are_never_negative_and_sum_to_the_whole_whatever_came_when(begin: int, moments: list[int]) -> None:
    end = max(moments[-1], begin)
    made = parts(begin, [(str(n), at) for n, at in enumerate([*moments[:-1], end])])
    assert min(made.values()) >= 0
    assert sum(made.values()) == pytest.approx((end - begin) / 24, abs=0.006 * len(made))


def test_what_the_server_knows_of_its_own_time_takes_the_place_of_endpointing() -> None:
    """The server's clock began 250 ms before the microphone; its `response.created` came without any delay."""
    metrics = {"speech_end_ms": 1_270, "speculative_start_ms": 1_490, "turn_end_ms": 1_600, "first_audio_ms": 1_640}
    row = only(
        take(
            3_000,
            [(1_430, 2_400)],
            said(100, 900),
            told=[
                told(1_350, "response.created", response={"id": "r"}),
                told(2_500, "response.metrics", response_id="r", rollback_count=1, **metrics),
            ],
            pieces=[piece(1_400, 1_400, 1_000)],
        )
    )
    fall = row["server_parts_ms"]
    assert [fall[name] for name in ("hearing", "pause", "speculation", "model")] == [20, 220, 110, 40]
    assert (fall["response"], fall["playout"]) == (10, 0)
    assert sum(fall.values()) == pytest.approx(row["v2v_ms"], abs=0.05)


def test_an_answer_into_a_pause_is_premature_and_the_wait_is_for_the_one_after_it() -> None:
    thinking = said(0, 500, 1_000, 500, kind="pausing")
    row = only(take(5_000, [(1_200, 1_550), (2_600, 3_500)], thinking))
    assert row["premature"] and row["pauses_ms"] == [1_000]
    assert row["v2v_ms"] == pytest.approx(600, abs=STEP_MS)


def test_an_answer_that_was_begun_too_early_and_never_stopped_has_no_wait() -> None:
    row = only(take(5_000, [(1_200, 3_500)], said(0, 500, 1_000, 500, kind="pausing")))
    assert row["premature"] and row["answered"] and row["v2v_ms"] is None


def test_a_question_without_an_answer_is_counted() -> None:
    rows = turns(take(9_000, [(4_000, 5_000)], said(0, 500), said(3_000, 500, turn=1)))
    assert [row["answered"] for row in rows] == [False, True]
    assert figures(rows, [])["unanswered"]["count"] == 1


def test_a_question_whose_answer_the_recording_did_not_wait_for_counts_nowhere() -> None:
    asked = said(0, 500), said(3_000, 500, turn=1)
    assert len(turns(take(5_000, [(1_000, 2_000)], *asked))) == 1
    assert len(turns(take(20_000, [(1_000, 2_000)], *asked))) == 2


def test_gaps_inside_an_answer_are_underruns_and_silence_behind_it_is_not() -> None:
    gaps = [Gap(samples(1_500), samples(80), "a"), Gap(samples(2_400), samples(500), "a")]
    row = only(take(5_000, [(1_000, 1_500), (1_580, 2_400)], said(0, 500), gaps=gaps))
    assert (row["underruns"], row["underrun_ms"]) == (1, 80)
    assert figures([row], [])["underruns_10min"]["count"] == 1


def test_a_hole_while_the_client_itself_was_late_is_not_the_servers() -> None:
    gaps = [Gap(samples(1_500), samples(80), "a")]
    late = [0.0] * 250
    late[72] = 75.0  # the packet of 1440 ms
    row = only(take(5_000, [(1_000, 1_500), (1_580, 2_400)], said(0, 500), gaps=gaps, late_ms=late))
    assert (row["underruns"], row["own_gaps"]) == (0, 1)


def test_of_a_stream_short_holes_are_concealed_and_long_ones_are_heard() -> None:
    gaps = [Gap(samples(at), samples(20), "") for at in (1_200, 1_500, 1_520, 1_540, 1_560)]
    row = only(take(5_000, [(1_000, 2_000)], said(0, 500), gaps=gaps, plays_itself=True))
    assert (row["underruns"], row["underrun_ms"], row["concealed_ms"]) == (1, 80, 20)
    assert figures([row], [])["concealed"]["value"] == 0.02


# --- the user speaks into it ----------------------------------------------------------------------------------------


def overlapped(heard: list[tuple[float, float]], kind: str, onset_ms: float = 1_500, **fields: object) -> dict:
    return only(take(9_000, heard, said(0, 500), said(onset_ms, 600, kind=kind), **fields))["overlap"]


def test_a_stop_is_from_the_users_first_sample_to_the_last_one_heard() -> None:
    cut = Cleared(samples(1_710), "a", samples(710), samples(900))
    heard = [told(1_690, "input_audio_buffer.speech_started")]
    row = overlapped([(1_000, 1_710)], "interruption", cleared=[cut], told=heard)
    assert row["outcome"] == "stopped"
    assert row["stop_ms"] == pytest.approx(210, abs=STEP_MS)
    assert (row["detect_ms"], row["flush_ms"]) == (pytest.approx(190), pytest.approx(20, abs=STEP_MS))


def test_who_speaks_on_for_two_seconds_has_missed_it() -> None:
    assert overlapped([(1_000, 3_600)], "interruption")["outcome"] == "spoke on"


def test_an_answer_that_was_over_anyway_says_nothing_of_interruptions() -> None:
    assert overlapped([(1_000, 1_800)], "interruption")["outcome"] == "ended"
    assert overlapped([(1_000, 1_800)], "backchannel")["outcome"] == "spoke on"
    assert overlapped([(700, 900)], "interruption")["outcome"] == "too late"


def test_a_pause_and_going_on_is_no_stop() -> None:
    row = overlapped([(1_000, 1_650), (1_900, 4_000)], "backchannel")
    assert row["outcome"] == "spoke on" and row["hold_ms"] == pytest.approx(250, abs=2 * STEP_MS)


def test_shares_count_only_those_that_could_have_gone_either_way() -> None:
    cancelled = {"told": [told(1_700, "response.done", response={"id": "r", "status": "cancelled"})]}
    rows = [
        only(take(9_000, heard, said(0, 500), said(1_500, 600, kind=kind), **fields))
        for heard, kind, fields in (
            ([(1_000, 1_700)], "interruption", cancelled),
            ([(1_000, 4_000)], "interruption", {}),
            ([(1_000, 1_700)], "interruption", {}),
            ([(1_000, 1_700)], "backchannel", cancelled),
            ([(1_000, 4_000)], "backchannel", {}),
            ([(1_000, 4_000)], "noise", {}),
            ([(700, 900)], "noise", {}),
        )
    ]
    made = figures(rows, [])
    counted = {name: (made[name]["count"], made[name]["n"]) for name in made if "_stop" in name}
    assert counted == {
        "missed_stop": (1, 2),
        "false_stop": (1, 3),
        "false_stop_backchannel": (1, 2),
        "false_stop_noise": (0, 1),
    }
    assert made["stop"]["n"] == 1


def test_the_servers_belief_is_held_against_what_the_client_played() -> None:
    cut = Cleared(samples(1_700), "item", samples(700), samples(900))
    word = told(1_720, "conversation.item.truncated", item_id="item", audio_end_ms=655)
    row = only(take(5_000, [(1_000, 1_700)], said(0, 500), cleared=[cut], told=[word]))
    assert row["heard_errors_ms"] == [-45]
    assert figures([row], [])["heard_error"]["max"] == 45


def test_where_the_server_plays_its_packets_are_what_was_heard() -> None:
    """Ten packets of 20 ms between `started` and `cleared`."""
    packets = [piece(900 + 20 * n, 940 + 20 * n, 20, "") for n in range(40)]
    events = [
        told(995, "output_audio_buffer.started", response_id="r"),
        told(1_195, "output_audio_buffer.cleared", response_id="r"),
        told(1_196, "conversation.item.truncated", item_id="item", audio_end_ms=230),
    ]
    row = only(take(5_000, [(1_040, 1_240)], said(0, 500), pieces=packets, told=events, plays_itself=True))
    assert row["heard_errors_ms"] == [30]


def test_silent_packets_in_the_middle_of_an_answer_were_not_heard_and_are_told() -> None:
    """The server ran dry for three packets, and sent silence."""
    packets = [replace(piece(900 + 20 * n, 940 + 20 * n, 20, ""), blank=n < 5 or 8 <= n < 11) for n in range(40)]
    events = [
        told(995, "output_audio_buffer.started", response_id="r"),
        told(1_195, "output_audio_buffer.cleared", response_id="r"),
        told(1_196, "conversation.item.truncated", item_id="item", audio_end_ms=140),
    ]
    row = only(take(5_000, [(1_040, 1_240)], said(0, 500), pieces=packets, told=events, plays_itself=True))
    assert row["heard_errors_ms"] == [0] and row["dry"] == 1
    assert figures([row], [])["dry_10min"]["count"] == 1


def test_the_median_turn_and_the_worst_are_drawn() -> None:
    questions = [said(3_000 * n, 500, turn=n) for n in range(3)]
    heard = [(3_000 * n + 500 + wait, 3_000 * n + 2_000) for n, wait in enumerate((300, 700, 400))]
    falls = waterfalls(turns(take(9_000, heard, *questions)))
    assert [falls[name]["turn"] for name in ("median", "worst")] == [2, 1]
    assert all(sum(fall["parts_ms"].values()) == pytest.approx(fall["v2v_ms"]) for fall in falls.values())


def test_speculation_is_counted_where_it_is_told() -> None:
    sound = {"decoded": 4_000, "sent": 3_000, "discarded": 1_000}
    times = {"speech_end_ms": 300, "speculative_start_ms": 540, "turn_end_ms": 900}
    events = [told(2_000, "response.metrics", response_id="r", rollback_count=1, audio_ms=sound, **times)]
    made = figures(turns(take(5_000, [(1_000, 2_000)], said(0, 500), told=events)), [])
    assert (made["speculation_hit"]["value"], made["speculation_waste"]["value"]) == (0.5, 0.25)
    assert made["head_start"]["max"] == 360
