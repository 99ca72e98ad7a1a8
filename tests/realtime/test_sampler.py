"""Sound and frames become portions, dense while the user speaks and sparse otherwise."""

import gc
import weakref

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.config import SamplerConfig
from vivavoce.realtime.sampler import Sampler


def sampler(keep_ms: int = 300) -> Sampler:
    return Sampler(SamplerConfig(), keep_ms)


def sound(ms: int, first: int = 0) -> np.ndarray:
    """Every sample is its own number, so that none can be lost or doubled unseen."""
    return np.arange(first, first + ms * 16, dtype=np.float32)


def frame(at_ms: int) -> VideoFrame:
    return VideoFrame(np.zeros((2, 2, 3), np.uint8), at_ms)


def shape(portions):
    """(start ms, ms of sound, frame times) of each."""
    return [(p.start_ms, p.audio.ms if p.audio else 0, [f.at_ms for f in p.frames]) for p in portions]


def test_a_turn_is_cut_every_second_and_at_its_end():
    ears = sampler()
    ears.open(0)
    ears.hear(sound(2_300))
    assert shape(ears.due()) == [(0, 1_000, []), (1_000, 1_000, [])]
    assert shape(ears.flush()) == [(2_000, 300, [])]
    assert ears.flush() == []


def test_listening_goes_on_upon_the_same_grid_after_a_pause():
    ears = sampler()
    ears.open(0)
    ears.hear(sound(1_300))
    ears.flush()
    ears.hear(sound(1_000))
    assert shape(ears.due()) == [(1_300, 700, [])]


def test_a_turn_takes_along_the_sound_before_it_and_no_more():
    ears = sampler(keep_ms=300)
    ears.hear(sound(1_000))
    ears.open(650)
    assert shape(ears.flush()) == [(700, 300, [])]


def test_sound_of_an_earlier_turn_is_not_given_twice():
    ears = sampler()
    ears.open(0)
    ears.hear(sound(500))
    ears.flush()
    ears.close()
    ears.hear(sound(100))
    ears.open(200)
    assert shape(ears.flush()) == [(500, 100, [])]


def test_dense_frames_are_two_a_second_however_many_come():
    ears = sampler()
    ears.open(0)
    for at_ms in range(0, 2_000, 33):
        ears.see(frame(at_ms))
    ears.hear(sound(2_000))
    assert shape(ears.due()) == [(0, 1_000, [0, 528]), (1_000, 1_000, [1_023, 1_518])]


def test_sparse_frames_are_one_in_two_seconds_and_lead_the_next_turn():
    ears = sampler()
    for at_ms in range(0, 6_000, 500):
        ears.hear(sound(500))
        ears.see(frame(at_ms))
    leading = ears.open(5_900)
    assert shape(leading) == [(1_500, 0, [1_500]), (3_500, 0, [3_500]), (5_500, 0, [5_500])]
    assert not any(portion.dense for portion in leading)


def test_a_frame_from_within_the_turn_is_dense():
    ears = sampler()
    ears.hear(sound(400))
    ears.see(frame(400))
    ears.hear(sound(100))
    assert ears.open(200) == []
    assert shape(ears.flush()) == [(200, 300, [400])]


def test_only_the_latest_sparse_frames_are_kept():
    ears = sampler()
    for number in range(100):
        ears.see(frame(number * 2_000))
    assert len(ears.open(0)) == 0
    assert len(ears.flush()) == 0
    ears.close()
    assert [one.at_ms for one in ears.newest_frames()] == [99 * 2_000]


def test_frames_too_late_for_a_turn_are_kept_for_the_next():
    ears = sampler()
    ears.open(0)
    ears.hear(sound(500))
    ears.flush()
    ears.see(frame(500))
    ears.close()
    ears.hear(sound(3_000))
    assert shape(ears.open(3_000)) == [(500, 0, [500])]


def test_a_second_source_comes_before_the_sound_in_a_portion_of_its_own():
    ears = sampler()
    ears.open(0)
    for at_ms in (0, 500):
        ears.see(frame(at_ms))
        ears.see(VideoFrame(np.zeros((2, 2, 3), np.uint8), at_ms + 100, "screen"))
    ears.hear(sound(1_000))
    assert shape(ears.due()) == [(0, 0, [0, 500]), (0, 1_000, [100, 600])]


def test_a_flood_of_frames_without_sound_is_not_kept():
    ears = sampler()
    ears.open(0)
    flood = [frame(0) for _ in range(100)]
    traces = [weakref.ref(one) for one in flood]
    for one in flood:
        ears.see(one)
    del flood, one
    gc.collect()
    assert sum(trace() is not None for trace in traces) == 1


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(0, 3_000))
def test_no_sample_is_lost_or_doubled(portions_ms, start_ms):
    ears = sampler(keep_ms=10_000)
    first, given_out = 0, []
    for ms in portions_ms:
        ears.hear(sound(ms, first))
        first += ms * 16
    ears.open(start_ms)
    given_out += ears.due()
    given_out += ears.flush()
    pcm = np.concatenate([portion.audio.pcm for portion in given_out]) if given_out else np.zeros(0)
    assert np.array_equal(pcm, np.arange(min(start_ms * 16, first), first))
    assert all(portion.audio.start == portion.audio.pcm[0] for portion in given_out)
