"""The shared nouns refuse what the next room would choke on, and name what they got."""

import numpy as np
import pytest

from vivavoce.codecs.media import AudioChunk, MediaChunk, SpeechFrame, VideoFrame


def sound(samples: int = 320, rate: int = 16_000) -> AudioChunk:
    return AudioChunk(np.zeros(samples, np.float32), rate, start=160)


def picture() -> VideoFrame:
    return VideoFrame(np.zeros((4, 6, 3), np.uint8), at_ms=500)


def test_a_chunk_of_sound_knows_its_length_and_its_end() -> None:
    assert sound(320).ms == 20
    assert sound(320).end == 480


@pytest.mark.parametrize(
    "pcm, said", [(np.zeros(4, np.float64), "float64"), (np.zeros((2, 4), np.float32), r"\[2, 4\]")]
)
def test_sound_is_one_row_of_float32(pcm: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AudioChunk(pcm, 16_000, 0)


def test_sound_has_a_rate_and_a_place() -> None:
    with pytest.raises(ValueError, match="rate 0"):
        sound(rate=0)
    with pytest.raises(ValueError, match="start -1"):
        AudioChunk(np.zeros(1, np.float32), 16_000, -1)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 4)])
def test_a_picture_is_height_width_and_three_colours(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        VideoFrame(np.zeros(shape, np.uint8), at_ms=0)


def test_a_chunk_pairs_at_most_two_pictures_with_16_khz_sound() -> None:
    chunk = MediaChunk(0, sound(), (picture(), picture()), dense=True)
    assert chunk.audio is not None and len(chunk.frames) == 2
    with pytest.raises(ValueError, match="at most 2 pictures, got 3"):
        MediaChunk(0, None, (picture(),) * 3, dense=False)
    with pytest.raises(ValueError, match="24000 Hz"):
        MediaChunk(0, sound(rate=24_000), (), dense=True)


@pytest.mark.parametrize("codes", [(1, 2, 3), (1, 2, 3, -32)])
def test_a_speech_frame_is_four_codes_without_offset(codes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="4 codes"):
        SpeechFrame(codes)  # type: ignore[arg-type]
