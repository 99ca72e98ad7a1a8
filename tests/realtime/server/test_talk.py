"""Files in, files out."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console

from vivavoce.realtime.server.client import Conversation
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.talk import moving, read_question, save, show, still


def colour(jpeg: bytes | None) -> tuple[int, ...]:
    """The middle of a picture, in steps of 64."""
    assert jpeg is not None
    image = Image.open(io.BytesIO(jpeg))
    return tuple(round(value / 64) for value in image.getpixel((image.width // 2, image.height // 2)))


def film(path: Path) -> None:
    """One second of red, then one of blue, at 10 pictures a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            rgb = np.zeros((48, 64, 3), np.uint8)
            rgb[..., 0 if number < 10 else 2] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(rgb)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def test_sound_of_any_rate_and_width_becomes_24_khz_mono(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "q.wav", np.full((4_410, 2), [0.5, 0.1]), 44_100)
    pcm = read_question(tmp_path / "q.wav")
    assert (pcm.dtype, len(pcm)) == (np.float32, 2_400)
    assert pcm[1_000:1_400] == pytest.approx(0.3, abs=0.01)


def test_a_picture_is_shown_all_the_time(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 48), (255, 0, 0, 255)).save(tmp_path / "cam.png")
    frames = still(tmp_path / "cam.png")
    assert colour(frames(0)) == colour(frames(9_000)) == (4, 0, 0)


def test_a_film_runs_with_the_question_and_stops_at_its_last_picture(tmp_path: Path) -> None:
    film(tmp_path / "cam.mp4")
    frames = moving(tmp_path / "cam.mp4")
    assert [colour(frames(at_ms)) for at_ms in (0, 500, 1_000, 1_500, 9_000)] == [(4, 0, 0)] * 2 + [(0, 0, 4)] * 3


@pytest.mark.parametrize("read", [read_question, still, moving])
def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path, read: object) -> None:
    (tmp_path / "odd").write_text("neither sound nor picture")
    for name in ("odd", "missing"):
        with pytest.raises(Unusable, match=f"{name} cannot be read as (sound|a picture|video): .+") as told:
            read(tmp_path / name)
        assert "\n" not in str(told.value)


def test_the_reply_is_saved_as_it_was_heard(tmp_path: Path) -> None:
    save(Conversation(pcm16=bytearray(b"\x00\x40" * 240)), tmp_path / "r.wav")
    pcm, rate = soundfile.read(tmp_path / "r.wav")
    assert rate == 24_000
    assert pcm == pytest.approx(np.full(240, 0.5), abs=1e-3)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no/r.wav cannot be written"):
        save(Conversation(), tmp_path / "no" / "r.wav")


def test_both_transcripts_and_the_timings_are_shown() -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    sound = bytearray(48_000)
    got = Conversation("what is [it]", "A circle.", sound, first_audio_ms=310, total_ms=900, errors=["oops [/x]"])
    show(got, console)
    text = console.export_text()
    for part in ("what is [it]", "A circle.", "310 ms", "900 ms", "1000 ms of sound", "oops [/x]"):
        assert part in text
