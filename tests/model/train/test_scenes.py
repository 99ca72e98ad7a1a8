"""Pictures show what the scene says."""

import random

import numpy as np
import pytest

from vivavoce.model.config import VisionConfig
from vivavoce.model.train import seeing
from vivavoce.model.train.lexicon import COLOURS, SHAPES
from vivavoce.model.train.scenes import Photographer, Scene, Thing, outline, random_scene

RED_CIRCLE = Scene((Thing("circle", "red", 0.66, 0.5, 0.3, 0.0),), seed=4)


def test_things_do_not_overlap_and_stand_from_left_to_right():
    for seed in range(50):
        things = random_scene(random.Random(seed)).things
        assert [t.x for t in things] == sorted(t.x for t in things)
        for i, a in enumerate(things):
            for b in things[i + 1 :]:
                assert np.hypot(a.x - b.x, a.y - b.y) > a.radius + b.radius


def test_where_the_truth_says_red_the_picture_is_red():
    for seed in range(8):
        scene = Scene(RED_CIRCLE.things, seed)
        photographer = Photographer(scene)
        if photographer.style != "filled":
            continue
        rgb, truth = photographer.shoot()
        middle = rgb[truth == 0].astype(float).mean(0)
        nearest = min(COLOURS, key=lambda c: np.abs(np.array(COLOURS[c]) - middle).sum())
        assert nearest in ("red", "orange")


def test_the_area_of_a_circle_is_that_of_a_circle():
    _, truth = Photographer(RED_CIRCLE, height=240).shoot()
    assert (truth == 0).sum() == pytest.approx(np.pi * (0.3 * 240) ** 2, rel=0.03)


def test_every_shape_fits_around_its_radius():
    for shape in SHAPES:
        points = np.array(outline(Thing(shape, "red", 0.5, 0.5, 0.2, 30.0), 100.0)) - 50
        assert 15 < np.hypot(*points.T).max() < 24


def test_two_shots_differ_and_the_same_shot_does_not():
    a, b = Photographer(RED_CIRCLE), Photographer(RED_CIRCLE)
    assert (a.shoot(0)[0] == b.shoot(0)[0]).all()
    assert (a.shoot(0)[0] != a.shoot(1)[0]).any()


def test_crowded_scenes_have_as_many_of_one_thing_as_of_five():
    counts = [len(scene.things) for scene in seeing.crowded(50, 3)]
    assert np.bincount(counts).tolist() == [0, 10, 10, 10, 10, 10]


def test_token_truth_names_the_thing_under_each_token():
    scene = Scene((Thing("circle", "red", 0.33, 0.5, 0.25, 0.0), Thing("star", "blue", 1.0, 0.5, 0.25, 0.0)), seed=1)
    _, truth = Photographer(scene).shoot()
    labels = seeing.token_truth(scene, truth, 8, 5)
    assert sorted(labels[labels[:, 2] > 0, 2]) == [1, 2]
    seen = {tuple(row[:2]) for row in labels if row[1]}
    red, blue = seeing.COLOUR_NAMES.index("red") + 1, seeing.COLOUR_NAMES.index("blue") + 1
    assert seen == {(red, SHAPES.index("circle") + 1), (blue, SHAPES.index("star") + 1)}


def test_a_photograph_has_as_many_truths_as_visual_tokens():
    config = VisionConfig(resize_factor=2, min_tokens=32, max_tokens=96)
    patches, truth = seeing.photograph((RED_CIRCLE, 0, config))
    assert len(truth) * 2 == len(patches)
