"""The front door: a checkpoint folder in, one voice a reply out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.codecs.codec import CodecError, SpeechCodec, SpeechDecoder
from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import SpeechFrame

SMALL = CodecConfig(
    codec_dimension=12,
    semantic_dim=10,
    semantic_token_nums=20,
    codec_codebook_size=5,
    codec_codebook_search_dim=4,
    decoder_dim=32,
    ckpt_path="somewhere/else/voice.pt",
)


@pytest.fixture
def codec() -> SpeechCodec:
    torch.manual_seed(0)
    return SpeechCodec(SpeechDecoderNet(SMALL))


def sentence(frames: int) -> list[SpeechFrame]:
    dice = np.random.default_rng(frames)
    return [SpeechFrame((int(dice.integers(20)), *dice.integers(0, 25, 3).tolist())) for _ in range(frames)]


def test_a_voice_says_frame_by_frame_what_the_codec_says_at_once(codec: SpeechCodec) -> None:
    voice, frames = SpeechDecoder(codec), sentence(8)
    chunks = [voice.push(frame) for frame in frames]
    assert chunks[:3] == [None, None, None]
    spoken = [chunk for chunk in chunks if chunk] + [voice.flush()]
    assert [chunk.ms for chunk in spoken] == [60] * 5 + [180]
    assert [chunk.start for chunk in spoken] == [1440 * n for n in range(6)]
    assert {chunk.rate for chunk in spoken} == {24_000}
    joined = np.concatenate([chunk.pcm for chunk in spoken])
    np.testing.assert_allclose(joined, codec.decode(frames).pcm, atol=1e-4)


def test_a_short_word_is_all_in_the_flush(codec: SpeechCodec) -> None:
    voice, frames = SpeechDecoder(codec), sentence(2)
    assert [voice.push(frame) for frame in frames] == [None, None]
    np.testing.assert_allclose(voice.flush().pcm, codec.decode(frames).pcm, atol=1e-4)


def test_a_copied_voice_goes_its_own_way(codec: SpeechCodec) -> None:
    voice, frames = SpeechDecoder(codec), sentence(6)
    for frame in frames[:4]:
        voice.push(frame)
    twin = voice.copy()
    twin.flush()
    for frame in frames[4:]:
        voice.push(frame)
    rest = voice.flush()
    assert rest.start == 3 * 1440
    np.testing.assert_allclose(rest.pcm, codec.decode(frames).pcm[3 * 1440 :], atol=1e-4)


@settings(deadline=None)
@given(begins=st.lists(st.integers(0, 6), min_size=1, max_size=5), turns=st.integers(1, 9))
def test_voices_decoded_together_sound_as_each_alone(begins: list[int], turns: int) -> None:
    """Whoever shares the pass, and however far each of them has come."""
    torch.manual_seed(0)
    codec = SpeechCodec(SpeechDecoderNet(SMALL))
    lines = [sentence(10 + n) for n in range(len(begins))]
    voices = [SpeechDecoder(codec) for _ in begins]
    heard: list[list[np.ndarray]] = [[] for _ in begins]
    for turn in range(turns):
        present = [n for n, begin in enumerate(begins) if begin <= turn]
        for n, chunk in zip(
            present, codec.speak([(voices[n], lines[n][turn - begins[n]]) for n in present]), strict=True
        ):
            heard[n] += [] if chunk is None else [chunk.pcm]
    for n, begin in enumerate(begins):
        said = np.concatenate([*heard[n], voices[n].flush().pcm])
        np.testing.assert_allclose(said, codec.decode(lines[n][: max(0, turns - begin)]).pcm, atol=1e-4)


def test_one_bad_code_leaves_all_voices_as_they_were(codec: SpeechCodec) -> None:
    good, bad = SpeechDecoder(codec), SpeechDecoder(codec)
    with pytest.raises(ValueError, match="code 25 of stream 1 is not below 25"):
        codec.speak([(good, sentence(1)[0]), (bad, SpeechFrame((0, 25, 0, 0)))])
    assert len(good.flush().pcm) == 0


def test_a_flushed_voice_is_silent_and_takes_no_more(codec: SpeechCodec) -> None:
    voice = SpeechDecoder(codec)
    assert len(voice.flush().pcm) == len(voice.flush().pcm) == 0
    with pytest.raises(RuntimeError, match="flushed after 0 samples"):
        voice.push(sentence(1)[0])


def test_a_code_out_of_range_is_named_and_leaves_the_voice_as_it_was(codec: SpeechCodec) -> None:
    voice, frames = SpeechDecoder(codec), sentence(5)
    with pytest.raises(ValueError, match="code 25 of stream 2 is not below 25"):
        voice.push(SpeechFrame((0, 0, 25, 0)))
    with pytest.raises(ValueError, match="code 20 of stream 0 is not below 20"):
        codec.decode([SpeechFrame((20, 0, 0, 0))])
    chunks = [chunk for chunk in map(voice.push, frames) if chunk] + [voice.flush()]
    joined = np.concatenate([chunk.pcm for chunk in chunks])
    np.testing.assert_allclose(joined, codec.decode(frames).pcm, atol=1e-4)


def test_no_frames_make_no_sound(codec: SpeechCodec) -> None:
    assert len(codec.decode([]).pcm) == 0


@pytest.mark.parametrize("dtype, off", [(torch.float32, 0.0), (torch.bfloat16, 0.05)])
def test_a_saved_codec_speaks_the_same_when_loaded(
    codec: SpeechCodec, tmp_path: Path, dtype: torch.dtype, off: float
) -> None:
    codec.save(tmp_path, dtype)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "voice.pt"]
    loaded = SpeechCodec.load(tmp_path)
    np.testing.assert_allclose(loaded.decode(sentence(4)).pcm, codec.decode(sentence(4)).pcm, atol=off)


def test_a_decoder_with_one_acoustic_stage_leaves_out_the_other_codes() -> None:
    one = CodecConfig(codec_dimension=12, semantic_dim=10, semantic_token_nums=20, codec_codebook_size=5,
                      codec_codebooks=1, decoder_dim=32)  # fmt: skip
    codec = SpeechCodec(SpeechDecoderNet(one))
    first, other = (codec.decode([SpeechFrame((3, 7, tail, tail))]).pcm for tail in (0, 9000))
    np.testing.assert_array_equal(first, other)


def test_tensors_that_do_not_fit_are_all_named_with_both_shapes(codec: SpeechCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    weights = torch.load(tmp_path / "voice.pt", weights_only=True)
    del weights["decoder.model.5.alpha"]
    weights["decoder.model.9.alpha"] = torch.ones(1)
    weights["semantic_dequantizer.dequant.weight"] = torch.ones(21, 10)
    torch.save(weights, tmp_path / "voice.pt")
    with pytest.raises(CodecError) as error:
        SpeechCodec.load(tmp_path)
    said = str(error.value)
    assert "voice.pt" in said
    assert "decoder.model.5.alpha [1, 2, 1] is missing" in said
    assert "decoder.model.9.alpha [1] is not the decoder's" in said
    assert "semantic_dequantizer.dequant.weight should be [20, 10], is [21, 10]" in said


def test_a_file_that_is_no_checkpoint_is_named(codec: SpeechCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    for rubbish in (b"hello", b""):
        (tmp_path / "voice.pt").write_bytes(rubbish)
        with pytest.raises(CodecError, match="voice.pt: not a file of weights"):
            SpeechCodec.load(tmp_path)
    torch.save([1, 2], tmp_path / "voice.pt")
    with pytest.raises(CodecError, match="voice.pt: not a table of tensors"):
        SpeechCodec.load(tmp_path)
    (tmp_path / "voice.pt").unlink()
    with pytest.raises(FileNotFoundError, match="voice.pt"):
        SpeechCodec.load(tmp_path)


def test_the_wrong_kind_of_decoder_is_named(codec: SpeechCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("24k", "16k"))
    with pytest.raises(CodecError, match="16k"):
        SpeechCodec.load(tmp_path)
