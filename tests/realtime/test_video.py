"""What a client says about its camera in `session.video.input`, and what the model then gets to see."""

import numpy as np
import pytest
from simulate import Simulation

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.actions import AddImage
from vivavoce.realtime.config import SamplerConfig, SessionConfig
from vivavoce.realtime.events import FrameIn

DEFAULTS = {
    "fps": 2.0,
    "response_fps": 0.5,
    "detail": "auto",
    "turn_coverage": "audio_activity_and_all_video",
    "max_frames": None,
}


def video(talk: Simulation, **wanted: object) -> dict:
    """The client asks; returns what is in force now."""
    talk.client("session.update", session={"video": {"input": wanted}})
    return talk.sent[-1]["session"]["video"]["input"]


def filming(talk: Simulation, ms: int, probability: float) -> None:
    """Sound and ten frames a second."""
    for _ in range(0, ms, 100):
        talk.camera()
        talk.sound(100, probability)


def seen(talk: Simulation) -> list[int]:
    """When the frames were taken that the model was given."""
    return [frame.at_ms for portion in talk.fed for frame in portion.frames]


def test_what_is_in_force_is_told_from_the_start() -> None:
    assert Simulation().sent[0]["session"]["video"] == {"input": DEFAULTS}


def test_the_configuration_is_where_defaults_come_from() -> None:
    talk = Simulation(SessionConfig(sampler=SamplerConfig(dense_fps=1.0, between_turns=False, turn_frames=7)))
    told = talk.sent[0]["session"]["video"]["input"]
    assert (told["fps"], told["turn_coverage"], told["max_frames"]) == (1.0, "only_activity", 7)
    assert video(talk, fps=2, max_frames=3)["max_frames"] == 3
    assert video(talk, fps=None, max_frames=None) == told


def test_an_update_keeps_what_it_does_not_name() -> None:
    talk = Simulation()
    video(talk, fps=1, detail="low")
    assert video(talk, max_frames=6) == {**DEFAULTS, "fps": 1.0, "detail": "low", "max_frames": 6}
    talk.client("session.update", session={"instructions": "Be brief."})
    assert talk.sent[-1]["session"]["video"]["input"]["max_frames"] == 6
    talk.client("session.update", session={"video": None})
    assert talk.sent[-1]["session"]["video"]["input"] == DEFAULTS


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"fps": 5}, "session.video.input.fps is 5, expected 0.1 to 2.0"),
        ({"response_fps": 0}, "session.video.input.response_fps is 0, expected 0.1 to 2.0"),
        ({"detail": "sharp"}, "session.video.input.detail is 'sharp', expected 'auto' or 'low' or 'high'"),
        ({"turn_coverage": "all"}, "expected 'audio_activity_and_all_video' or 'only_activity'"),
        ({"max_frames": 0}, "session.video.input.max_frames is 0, expected a whole number, 1 to 256"),
        ({"max_frames": 2.5}, "session.video.input.max_frames is 2.5, expected a whole number, 1 to 256"),
    ],
)
def test_what_cannot_be_is_told_with_both_numbers(wanted: dict, message: str) -> None:
    talk = Simulation()
    talk.client("session.update", session={"video": {"input": {"fps": 1, **wanted}}})
    error = talk.sent[-1]["error"]
    assert message in error["message"]
    assert error["param"].startswith("session.video.input.")
    talk.client("session.update", session={})
    assert talk.sent[-1]["session"]["video"]["input"] == DEFAULTS


@pytest.mark.parametrize("wanted", [{"video": 3}, {"video": {"input": []}}])
def test_what_is_no_object_is_refused(wanted: dict) -> None:
    talk = Simulation()
    talk.client("session.update", session=wanted)
    assert talk.sent[-1]["error"]["message"].endswith("expected an object")


@pytest.mark.parametrize(("fps", "count"), [(2, 5), (1, 3), (0.5, 2)])
def test_while_the_user_speaks_so_many_a_second(fps: float, count: int) -> None:
    talk = Simulation()
    video(talk, fps=fps, turn_coverage="only_activity")
    filming(talk, 2_400, 0.95)
    talk.silence(300)
    assert len(seen(talk)) == count, "of 2.7 seconds with what came before them"


@pytest.mark.parametrize(("fps", "count"), [(0.25, 2), (0.5, 4), (1, 8)])
def test_between_turns_so_many_a_second(fps: float, count: int) -> None:
    talk = Simulation(SessionConfig(sampler=SamplerConfig(sparse_keep=8)))
    video(talk, response_fps=fps)
    filming(talk, 7_900, 0.01)
    talk.user_speaks(200)
    talk.silence(300)
    assert len([portion for portion in talk.fed if not portion.dense]) == pytest.approx(count, abs=1)


def test_who_wants_only_activity_is_not_looked_at_between_turns() -> None:
    talk = Simulation()
    video(talk, turn_coverage="only_activity")
    filming(talk, 5_000, 0.01)
    filming(talk, 1_000, 0.95)
    talk.silence(300)
    assert all(portion.dense for portion in talk.fed)
    assert seen(talk) and min(seen(talk)) >= 4_700


def test_a_written_question_sees_the_camera_all_the_same() -> None:
    talk = Simulation()
    video(talk, turn_coverage="only_activity", detail="low")
    talk.camera(40)
    words = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "what is this?"}]}
    talk.client("conversation.item.create", item=words)
    (shown,) = [action for action in talk.told if isinstance(action, AddImage)]
    assert (shown.rgb[0, 0, 0], shown.detail) == (40, "low")


def test_a_turn_has_no_more_frames_than_were_asked_for() -> None:
    talk = Simulation()
    video(talk, max_frames=4)
    filming(talk, 9_000, 0.01)
    filming(talk, 5_000, 0.95)
    talk.silence(700)
    assert [portion.dense for portion in talk.fed if portion.frames].count(False) == 2
    assert len(seen(talk)) == 4
    talk.engine_ends()
    talk.forget()
    filming(talk, 5_000, 0.95)
    talk.silence(300)
    assert len(seen(talk)) == 4, "the next turn begins to count anew"


def test_another_rate_begins_with_the_next_turn() -> None:
    talk = Simulation()
    talk.user_speaks(1_000)
    video(talk, fps=0.5)
    filming(talk, 1_400, 0.95)
    talk.silence(700)
    assert len(seen(talk)) == 3
    talk.engine_ends()
    talk.forget()
    filming(talk, 1_400, 0.95)
    talk.silence(300)
    assert len([frame for portion in talk.fed if portion.dense for frame in portion.frames]) == 1


@pytest.mark.parametrize("detail", ["auto", "low", "high"])
def test_the_model_is_told_how_closely_to_look(detail: str) -> None:
    talk = Simulation()
    video(talk, detail=detail)
    talk.user_speaks(300)
    talk.camera()
    talk.give(FrameIn(VideoFrame(np.zeros((2, 3, 3), np.uint8), talk.now_ms + 600)))
    talk.user_speaks(1_000)
    frames = [frame for portion in talk.fed for frame in portion.frames]
    assert [frame.detail for frame in frames] == [detail, detail]


def test_a_screen_is_seen_beside_the_camera() -> None:
    talk = Simulation()
    for _ in range(15):
        talk.camera(10)
        talk.camera(20, source="screen")
        talk.user_speaks(100)
    talk.silence(300)
    frames = [frame for portion in talk.fed for frame in portion.frames]
    assert [frame.source for frame in frames].count("screen") == [frame.source for frame in frames].count("camera") == 3
    assert all(frame.rgb[0, 0, 0] == {"camera": 10, "screen": 20}[frame.source] for frame in frames)


def test_a_written_question_sees_both() -> None:
    talk = Simulation()
    talk.camera(10)
    talk.camera(20, source="screen")
    words = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "what is this?"}]}
    talk.client("conversation.item.create", item=words)
    assert [action.rgb[0, 0, 0] for action in talk.told if isinstance(action, AddImage)] == [10, 20]


def test_a_source_that_is_neither_is_refused_by_name() -> None:
    talk = Simulation()
    talk.camera(source="telescope")
    error = talk.sent[-1]["error"]
    assert (error["param"], error["message"]) == ("source", "source is 'telescope', expected 'camera' or 'screen'")


def test_a_picture_has_a_detail_of_its_own() -> None:
    talk = Simulation()
    video(talk, detail="low")
    part = {"type": "input_image", "image_url": "cGljdHVyZTM=", "detail": "high"}
    words = {"type": "input_text", "text": "what is this?"}
    talk.client("conversation.item.create", item={"role": "user", "content": [part, words]})
    assert [action.detail for action in talk.told if isinstance(action, AddImage)] == ["high"]
    talk.client("conversation.item.create", item={"role": "user", "content": [{**part, "detail": "sharp"}, words]})
    assert talk.sent[-1]["error"]["param"] == "item.content[0].detail"
