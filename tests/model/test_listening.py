"""The user's turn: sound and pictures of every second in their place, however late the sound is final."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_host import Toy, chunk, sound

from vivavoce.codecs.fbank import fbank
from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.codecs.splice import splice
from vivavoce.model import prompt
from vivavoce.model.listening import Draft, Scribe, UserTurn
from vivavoce.model.senses import Ear, Look, collapse, see
from vivavoce.model.tokenizer import AUDIO_END, AUDIO_PAD, AUDIO_START, IMAGE_PAD


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="module")
def scribe(toy: Toy) -> Scribe:
    return Scribe(toy.omni, toy.tokenizer, Ear(toy.omni, toy.cmvn))


def turn_of(scribe: Scribe, *chunks: MediaChunk) -> Draft:
    turn, whole = UserTurn(), Draft()
    for media in chunks:
        turn, draft = scribe.listen(turn, media)
        whole += draft
    _, draft = scribe.close(turn)
    return whole + draft


def heard_offline(toy: Toy, wave: np.ndarray) -> torch.Tensor:
    """[T, D]: the whole clip through the encoder at once."""
    audio = toy.omni.config.audio
    frames = toy.cmvn(fbank(wave, audio.fbank))
    rows = splice(frames, audio.splice_left, audio.splice_right, audio.stride)
    with torch.inference_mode():
        return toy.omni.hear(torch.from_numpy(rows)[None])[0]


def outline(draft: Draft) -> str:
    """`u` for text, `<` and `>` for the ends of sound, numbers for sound tokens, `#` for a picture."""
    signs = {AUDIO_START: "<", AUDIO_END: ">", AUDIO_PAD: "a", IMAGE_PAD: "#"}
    line, run = "", 0
    for text in [*prompt.join(*draft.ids)[:, 0].tolist(), -1]:
        if text == AUDIO_PAD:
            run += 1
            continue
        line, run = line + (str(run) if run else ""), 0
        sign = signs.get(text, "u")
        if not line.endswith(sign):
            line += sign
    return line


def test_three_seconds_with_pictures(scribe: Scribe) -> None:
    """Every second's pictures before its sound; 38 tokens, of which the last second takes what 12 and 13 leave."""
    draft = turn_of(scribe, chunk(0, frames=2), chunk(1000, frames=2), chunk(2000, frames=2))
    assert outline(draft) == "u#<12u#13u#13>u"


def test_a_short_last_second(scribe: Scribe) -> None:
    assert outline(turn_of(scribe, chunk(0, frames=2), chunk(1000, 300, frames=1))) == "u#<12u#4>u"


def test_pictures_kept_from_before_lead_the_turn(scribe: Scribe, toy: Toy) -> None:
    draft = turn_of(scribe, chunk(0, ms=0, frames=1), chunk(2000, ms=0, frames=1), chunk(3000, 1000, frames=2))
    assert outline(draft) == "u#u#u#<13>u"
    said = toy.tokenizer.decode([int(t) for t in prompt.join(*draft.ids)[:, 0] if t not in (AUDIO_PAD, IMAGE_PAD)])
    assert said.startswith("USER:second{0.0}:second{2.0}:second{3.0}:<|audio|>")


def test_no_sound_is_no_span(scribe: Scribe) -> None:
    assert outline(turn_of(scribe, MediaChunk(0, sound(20), (), dense=True))) == "u"


def test_a_turn_that_never_began_writes_nothing(scribe: Scribe) -> None:
    assert scribe.close(UserTurn())[1].length == 0


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, 2399), max_size=6, unique=True))
def test_sound_in_any_pieces_is_heard_as_a_whole(scribe: Scribe, toy: Toy, cuts: list[int]) -> None:
    wave = sound(2400).pcm
    pieces = np.split(wave, [16 * cut for cut in sorted(cuts)])
    draft = turn_of(scribe, *(MediaChunk(0, AudioChunk(p, 16_000, 0), (), dense=True) for p in pieces))
    torch.testing.assert_close(torch.cat(draft.sound), heard_offline(toy, wave), atol=1e-4, rtol=1e-4)


def test_an_old_turn_is_the_way_back(scribe: Scribe) -> None:
    turn, _ = scribe.listen(UserTurn(), chunk(0))
    scribe.close(turn)
    _, once = scribe.listen(turn, chunk(1000))
    _, again = scribe.listen(turn, chunk(1000))
    torch.testing.assert_close(torch.cat(once.sound), torch.cat(again.sound))


def test_text_and_stills_stand_between_spans_of_sound(scribe: Scribe) -> None:
    turn, whole = scribe.listen(UserTurn(), chunk(0))
    turn, draft = scribe.show(turn, Look(chunk(0, frames=1).frames[0].rgb))
    whole += draft
    turn, draft = scribe.write(turn, "what is this?")
    whole += draft
    turn, draft = scribe.listen(turn, chunk(0))
    whole += draft + scribe.close(turn)[1]
    assert outline(whole) == "u<13>#u<13>u"


def test_pictures_of_two_sources_stand_before_the_sound_of_their_second(scribe: Scribe) -> None:
    screen = chunk(1000, ms=0, frames=2)
    draft = turn_of(scribe, chunk(0, frames=2), screen, chunk(1000, frames=2), chunk(2000))
    assert outline(draft) == "u#<12u#u#26>u"


def test_a_picture_of_low_detail_takes_fewer_positions(scribe: Scribe) -> None:
    wide = np.zeros((720, 1280, 3), np.uint8)
    taken = []
    for detail in ("high", "auto", "low"):
        turn, draft = scribe.show(UserTurn(), Look(wide, detail=detail))
        frame = MediaChunk(0, None, (VideoFrame(wide, 0, detail=detail),), dense=False)
        assert scribe.listen(UserTurn(), frame)[1].usage().image_in == draft.usage().image_in
        taken.append(draft.usage().image_in)
    assert taken[0] == taken[1] > taken[2] > 0


def test_usage_counts_positions_by_kind(scribe: Scribe, toy: Toy) -> None:
    turn, _ = scribe.listen(UserTurn(), chunk(0, frames=1))
    turn, _ = scribe.close(turn)
    pixels = chunk(0, frames=1).frames[0].rgb
    assert turn.usage.image_in == len(see(toy.omni, pixels))
    assert turn.usage.audio_in == len(heard_offline(toy, sound(1000).pcm))


def test_letters_repeat_only_across_a_blank() -> None:
    assert collapse((0, 5, 5, 0, 5, 6, 6, 0)) == [5, 5, 6]
    assert collapse(()) == []
