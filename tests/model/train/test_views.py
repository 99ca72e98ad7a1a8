"""What is printed and what moves: the pictures show it, and the truth of every token says it."""

import random

import numpy as np
import pytest

from vivavoce.model.config import VisionConfig
from vivavoce.model.images import smart_resize
from vivavoce.model.train import noticing, printing, seeing, views
from vivavoce.model.train.noticing import ACROSS, COLUMN, DOWN, MOVING, SIZES, UNKNOWN
from vivavoce.model.train.printing import PRINTED_WORDS, Print
from vivavoce.model.train.scenes import Photographer, Scene, Thing
from vivavoce.model.train.views import View, photographer_of

CAMERA = VisionConfig(resize_factor=2, min_tokens=32, max_tokens=96)
CIRCLE = Thing("circle", "red", 0.3, 0.5, 0.12, 0.0)
STAR = Thing("star", "blue", 1.1, 0.8, 0.2, 0.0)
WORD = Print("river", "upper", 0.66, 0.5, 0.2, 0.0, 0, True)


def seen(view, second=0):
    """Token truth on the grid of a picture."""
    _, truth = noticing.film((view, second, CAMERA))
    height, width = smart_resize(240, 320, CAMERA)
    return truth.reshape(height // 14, width // 28, -1)


def told(view, name, second=0):
    """What the middles of things say in one column, from left to right."""
    truth = seen(view, second)
    rows, columns = np.nonzero(truth[..., seeing.TURN])
    return truth[rows, columns, COLUMN[name]][np.argsort(columns)].tolist()


def test_a_thing_that_goes_right_is_farther_right_in_every_frame():
    film = photographer_of(View((CIRCLE,), 5, drift=((0.2, 0.0),)))
    middles = [np.nonzero(film.shoot(shot)[1] == 0)[1].mean() for shot in range(6)]
    assert all(15 < after - before < 33 for before, after in zip(middles, middles[1:], strict=False))


def test_the_frames_of_a_second_belong_together_wherever_a_question_begins():
    film = photographer_of(View((CIRCLE,), 5, drift=((0.2, 0.0),)))
    for start_ms in (0, 1500, 2000, 7300):
        first, then = film.at(start_ms, 0), film.at(start_ms, 1)
        red = [np.nonzero((f[..., 0].astype(int) - f[..., 2]) > 90)[1].mean() for f in (first, then)]
        assert red[1] > red[0] + 10


def test_nothing_moves_in_a_scene_and_the_shots_are_those_of_before():
    scene = Scene((CIRCLE, STAR), 9)
    still = photographer_of(scene)
    assert type(still) is Photographer
    assert (still.at(2500, 1) == Photographer(scene).shoot(10)[0]).all()


def test_tokens_under_a_line_of_print_say_its_word_and_no_others_do():
    truth = seen(View((), 3, prints=(WORD,)))
    there = truth[..., COLUMN["word"]]
    assert set(there.ravel()) == {0, PRINTED_WORDS.index("river") + 1}
    rows, columns = np.nonzero(there)
    assert 2 <= len(rows) <= 8
    assert set(rows) <= {2, 3, 4, 5}
    assert not truth[..., : noticing.OLD].any()


def test_print_can_be_told_from_its_card():
    for seed in range(6):
        film = photographer_of(View((), seed, prints=(WORD,)))
        picture, truth = film.shoot(0)
        assert picture[truth == 0].astype(float).std(0).max() > 15


@pytest.mark.parametrize(
    ("text", "word", "tens", "units"), [("river", 15, 0, 0), ("7", 0, 11, 8), ("40", 0, 5, 1), ("13", 0, 2, 4)]
)
def test_numbers_are_read_digit_by_digit(text, word, tens, units):
    assert noticing.letters(text) == (word, tens, units)


def test_numbers_are_said_as_people_say_them():
    assert [printing.spoken(n) for n in (0, 13, 20, 21, 90, 99)] == [
        "zero",
        "thirteen",
        "twenty",
        "twenty one",
        "ninety",
        "ninety nine",
    ]


def test_in_the_middle_of_a_thing_stands_where_it_is_how_big_and_that_it_stands():
    view = View((CIRCLE, STAR), 4)
    assert told(view, "across") == [ACROSS.index("left") + 1, ACROSS.index("right") + 1]
    assert told(view, "down") == [DOWN.index("middle") + 1, DOWN.index("bottom") + 1]
    assert told(view, "size") == [SIZES.index("smallest") + 1, SIZES.index("biggest") + 1]
    assert told(view, "way") == [1, 1]
    assert told(view, "kin") == [1, 1]


def test_of_what_moves_nobody_asks_where_it_is_but_which_way_it_goes():
    view = View((CIRCLE,), 4, drift=((0.0, -0.15),))
    assert told(view, "way") == [MOVING.index("up") + 1]
    assert told(view, "across") == [UNKNOWN]


def test_borders_are_not_asked_for():
    assert views.across(4 / 9) is None
    assert views.down(0.33) is None
    assert (views.across(0.2), views.down(0.95)) == ("left", "bottom")
    near = (CIRCLE, Thing("star", "blue", 1.1, 0.8, 0.13, 0.0))
    assert views.size(near, 0) is None
    assert views.size((CIRCLE,), 0) is None


def test_eyes_that_never_err_name_each_column_once():
    truth = np.full((1, 1, noticing.COLUMNS), UNKNOWN)
    truth[0, 0, COLUMN["tens"]], truth[0, 0, COLUMN["units"]] = 5, 3
    said = [noticing.SEEN_WORDS[i] for i in np.flatnonzero(noticing.spelled(truth)[0, 0])]
    assert said == ["fourteen", "two"]


def test_borrowed_words_stand_for_one_thing_each():
    borrowed = [w for name, words in noticing.NEW_NAMES.items() if name != "units" for w in words]
    assert len(set(borrowed)) == len(borrowed)
    assert not set(borrowed) & set(seeing.SEEN_WORDS)


def test_drawn_views_are_clear_and_the_same_for_a_seed():
    for seed in range(20):
        view = views.random_motion(random.Random(seed))
        assert views.keeps_clear(view)
        assert view == views.random_motion(random.Random(seed))
        compared = views.random_comparison(random.Random(seed)).things
        assert sum(views.size(compared, i) == "biggest" for i in range(len(compared))) == 1


def test_what_is_held_out_is_never_printed_in_training():
    rng = random.Random(0)
    for _ in range(200):
        for p in views.random_reading(rng).prints:
            assert not (p.text.isdigit() and printing.number_is_held_out(int(p.text)))
            assert p.text.isdigit() or not printing.word_is_held_out(p.text, p.style)
