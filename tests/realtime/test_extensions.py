"""Events of our own go to clients that asked for them, and to no other."""

import pytest
from simulate import Simulation

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.extensions import FRAMES, GROUPS, METRICS, TIMED


def curious(*groups: str) -> Simulation:
    talk = Simulation()
    talk.client("session.update", session={"extensions": list(groups)})
    return talk


def test_what_was_asked_for_is_echoed_once_and_can_be_taken_back() -> None:
    talk = curious(METRICS, FRAMES, METRICS)
    assert talk.sent[0]["session"]["extensions"] == []
    assert talk.sent[-1]["session"]["extensions"] == [METRICS, FRAMES]
    talk.client("session.update", session={"instructions": "Be brief."})
    assert talk.sent[-1]["session"]["extensions"] == [METRICS, FRAMES]
    talk.client("session.update", session={"extensions": None})
    talk.question_asked()
    talk.engine_says("Well.")
    talk.engine_ends()
    assert talk.events(METRICS) == []


def test_a_group_that_there_is_none_of_is_refused_by_name() -> None:
    talk = curious(METRICS, "response.horoscope")
    error = talk.sent[-1]["error"]
    assert error["param"] == "session.extensions[1]"
    assert "'response.horoscope', expected 'response.metrics' or" in error["message"]
    assert all(group in error["message"] for group in GROUPS)
    talk.client("session.update", session={"extensions": "all"})
    assert talk.sent[-1]["error"]["param"] == "session.extensions"
    talk.client("session.update", session={})
    assert talk.sent[-1]["session"]["extensions"] == []


def test_they_can_be_asked_for_when_the_call_is_made() -> None:
    talk = Simulation(SessionConfig(wanted={"extensions": [METRICS]}))
    talk.client("response.create")
    talk.engine_ends()
    assert len(talk.events(METRICS)) == 1


def test_the_frames_of_a_spoken_turn_are_told_behind_its_item() -> None:
    talk = curious(FRAMES)
    talk.camera(timestamp_ms=70)
    talk.camera(source="screen")
    talk.user_speaks(800)
    talk.silence(700)
    committed = talk.events("input_audio_buffer.committed")[0]
    (told,) = talk.events(FRAMES)
    assert talk.sent_types.index(FRAMES) == talk.sent_types.index("conversation.item.done") + 1
    assert told["item_id"] == committed["item_id"]
    frames = [(frame["timestamp_ms"], frame["audio_ms"], frame["source"]) for frame in told["frames"]]
    assert (frames, told["frames_left_out"]) == ([(70, 0, "camera"), (0, 0, "screen")], 0)


def test_the_frame_of_a_written_question_too_and_of_a_blind_turn_nothing() -> None:
    talk = curious(FRAMES)
    words = {"role": "user", "content": [{"type": "input_text", "text": "what is this?"}]}
    talk.client("conversation.item.create", item={"id": "blind", **words})
    talk.camera()
    talk.client("conversation.item.create", item={"id": "seeing", **words})
    talk.question_asked()
    assert [event["item_id"] for event in talk.events(FRAMES)] == ["seeing"]


def test_a_turn_ended_by_hand_has_its_frames_told() -> None:
    talk = curious(FRAMES)
    talk.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    talk.user_speaks(100)
    talk.camera()
    talk.user_speaks(500)
    talk.client("input_audio_buffer.commit")
    (told,) = talk.events(FRAMES)
    assert told["item_id"] == talk.events("input_audio_buffer.committed")[0]["item_id"]
    assert len(told["frames"]) == 1


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_independent(group: str) -> None:
    talk = curious(group)
    talk.camera()
    talk.answer_begun()
    talk.engine_ends()
    assert set(talk.sent_types) & set(GROUPS) <= {group}


def captions(wanted):
    talk = Simulation(SessionConfig(wanted={"extensions": wanted}))
    talk.question_asked()
    talk.engine_says("Well, there is a red circle", ms=60)  # the words come at once, the voice as fast as it speaks
    talk.engine_says(" and a square.", ms=60, at_ms=60)
    return talk.events("response.output_audio_transcript.delta")


def test_captions_come_with_the_time_at_which_they_are_heard():
    first, second = captions([TIMED])
    assert first["start_time"] == 0
    assert 1.2 < second["start_time"] < 2.5


def test_a_client_that_does_not_ask_sees_no_key_that_it_does_not_know():
    assert all("start_time" not in delta for delta in captions([]))
