"""What there is to be shown: as it was taken, in a mirror, and what moves in single frames too, each with its truth."""

import random

import numpy as np
import pytest

from vivavoce.model.config import VisionConfig
from vivavoce.model.train import (
    kitten,
    noticing,
    place_skills,
    printing,
    read_skills,
    seeing,
    views,
    watch_skills,
)
from vivavoce.model.train.gallery import Gallery, Taken, keys
from vivavoce.model.train.lexicon import SHAPES
from vivavoce.model.train.noticing import ACROSS, COLUMN, DOWN, MOVING
from vivavoce.model.train.printing import Print
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.turns import Memory
from vivavoce.model.train.views import View, glimpsed, in_a_mirror

CIRCLE = Thing("circle", "red", 0.2, 0.25, 0.13, 0.0)
STAR = Thing("star", "blue", 1.1, 0.7, 0.15, 0.0)
GOING = View((CIRCLE, STAR), 30, drift=((0.2, 0.0), (0.0, 0.0)))
CARD = View((), 31, prints=(Print("dog", "upper", 0.6, 0.5, 0.25, 0.0, 0, True),))
GRID = (8, 10)


def taken(scenes, config=None):
    config = config or kitten.config().vision
    made = [noticing.film((scene, scene.seed % noticing.SECONDS, config)) for scene in scenes]
    return Taken(scenes, np.stack([patches for patches, _ in made]), np.stack([truth for _, truth in made]))


@pytest.fixture(scope="module")
def gallery():
    return Gallery([taken([GOING, CARD])], GRID)


def told(truth, name):
    """Values of a column, row by row."""
    values = truth[..., COLUMN[name]]
    return values[values > 0].tolist()


def test_print_is_not_mirrored_and_only_what_moves_is_shown_in_single_frames(gallery):
    assert gallery.scenes == [GOING, CARD, in_a_mirror(GOING)]
    assert [(wall.mirrored, wall.still, len(wall.scenes)) for wall in gallery.walls] == [
        (False, False, 2),
        (True, False, 1),
        (False, True, 1),
        (True, True, 1),
    ]


def test_everything_is_known_by_a_number_in_the_same_order(gallery):
    assert keys(gallery.scenes) == [key for wall in gallery.walls for key in wall.keys]
    assert len(set(keys(gallery.scenes))) == 5
    lots = list(gallery.lots(size=1))
    patches = np.concatenate([patches for patches, _ in lots])
    assert len(patches) == 5
    for key, picture in zip(keys(gallery.scenes), patches, strict=True):
        assert (gallery.look(key) == picture).all()


def test_in_a_mirror_it_goes_the_other_way_and_stands_on_the_other_side(gallery):
    (_, truth), (_, twin), (_, frame), (_, turned) = list(gallery.lots())
    right, left, still = (MOVING.index(way) + 1 for way in ("right", "left", "still"))
    assert told(truth[0], "way") == [right, still]
    assert told(twin[0], "way") == [left, still]
    assert told(truth[0], "across") == [ACROSS.index("right") + 1]
    assert told(twin[0], "across") == [ACROSS.index("left") + 1]
    assert told(frame[0], "way") == told(turned[0], "way") == [still, still]


def test_a_single_frame_is_the_first_of_its_pair(gallery):
    pair, frame = (gallery.look(key).reshape(80, 3, 2, -1) for key in (GOING.seed, glimpsed(GOING)))
    assert (frame[:, :, 0] == pair[:, :, 0]).all()
    assert (frame[:, :, 1] == frame[:, :, 0]).all()
    assert (pair[:, :, 1] != pair[:, :, 0]).any()


@pytest.mark.parametrize("seed", range(6))
def test_first_pictures_are_told_as_second_ones_would_be(seed):
    """As many middles, and in each what the thing there is, unless two of them share a token."""
    scene = seeing.random_scenes(1, seed, held=False)[0]
    config: VisionConfig = kitten.config().vision
    _, first = seeing.photograph((scene, 0, config))
    _, second = noticing.film((scene, 0, config))
    both = noticing.with_more(first, scene, GRID)
    assert both.shape == second.shape
    for name in ("across", "down", "size", "kin", "way"):
        assert sorted(told(both, name)) == sorted(told(second, name))


def read_off(truth, turn):
    """What the words for a picture answer to where a thing is, which way it goes, and what is printed; None without a middle."""
    if turn.skill == "read":
        word, tens, units = (truth[:, COLUMN[name]].max() for name in ("word", "tens", "units"))
        last = len(noticing.NEW_NAMES["tens"])
        number = units - 1 if tens == last else 10 * (tens - 1) + units - 1
        return f"says {printing.PRINTED_WORDS[word - 1] if word else printing.spoken(number)} there"
    shape = next(name for name in SHAPES if name in turn.reply.split())
    middles = truth[(truth[:, 1] == SHAPES.index(shape) + 1) & (truth[:, seeing.TURN] > 0)]
    if len(middles) != 1:
        return None
    across, down, way = (middles[0, COLUMN[name]] - 1 for name in ("across", "down", "way"))
    if turn.skill == "way":
        return f"moves {MOVING[way]}" if way else "does not move"
    return place_skills.WHERE[ACROSS[across], DOWN[down]]


def test_whoever_reads_the_words_for_a_picture_can_answer_also_in_a_mirror():
    some = noticing.random_views(50, 9, held=False)
    gallery, known, skills = Gallery([taken(some)], GRID), [], set()
    makers = (place_skills.where, watch_skills.which_way, read_skills.read)
    for wall in gallery.walls:
        _, truth = wall.shown(slice(None), GRID)
        for index, scene in enumerate(() if wall.still else wall.scenes):
            asked = [maker(random.Random(seed), Memory(), scene, 0, False) for maker in makers for seed in range(3)]
            for turn in asked:
                if turn is None or (turn.skill == "read" and len(scene.prints) != 1):
                    continue
                told = read_off(truth[index], turn)
                known.append(told is not None)
                skills.add(turn.skill)
                assert told in (None, turn.slot), (scene, turn)
    assert skills == {"where", "way", "read"}
    assert np.mean(known) > 0.8, "of small things the token of the middle may have neither colour nor shape"


def test_a_plain_scene_has_a_mirror_image_and_is_known_by_its_seed_alone():
    scene = Scene((CIRCLE, STAR), 5)
    assert in_a_mirror(scene).things[0].shape == "star"
    assert glimpsed(scene) == scene.seed
    view = views.random_comparison(random.Random(1))
    assert glimpsed(view) == view.seed
