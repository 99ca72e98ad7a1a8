"""Messages cross a pipe: they must survive it."""

import pickle

import numpy as np
import pytest

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model import messages as m

CHUNK = MediaChunk(
    1000,
    AudioChunk(np.linspace(-1, 1, 160, dtype=np.float32), 16_000, 0),
    (VideoFrame(np.full((2, 3, 3), 7, np.uint8), 1000),),
    dense=True,
)


@pytest.mark.parametrize(
    "message",
    [
        m.Open("a", "be kind"),
        m.AddText("a", "user", "hello"),
        m.Answer("a", 1),
        m.Rewind("a", 1),
        m.Cut("a", 1, 480),
        m.Cancel("a", 1),
        m.Forget("a"),
        m.Close("a"),
        m.Opened("a", 4096, 24_000),
        m.Transcribed("a", 1, "hello"),
        m.Ended("a", 1, "done", m.Usage(1, 2, 3, 4, 5)),
        m.Failed("a", None, "no"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_plain_messages_come_out_of_a_pipe_as_they_went_in(message: m.Request | m.Reply) -> None:
    assert pickle.loads(pickle.dumps(message)) == message


def test_media_comes_out_of_a_pipe_as_it_went_in() -> None:
    heard = pickle.loads(pickle.dumps(m.Listen("a", CHUNK))).chunk
    np.testing.assert_array_equal(heard.audio.pcm, CHUNK.audio.pcm)  # type: ignore[union-attr]
    np.testing.assert_array_equal(heard.frames[0].rgb, CHUNK.frames[0].rgb)
    spoke = pickle.loads(pickle.dumps(m.Spoke("a", 1, "hi", np.ones(4, np.float32), 60)))
    assert (spoke.text, spoke.at_ms, spoke.pcm.tolist()) == ("hi", 60, [1, 1, 1, 1])


def test_messages_are_values_nobody_changes() -> None:
    with pytest.raises(AttributeError):
        m.Answer("a", 1).turn = 2  # type: ignore[misc]
