"""Several voices speak the same codes, in one batch, and each as if it were alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.codecs.codec import CodecError, SpeechCodec
from vivavoce.codecs.compiled import CompiledDecoder
from vivavoce.codecs.config import CodecConfig, voice_names
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import SpeechFrame
from vivavoce.codecs.voices import Voices, examine, needed_bytes

SMALL = CodecConfig(
    codec_dimension=12, semantic_dim=10, semantic_token_nums=32, codec_codebook_size=5, codec_codebook_search_dim=4,
    decoder_dim=32, voice="nora",
)  # fmt: skip
FRAMES = [SpeechFrame((n * 7 % 32, n * 3 % 25, n * 11 % 25, n % 25)) for n in range(14)]


def speaker(name: str, seed: int, config: CodecConfig = SMALL) -> SpeechCodec:
    torch.manual_seed(seed)
    return SpeechCodec(SpeechDecoderNet(replace(config, voice=name)))


@pytest.fixture(scope="module")
def voices() -> Voices:
    return Voices(speaker("nora", 1), speaker("hugo", 2))


def checkpoint(folder: Path, voices: Voices) -> Path:
    for name, codec in voices._codecs.items():
        codec.save(folder if name == "nora" else folder / "voices" / name, torch.bfloat16)
    return folder


def test_whoever_asks_for_nobody_gets_the_first_voice(voices: Voices) -> None:
    assert voices.begin().codec is voices.begin("nora").codec
    assert voices.begin("hugo").codec is not voices.begin().codec


def test_an_unknown_voice_is_answered_with_those_there_are(voices: Voices) -> None:
    with pytest.raises(ValueError, match="no voice 'rex', there are nora, hugo"):
        voices.begin("rex")


@given(order=st.lists(st.integers(0, 3), min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_in_any_batch_a_voice_says_what_it_says_alone(voices: Voices, order: list[int]) -> None:
    """Four replies in two voices, stepped in any company: streaming gives the sound of the whole."""
    names = ["nora", "hugo", "hugo", "nora"]
    decoders, heard = [voices.begin(name) for name in names], [[] for _ in names]
    waiting = [list(FRAMES[number:]) for number in range(len(names))]

    def together(company: list[int]) -> None:
        speaking = [n for n in company if waiting[n]]
        chunks = voices.speak([(decoders[n], waiting[n].pop(0)) for n in speaking])
        for n, chunk in zip(speaking, chunks, strict=True):
            heard[n] += [] if chunk is None else [chunk.pcm]

    for last in order:
        together(list(range(last + 1)))
    while any(waiting):
        together(list(range(len(names))))
    for n, (name, decoder) in enumerate(zip(names, decoders, strict=True)):
        whole = voices.begin(name).codec.decode(FRAMES[n:]).pcm
        said = np.concatenate([*heard[n], decoder.flush().pcm])
        np.testing.assert_allclose(said, whole, atol=1e-4)


def test_both_are_compiled(voices: Voices) -> None:
    assert all(isinstance(codec.stepper, CompiledDecoder) for codec in voices._codecs.values())


def test_a_bad_code_of_one_voice_leaves_all_streams_as_they_were(voices: Voices) -> None:
    one, other = voices.begin("nora"), voices.begin("hugo")
    before = one.state, other.state
    with pytest.raises(ValueError, match="code 99"):
        voices.speak([(one, FRAMES[0]), (other, SpeechFrame((99, 0, 0, 0)))])
    assert (one.state, other.state) == before


def test_a_checkpoint_keeps_its_voices(tmp_path: Path, voices: Voices) -> None:
    folder = checkpoint(tmp_path, voices)
    assert examine(folder) == []
    assert voice_names(folder) == Voices.load(folder).names == ("nora", "hugo")
    alone, both = needed_bytes(folder / "voices" / "hugo"), needed_bytes(folder)
    assert both == 2 * alone


def test_a_voice_that_lacks_its_file_is_told_with_its_folder(tmp_path: Path, voices: Voices) -> None:
    folder = checkpoint(tmp_path, voices)
    (folder / "voices" / "hugo" / "decoder.pt").unlink()
    (told,) = examine(folder)
    assert told.endswith("voices/hugo/decoder.pt is missing")


def test_two_voices_of_one_name_and_voices_of_other_codes_are_refused(tmp_path: Path) -> None:
    same = speaker("nora", 1)
    same.save(tmp_path)
    same.save(tmp_path / "voices" / "twin")
    (told,) = examine(tmp_path)
    assert "2 voices are called 'nora'" in told
    with pytest.raises(CodecError, match="name of their own"):
        Voices(same, same)
    with pytest.raises(CodecError, match="voice hugo speaks"):
        Voices(same, speaker("hugo", 2, replace(SMALL, semantic_token_nums=40)))
