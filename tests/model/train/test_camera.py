"""What is before the camera from turn to turn is laid out as the server would: kept frames, then a pair every second."""

import numpy as np
import pytest

from vivavoce.codecs.media import VideoFrame
from vivavoce.model.tokenizer import AUDIO_PAD, AUDIO_START, IMAGE_PAD, train_tokenizer
from vivavoce.model.train.examples import Stage
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.turns import Dialogue, Turn
from vivavoce.model.train.views import View, glimpsed
from vivavoce.realtime.config import SamplerConfig
from vivavoce.realtime.sampler import Sampler

TOKENIZER = train_tokenizer(
    ["USER:", "ASSISTANT:", "\n", *(f"second{{{i}.{j}}}:" for i in range(30) for j in range(10))], 500
)
CIRCLE = Thing("circle", "red", 0.2, 0.25, 0.13, 0.0)
RED, BLUE, GREEN = (
    Scene((Thing("circle", c, 0.5, 0.5, 0.2, 0.0),), seed) for seed, c in enumerate(("red", "blue", "green"), 1)
)
GOING = View((CIRCLE,), 4, drift=((0.2, 0.0),))
TOKENS = 6
ASKED = Turn("what do you see", "I see a red circle.", "describe", "a red circle")


@pytest.fixture
def stage():
    """Each picture shows nothing but the number that it is known by."""
    sounds = {ASKED.user: [np.zeros((30, 4), np.float16)]}
    return Stage(TOKENIZER, sounds, {}, lambda key: np.full((TOKENS, 1), key), TOKENS, words=("red",))


def turns_of(example):
    """By turn: what of its pictures stands before its sound, and what in it, by their numbers."""
    made, pictures, text = [], iter(example.pictures), example.rows[:, 0].tolist()
    user = TOKENIZER.encode("USER:")
    starts = [i for i in range(len(text)) if text[i : i + len(user)] == user]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        before, during, heard = [], [], False
        for i in range(start, end):
            heard = heard or text[i] == AUDIO_START
            if text[i] == IMAGE_PAD and text[i - 1] != IMAGE_PAD:
                (during if heard or AUDIO_START not in text[i:end] else before).append(int(next(pictures)[0, 0]))
        made.append((before, during))
    assert next(pictures, None) is None
    return made


def laid_out(stage, talk, *, typed=0.0, watched=0.9, count=60):
    return [turns_of(stage.dialogue(talk, seed, typed=typed, written=1.0, watched=watched)) for seed in range(count)]


def all_of(turns):
    return [picture for before, during in turns for picture in (*before, *during)]


def test_what_is_shown_from_the_second_turn_on_is_seen_then_and_never_before(stage):
    talk = Dialogue((ASKED, Turn(ASKED.user, "It is blue now.", "changed", scene=BLUE), ASKED), RED)
    for typed in (0.0, 1.0):
        for first, second, third in laid_out(stage, talk, typed=typed):
            assert set(all_of([first])) == {RED.seed}
            shown = all_of([second])
            assert shown == sorted(shown), "what was there before was there before"
            assert shown[-1] == BLUE.seed
            assert set(all_of([third])) <= {BLUE.seed}


def test_frames_kept_show_the_change_itself(stage):
    talk = Dialogue((ASKED, Turn(ASKED.user, "It is blue now.", "changed", scene=BLUE)), RED)
    kept = [before for _, (before, _) in laid_out(stage, talk)]
    assert any(RED.seed in frames and BLUE.seed in frames for frames in kept)
    assert any(not frames or frames[0] == BLUE.seed for frames in kept)


def test_what_was_shown_meanwhile_is_among_the_kept_frames_and_only_there(stage):
    talk = Dialogue((ASKED, Turn(ASKED.user, "You showed me a green circle.", "meanwhile", kept=GREEN)), RED)
    for first, (before, during) in laid_out(stage, talk):
        assert set(all_of([first])) == {RED.seed}
        assert GREEN.seed in before
        assert len(before) <= 4 + 1, "the kept ones, and the first of the pairs"
        begin, end = before.index(GREEN.seed), len(before) - before[::-1].index(GREEN.seed)
        assert set(before[begin:end]) == {GREEN.seed}, "it is shown once, for a while"
        assert GREEN.seed not in during
    for _, written in laid_out(stage, talk, typed=1.0):
        assert GREEN.seed in all_of([written])


def test_the_servers_sampler_gives_such_a_turn(stage):
    """A camera of four frames a second; between two turns of speech a green circle is held up for three seconds."""
    sampler = Sampler(SamplerConfig(), keep_ms=300)
    for at_ms in range(0, 12_000, 250):
        scene = GREEN if 3_000 <= at_ms < 6_000 else RED
        sampler.see(VideoFrame(np.full((2, 2, 3), scene.seed, np.uint8), at_ms))
        if at_ms == 9_500:
            leading = sampler.open(9_500)
        sampler.hear(np.zeros(4_000, np.float32))
    portions = sampler.flush()
    kept, pairs = (
        [int(f.rgb[0, 0, 0]) for chunk in chunks for f in chunk.frames[:1]] for chunks in (leading, portions)
    )
    assert all(len(chunk.frames) == 1 and chunk.audio is None for chunk in leading)
    assert (kept, pairs) == ([GREEN.seed, GREEN.seed, RED.seed], [RED.seed] * 3)
    stamps = [chunk.start_ms - leading[0].start_ms for chunk in leading]
    assert max(np.diff(stamps)) <= 2_000

    talk = Dialogue((ASKED, Turn(ASKED.user, "You showed me a green circle.", "meanwhile", kept=GREEN)), RED)
    assert ([*kept, pairs[0]], pairs[1:]) in [turns[1] for turns in laid_out(stage, talk, watched=1.0, count=600)]


def test_single_frames_show_no_motion_and_pairs_do(stage):
    """Kept frames are single; a picture that was sent would be as well, so whoever asks about motion shows a second of it."""
    frame = glimpsed(GOING)
    assert frame != GOING.seed
    kept = 0
    for turns in laid_out(stage, Dialogue((ASKED, ASKED, ASKED), GOING)):
        for before, during in turns:
            assert set(before[:-1]) <= {frame}, "behind the kept ones comes at most the first of the pairs"
            assert set(during) <= {GOING.seed}
            kept += before.count(frame)
        assert GOING.seed in all_of(turns)
    assert kept
    for ((_, during),) in laid_out(stage, Dialogue((ASKED,), GOING), typed=1.0):
        assert during == [GOING.seed]


def test_a_scene_that_stays_needs_no_second_look(stage):
    talk = Dialogue((ASKED,) * 4, RED)
    for turns in laid_out(stage, talk, watched=0.0):
        assert all_of(turns) == [RED.seed]
        assert all_of(turns[:1]) == [RED.seed]


def test_sound_and_pictures_of_a_second_alternate(stage):
    example = stage.dialogue(Dialogue((ASKED,), RED), 3, typed=0.0, written=1.0, watched=1.0)
    text = example.rows[:, 0]
    assert (text == AUDIO_PAD).sum() == 30
    signs = "".join({IMAGE_PAD: "#", AUDIO_PAD: "."}.get(int(i), "") for i in text)
    assert "#." in signs
