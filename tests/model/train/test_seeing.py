"""Mirrored, scrambled and shuffled pictures keep their truth."""

from dataclasses import replace

import numpy as np
import torch

from vivavoce.model.config import tiny
from vivavoce.model.train.lexicon import SHAPES
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.seeing import (
    ALIKE,
    ALL,
    COLOUR_NAMES,
    SEEN_WORDS,
    TURNS,
    Reader,
    flipped,
    grown,
    named,
    naming,
    said_in,
    say_what_is_seen,
    scrambled,
    shuffled,
    spelled,
    token_truth,
)
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector


def test_mirroring_moves_pixels_and_truth_alike():
    """A picture whose pixels hold their own column, and a truth that holds its token's column."""
    rows, columns, side = 2, 4, 14
    picture = np.tile(np.arange(columns * side), (rows * side, 1))
    patches = (
        picture.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(1, rows * columns, 1, side * side)
    )
    patches = np.repeat(patches, 6, axis=2).reshape(1, rows * columns, -1)
    truth = np.tile(np.arange(columns // 2)[None, :, None], (rows, 1, 7)).reshape(1, -1, 7)
    x, y = flipped(patches, truth, (rows, columns), across=True, down=False)
    mirrored = x.reshape(rows, columns, 6, side, side)[:, :, 0].transpose(0, 2, 1, 3).reshape(rows * side, -1)
    assert (mirrored == picture[:, ::-1]).all()
    assert (y.reshape(rows, 2, 7)[:, :, 0] == [1, 0]).all()


def test_mirrored_twice_is_the_same():
    rng = np.random.default_rng(0)
    patches, truth = rng.normal(size=(2, 8, 1176)), rng.integers(0, 5, (2, 4, 7))
    x, y = flipped(*flipped(patches, truth, (2, 4), across=True, down=True), (2, 4), across=True, down=True)
    assert (x == patches).all()
    assert (y == truth).all()


def test_in_the_middle_of_a_thing_stands_its_turn_and_how_many_there_are():
    """A red star, a blue star, another red one and a red circle: three turns, of which the circle has the first in a mirror."""
    row = [("red", "star"), ("blue", "star"), ("red", "star"), ("red", "circle")]
    scene = Scene(tuple(Thing(shape, colour, 0.1, 0.5, 0.1, 0.0) for colour, shape in row), seed=1)
    picture = np.full((40, 80), -1)
    for index, left in enumerate((5, 25, 45, 65)):
        picture[10:20, left : left + 10] = index
    truth = token_truth(scene, picture, 4, 8)[None]

    def told(truth, column):
        middles = truth.reshape(4, 8, -1)[1]
        assert not truth.reshape(4, 8, -1)[[0, 2, 3], :, 2:].any()
        return middles[middles[:, 2] > 0, column].tolist()

    turn, alike, kin, everything = range(2, 6)
    assert told(truth, turn) == [1, 2, 1, 3]
    assert told(truth, alike) == [2, 1, 2, 1]
    assert told(truth, kin) == [3, 3, 3, 1]
    assert told(truth, everything) == [4, 4, 4, 4]
    _, mirrored = flipped(np.zeros((1, 64, 6)), truth, (4, 16), across=True, down=False)
    assert told(mirrored, turn) == [1, 2, 3, 2]
    assert told(mirrored, alike) == [1, 2, 1, 2]


def test_scrambled_colours_keep_every_edge():
    """Pixels of one colour stay of one colour, and pixels of two colours stay apart."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3))
    inside = rng.random((5, 8, 392)) < 0.5
    patches = np.where(inside[:, :, None], first[:, None], second[:, None]).reshape(5, 8, -1)
    for picture, mask in zip(scrambled(patches, rng).reshape(5, 8, 3, -1).transpose(0, 1, 3, 2), inside, strict=True):
        assert np.ptp(picture[mask], axis=0).max() < 1e-6
        assert np.abs(picture[mask][0] - picture[~mask][0]).max() > 0.01
        assert np.abs(picture[mask][0] - first).max() > 0.01


def test_shuffled_tokens_take_their_truth_along():
    rng = np.random.default_rng(0)
    patches = np.arange(2 * 8 * 6, dtype=float).reshape(2, 8, 6)
    truth = patches.reshape(2, 4, 12)[:, :, :3]
    x, y = shuffled(patches, truth, rng)
    assert (x.reshape(2, 4, 12)[:, :, :3] == y).all()
    assert sorted(x[0].ravel()) == sorted(patches[0].ravel())
    assert (x != patches).any()


def test_grown_eyes_see_what_the_smaller_ones_saw():
    def reader(layers):
        config = replace(tiny().vision, num_hidden_layers=layers)
        return Reader(VisionEncoder(config), VisionProjector(config, 16), 16)

    torch.manual_seed(0)
    small, patches = reader(1), torch.randn(2, 8, 1176)
    large = grown(small, reader(3))
    for before, after in zip(small(patches, (2, 4)), large(patches, (2, 4)), strict=True):
        assert torch.equal(before, after)


def test_a_token_is_set_to_the_words_for_what_it_shows():
    """Wherever what is there can be read from the encoder, the projector says it, and says nothing of the wall."""
    torch.manual_seed(0)
    config = tiny()
    projector = VisionProjector(config.vision, config.backbone.hidden_size)
    truth = torch.zeros(40, 6, 7, dtype=torch.long)
    truth[..., :3] = torch.randint(0, 3, (40, 6, 3))
    truth *= truth[..., :2].prod(-1, keepdim=True) > 0
    signs = torch.randn(27, config.vision.hidden_size)
    seen = signs[truth[..., 0] * 9 + truth[..., 1] * 3 + truth[..., 2]].repeat_interleave(2, dim=1)
    words = torch.randn(len(SEEN_WORDS), config.backbone.hidden_size)
    names = naming(projector, seen, truth)
    say_what_is_seen(projector, names, words)
    said = projector(seen)
    wall = truth[..., 0] == 0
    assert said[wall].abs().max() < 0.1
    wanted = torch.from_numpy(spelled(truth.numpy())).float() @ words
    assert (said - wanted)[~wall].abs().max() < 0.1
    assert torch.allclose(named(projector, seen, names) @ words, said, atol=1e-4)


def test_eyes_that_never_err_name_what_is_there_and_nothing_else():
    truth = np.array([[[0] * 7, [3, 2, 0, 0, 0, 0, 0], [3, 2, 1, 1, 2, 4, 3]]])
    colour, shape = COLOUR_NAMES[2], SHAPES[1]
    words = [{SEEN_WORDS[i] for i in np.flatnonzero(token)} for token in spelled(truth)[0]]
    assert words == [set(), {colour, shape}, {colour, shape, TURNS[0], ALIKE[0], "two", ALL[3]}]


def test_what_the_last_layer_says_is_told_from_it_and_from_the_words():
    """Also where it was rounded; of two words with the same row it is the sum."""
    config = tiny()
    projector, words = VisionProjector(config.vision, 64), torch.randn(10, 64)
    names = torch.randn(config.vision.adaptor_dim + 1, 10)
    assert said_in(projector, words) is None
    say_what_is_seen(projector, names, words)
    assert torch.allclose(said_in(projector, words), names, atol=1e-3)
    assert said_in(projector, words[:7]) is None
    known = said_in(projector.bfloat16().float(), words)
    assert (known - names).norm() < 0.02 * names.norm()
    twice = torch.cat([words, words[:1]])
    say_what_is_seen(projector, torch.cat([names, names[:, :1]], 1), twice)
    assert torch.allclose(said_in(projector, twice) @ twice, torch.cat([names, names[:, :1]], 1) @ twice, atol=1e-2)
