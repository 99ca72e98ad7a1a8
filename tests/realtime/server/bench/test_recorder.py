"""The whole bench but for the wire, in virtual time, against a server whose delays are known to the sample."""

from dataclasses import replace

import numpy as np
import pytest
from scripted_link import Delays, ScriptedLink
from signals import clip
from virtual import run

from vivavoce.realtime.server.bench.figures import turns
from vivavoce.realtime.server.bench.metrics import figures
from vivavoce.realtime.server.bench.recorder import Recorder
from vivavoce.realtime.server.bench.script import PATIENCE, Clip, User
from vivavoce.realtime.server.bench.sound import TICK, ms, samples
from vivavoce.realtime.server.bench.take import Take

PLAIN, THINKING = clip(737), clip(500, 800, 433, kind="pausing")
LONG = Delays(speaks=4_000)
STEP_MS = 2.5


def ask(delays: Delays, *clips: Clip, playout_ms: float | None = None) -> tuple[Take, ScriptedLink]:
    async def story() -> tuple[Take, ScriptedLink]:
        link, user = ScriptedLink(delays), User()
        return await Recorder(link, user, playout_ms).run(user.questions(clips, seed=1)), link

    return run(story())


def speak_into(delays: Delays, overlap: Clip, times: int = 1) -> tuple[Take, ScriptedLink]:
    async def story() -> tuple[Take, ScriptedLink]:
        link, user = ScriptedLink(delays), User()
        return await Recorder(link, user).run(user.overlaps([(PLAIN, overlap)] * times, seed=1)), link

    return run(story())


def to_the_packets_end(take: Take) -> float:
    """ms from the last sample of speech to the end of its packet, which is when it leaves."""
    return ms(-take.said[0].end % TICK)


@pytest.mark.parametrize("delays", [Delays(), Delays(decides=480, answers=7, leading=0), Delays(answers=333.3)])
def test_the_delays_that_were_built_in_are_those_that_are_found(delays: Delays) -> None:
    take, _ = ask(delays, PLAIN, PLAIN, PLAIN)
    for row in turns(take):
        waits = to_the_packets_end(take) + delays.decides
        assert row["parts_ms"]["endpointing"] == pytest.approx(waits, abs=0.1)
        assert row["parts_ms"]["response"] == pytest.approx(delays.answers, abs=0.1)
        assert row["parts_ms"]["leading_silence"] == pytest.approx(delays.leading, abs=STEP_MS)
        assert row["v2v_ms"] == pytest.approx(waits + delays.answers + delays.leading, abs=STEP_MS)
        assert row["underruns"] == 0 and not row["premature"]


def test_it_is_the_servers_own_account_too() -> None:
    take, link = ask(Delays(), PLAIN)
    account = dict(link.account)
    (row,) = turns(take)
    by_server = (account["sent"] - account["end"]) * 1000
    assert row["v2v_ms"] == pytest.approx(to_the_packets_end(take) + by_server + 20, abs=STEP_MS)


def test_what_the_loudspeaker_collects_first_is_a_part_of_the_wait() -> None:
    at_once, collected = (turns(ask(Delays(), PLAIN, playout_ms=wait)[0])[0] for wait in (0.0, 70.0))
    assert collected["parts_ms"]["playout"] == pytest.approx(70, abs=0.1)
    assert collected["v2v_ms"] - at_once["v2v_ms"] == pytest.approx(70, abs=STEP_MS)


def test_who_answers_into_a_pause_to_think_is_premature_and_who_waits_is_not() -> None:
    hasty, patient = (turns(ask(Delays(decides=d), THINKING)[0])[0] for d in (300, 900))
    assert hasty["premature"] and not patient["premature"]
    assert patient["pauses_ms"] == [800]


def test_a_stall_is_one_underrun_of_that_length() -> None:
    take, _ = ask(Delays(stalls=240), PLAIN)
    (row,) = turns(take)
    assert row["underruns"] == 1 and row["underrun_ms"] == pytest.approx(240, abs=0.1)
    assert row["min_lead_ms"] == pytest.approx(-240, abs=0.1)


def test_a_server_that_stays_silent_costs_patience_and_nothing_else() -> None:
    take, _ = ask(Delays(decides=1e9), PLAIN, PLAIN)
    rows = turns(take)
    assert [row["answered"] for row in rows] == [False, False]
    assert len(take.microphone) >= 2 * PATIENCE


def test_a_stop_is_found_where_it_was_built_in() -> None:
    """The packet with the first sample leaves when it is full, 20 ms after that sample."""
    delays = Delays(speaks=4_000, stops=215)
    take, link = speak_into(delays, clip(900, kind="interruption"), times=3)
    for row in turns(take):
        assert row["overlap"]["outcome"] == "stopped"
        assert row["overlap"]["stop_ms"] == pytest.approx(20 + delays.stops, abs=STEP_MS)
        assert row["overlap"]["flush_ms"] == pytest.approx(0, abs=STEP_MS)
    words = [event for event in link.received if event["type"] == "conversation.item.truncate"]
    assert [word["audio_end_ms"] for word in words] == [int(ms(gone.played)) for gone in take.cleared]
    assert figures(turns(take), [])["heard_error"]["max"] < 1


def test_an_answer_that_stands_still_first_is_silent_before_it_is_cut() -> None:
    delays = replace(LONG, pauses=60, stops=400)
    take, _ = speak_into(delays, clip(900, kind="interruption"))
    (row,), (gone,) = turns(take), take.cleared
    assert row["overlap"]["outcome"] == "stopped"
    assert row["overlap"]["stop_ms"] == pytest.approx(20 + delays.pauses, abs=STEP_MS)
    assert gone.played == gone.at - samples(400 - 60) - take.pieces[0].at


def test_an_answer_that_stood_still_for_nothing_goes_on_without_a_lost_sample() -> None:
    delays = replace(LONG, pauses=60, stops=300, resumes=True)
    take, _ = speak_into(delays, clip(200, kind="backchannel"))
    (row,) = turns(take)
    assert row["overlap"]["outcome"] == "spoke on" and take.cleared == []
    assert row["overlap"]["hold_ms"] == pytest.approx(240, abs=2 * STEP_MS)
    assert row["underruns"] == 0
    answers = {piece.item for piece in take.pieces}
    assert np.count_nonzero(take.loudspeaker) == len(answers) * samples(LONG.speaks)


def test_what_was_cut_is_as_long_as_what_had_been_heard() -> None:
    take, _ = speak_into(LONG, clip(900, kind="interruption"))
    (gone,) = take.cleared
    begun = take.pieces[0].at
    assert gone.played == gone.at - begun
    assert not take.loudspeaker[gone.at : gone.at + samples(100)].any()


def test_who_ignores_everything_has_missed_interruptions_and_stopped_for_no_cough() -> None:
    deaf = Delays(speaks=4_000, ignores=True)
    missed, _ = speak_into(deaf, clip(900, kind="interruption"))
    ignored, _ = speak_into(deaf, clip(200, kind="noise"))
    assert figures(turns(missed), [])["missed_stop"]["value"] == 1
    assert figures(turns(ignored), [])["false_stop"]["value"] == 0


def test_who_stops_for_everything_stops_falsely() -> None:
    take, _ = speak_into(LONG, clip(200, kind="backchannel"), times=2)
    assert figures(turns(take), [])["false_stop_backchannel"]["value"] == 1


def test_the_same_seed_gives_the_same_tape() -> None:
    one, other = (ask(Delays(), PLAIN, THINKING)[0] for _ in range(2))
    assert (one.stereo == other.stereo).all()
    assert one.stereo.shape == (len(one.microphone), 2)
