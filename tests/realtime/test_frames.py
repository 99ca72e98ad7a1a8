"""Which frames the model sees: each source by itself, and no more than a turn may have."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.config import SamplerConfig
from vivavoce.realtime.frames import Frames, pairs


def frame(at_ms: int, source: str = "camera") -> VideoFrame:
    return VideoFrame(np.zeros((2, 2, 3), np.uint8), at_ms, source)


def frames(**changes: object) -> Frames:
    return Frames(replace(SamplerConfig(), **changes))


def shown(chosen: list[VideoFrame]) -> list[tuple[int, str]]:
    return [(one.at_ms, one.source) for one in chosen]


def test_a_screen_takes_no_place_of_the_camera_s() -> None:
    eyes = frames()
    eyes.open(0)
    for at_ms in range(0, 1_000, 100):
        eyes.see(frame(at_ms))
        eyes.see(frame(at_ms + 30, "screen"))
    both = [(0, "camera"), (30, "screen"), (500, "camera"), (530, "screen")]
    assert shown(eyes.between(0, 1_000)) == both


def test_kept_frames_of_both_come_in_the_order_of_time() -> None:
    eyes = frames()
    for at_ms in (100, 2_100, 4_100):
        eyes.see(frame(at_ms, "screen"))
        eyes.see(frame(at_ms + 500))
    told = [(2_100, "screen"), (2_600, "camera"), (4_100, "screen"), (4_600, "camera")]
    assert shown(eyes.open(5_000))[-4:] == told


def test_both_together_keep_no_more_than_one_alone() -> None:
    eyes = frames(sparse_keep=4)
    for at_ms in range(0, 40_000, 500):
        eyes.see(frame(at_ms))
        eyes.see(frame(at_ms, "screen"))
    assert shown(eyes.open(40_000)) == [(37_500, "camera"), (37_500, "screen"), (39_500, "camera"), (39_500, "screen")]


def test_what_each_showed_last_is_what_a_written_question_sees() -> None:
    eyes = frames()
    eyes.see(frame(100, "screen"))
    eyes.see(frame(3_000))
    eyes.see(frame(5_000))
    assert shown(eyes.newest()) == [(100, "screen"), (5_000, "camera")]
    assert eyes.newest() == []


def test_a_turn_has_at_most_its_frames_and_at_most_half_of_them_from_before() -> None:
    eyes = frames(turn_frames=5)
    for at_ms in range(0, 12_000, 2_000):
        eyes.see(frame(at_ms))
    assert shown(eyes.open(12_000)) == [(8_000, "camera"), (10_000, "camera")]
    for at_ms in range(12_000, 15_000, 500):
        eyes.see(frame(at_ms))
    assert shown(eyes.between(12_000, 13_000)) == [(12_000, "camera"), (12_500, "camera")]
    assert shown(eyes.between(13_000, 14_000)) == [(13_000, "camera")]
    assert eyes.between(14_000, 15_000) == []


def test_the_only_frame_of_a_turn_is_of_the_turn() -> None:
    eyes = frames(turn_frames=1)
    eyes.see(frame(0))
    assert eyes.open(1_000) == []
    eyes.see(frame(1_200))
    assert shown(eyes.between(1_000, 2_000)) == [(1_200, "camera")]


def test_without_the_time_between_turns_only_the_newest_is_held_and_leads_nothing() -> None:
    eyes = frames(between_turns=False)
    for at_ms in range(0, 6_000, 500):
        eyes.see(frame(at_ms))
    assert eyes.open(5_700) == []
    eyes.close()
    eyes.see(frame(6_000))
    assert shown(eyes.newest()) == [(6_000, "camera")]


def test_a_frame_of_the_words_own_time_belongs_to_the_turn_all_the_same() -> None:
    eyes = frames(between_turns=False)
    eyes.see(frame(5_900))
    assert eyes.open(5_700) == []
    assert shown(eyes.between(5_700, 6_700)) == [(5_900, "camera")]


def test_the_model_looks_at_two_of_one_source_together() -> None:
    seen = [frame(0), frame(20, "screen"), frame(500), frame(520, "screen"), frame(990)]
    assert [shown(pair) for pair in pairs(seen)] == [
        [(0, "camera"), (500, "camera")],
        [(20, "screen"), (520, "screen")],
        [(990, "camera")],
    ]
    assert pairs([]) == []


@given(
    st.lists(st.tuples(st.integers(0, 9_999), st.sampled_from(["camera", "screen"])), max_size=80),
    st.floats(0.1, 2.0),
    st.none() | st.integers(1, 9),
)
def test_no_rate_and_no_limit_is_exceeded(seen: list[tuple[int, str]], fps: float, most: int | None) -> None:
    eyes = frames(dense_fps=fps, turn_frames=most)
    eyes.open(0)
    taken: list[VideoFrame] = []
    coming = sorted(seen)
    for second in range(10):
        for at_ms, source in coming:
            if second * 1_000 <= at_ms < (second + 1) * 1_000:
                eyes.see(frame(at_ms, source))
        portion = eyes.between(second * 1_000, (second + 1) * 1_000)
        assert all(len(pair) <= 2 for pair in pairs(portion))
        taken += portion
    assert len(taken) <= (most or len(taken))
    for source in ("camera", "screen"):
        slots = [one.at_ms // int(1_000 / fps) for one in taken if one.source == source]
        assert slots == sorted(set(slots))
