"""Photographs are asked only for what their labels say, and only where they are at hand."""

import numpy as np
from PIL import Image

from vivavoce.model.train import photos
from vivavoce.model.train.lexicon import COLOURS, SHAPES


def test_what_is_asked_of_a_photograph_is_what_its_label_says(tmp_path):
    paths = {name: tmp_path / "any.png" for name in photos.PHOTOS}
    talks = photos.questions(paths, 3)
    assert talks == photos.questions(paths, 3)
    slots = {t.turns[0].slot for t in talks if t.turns[0].skill in ("colour", "shape")}
    assert slots == {"red", "orange", "circle"}
    assert slots <= {*COLOURS, *SHAPES}
    assert sum(t.turns[0].slot == "no" for t in talks) == len(photos.PHOTOS)


def test_a_photograph_is_held_before_the_camera_and_not_quite_still(tmp_path):
    Image.fromarray(np.arange(400 * 300 * 3, dtype=np.uint32).reshape(300, 400, 3).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    slide = photos.Slide(photos.Photo((), 1, True, tmp_path / "a.png"))
    first, then = slide.at(0, 0), slide.at(0, 1)
    assert first.shape == then.shape == (240, 320, 3)
    assert (first != then).any()
    assert (first == slide.at(0, 0)).all()


def test_without_the_packages_there_is_nothing_to_ask(monkeypatch):
    monkeypatch.setattr(photos.importlib.util, "find_spec", lambda name: None)
    assert photos.questions(photos.at_hand(), 1) == []
