"""Places, comparisons, print and motion: every answer is true, and a wrong one is not taken for it."""

import random

import pytest

from vivavoce.model.train import place_skills, read_skills, views, watch_skills
from vivavoce.model.train.evaluate import is_right
from vivavoce.model.train.printing import Print
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.turns import Memory, Turn
from vivavoce.model.train.views import View

CIRCLE = Thing("circle", "red", 0.2, 0.15, 0.12, 0.0)
STAR = Thing("star", "blue", 0.66, 0.5, 0.25, 0.0)
SQUARE = Thing("square", "red", 1.15, 0.85, 0.1, 0.0)
THREE = View((CIRCLE, STAR, SQUARE), 1)
ALL = place_skills.LOOK | read_skills.LOOK | watch_skills.LOOK


def answers(maker, scene, times=200):
    """All turns that a skill makes of a scene, by question, without politeness."""
    made = (maker(random.Random(seed), Memory(), scene, 0, False) for seed in range(times))
    return {(t.user, t.reply) for t in made if t}


def replies(maker, scene, *words):
    """The replies to questions that have all the words."""
    return {reply for user, reply in answers(maker, scene) if all(w in user.split() for w in words)}


def test_places_are_told_across_and_down():
    assert replies(place_skills.where, THREE, "circle") == {"The circle is on the left at the top."}
    assert replies(place_skills.where, THREE, "star") == {"The star is in the very middle."}
    assert replies(place_skills.where, THREE, "square") == {"The square is on the right at the bottom."}


def test_no_place_is_part_of_another():
    for place in place_skills.WHERE.values():
        for other in place_skills.WHERE.values():
            assert (place == other) == is_right(Turn("", "", "where", place), f"The star is {other}.")


def test_what_is_beside_a_thing_is_the_next_one():
    assert replies(place_skills.beside, THREE, "left", "square") == {"The blue star is left of it."}
    assert replies(place_skills.beside, THREE, "right", "circle") == {"The blue star is right of it."}
    assert replies(place_skills.beside, THREE, "left", "circle") == {"There is nothing left of the circle."}


def test_things_are_compared_by_size_colour_and_number():
    assert replies(place_skills.bigger, THREE, "biggest") == {"The star is biggest."}
    assert replies(place_skills.bigger, THREE, "bigger", "star") == {"The star is bigger."}
    assert not replies(place_skills.bigger, THREE, "circle", "square", "bigger")  # too near to tell
    two = View((CIRCLE, SQUARE), 1)
    assert replies(place_skills.same, two, "colour") == {"Yes, both are red."}
    assert replies(place_skills.same, two, "shape") == {"No, one is a circle and one is a square."}
    many = View((CIRCLE, STAR, Thing("star", "green", 1.1, 0.8, 0.1, 0.0)), 1)
    asked = {(u, r) for u, r in answers(place_skills.more, many) if "more circles than stars" in u}
    assert {reply for _, reply in asked} == {"No, there are more stars."}


def test_what_is_printed_is_read_and_nothing_is_read_off_a_bare_wall():
    card = View((), 1, prints=(Print("42", "lower", 0.6, 0.5, 0.2, 0.0, 0, True),))
    assert {reply for _, reply in answers(read_skills.read, card)} == {"It says forty two there."}
    assert all("word" not in user for user, _ in answers(read_skills.read, card))
    assert {reply for _, reply in answers(read_skills.read, THREE)} == {read_skills.NOTHING}
    assert not is_right(Turn("", "", "read", "says forty there"), "It says forty two there.")


def test_it_is_told_which_way_a_thing_goes_and_that_others_stand():
    view = View((CIRCLE, STAR), 1, drift=((0.0, 0.2), (0.0, 0.0)))
    assert replies(watch_skills.which_way, view, "circle") == {"The circle moves down."}
    assert replies(watch_skills.which_way, view, "star") == {"The star does not move."}
    assert replies(watch_skills.does_it_move, view, "circle", "down") == {"Yes, it moves down."}
    assert replies(watch_skills.does_it_move, view, "circle", "left") == {"No, it moves down."}


@pytest.mark.parametrize("seed", range(30))
def test_what_has_changed_is_what_differs(seed):
    first, then = watch_skills.changed(random.Random(seed))
    was, now = ({(t.colour, t.shape) for t in shown.scene.things} for shown in (first, then))
    if then.turn.slot == "nothing":
        assert was == now
    else:
        new, lost = now - was, was - now
        assert len(new) + len(lost) in (1, 2)
        assert all(any(word in then.turn.reply for word in pair) for pair in new or lost)
    assert first.scene.seed != then.scene.seed


def test_what_was_shown_meanwhile_is_not_what_is_shown_now():
    for seed in range(30):
        _, then = watch_skills.shown_meanwhile(random.Random(seed))
        thing = then.kept.things[0]
        assert then.turn.slot.endswith(f"{thing.colour} {thing.shape}")
        assert (thing.colour, thing.shape) not in {(t.colour, t.shape) for t in then.scene.things}


@pytest.mark.parametrize("name", ALL)
def test_every_slot_stands_in_its_reply_and_without_a_camera_nothing_is_seen(name):
    maker, _ = ALL[name]
    for seed in range(60):
        rng = random.Random(seed)
        for scene in (views.random_comparison(rng), views.random_reading(rng), views.random_motion(rng), Scene((), 1)):
            turn = maker(rng, Memory(), scene, 0, False)
            assert turn is None or is_right(turn, turn.reply)
        blind = maker(rng, Memory(), None, 0, False)
        assert blind is not None and blind.slot == "camera"
