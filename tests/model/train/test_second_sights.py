"""Places, comparisons, print and motion: every answer is true, and a wrong one is not taken for it."""

import random
from dataclasses import replace

import pytest

from vivavoce.model.train import place_skills, read_skills, skills, views, watch_skills
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


def test_of_two_things_in_between_nobody_asks_which_is_bigger():
    """The eyes tell the biggest and the smallest."""
    radii = {"circle": 0.08, "star": 0.11, "square": 0.15, "cross": 0.2}
    things = tuple(Thing(shape, "red", 0.3 * i, 0.5, radius, 0.0) for i, (shape, radius) in enumerate(radii.items()))
    asked = {user for user, _ in answers(place_skills.bigger, View(things, 1), 600)}
    pairs = [{shape for shape in radii if shape in user.split()} for user in asked]
    assert {"star", "square"} not in pairs
    assert {"circle", "star"} in pairs
    assert {"circle", "cross"} in pairs


def test_it_is_told_which_way_a_thing_goes_and_that_others_stand():
    view = View((CIRCLE, STAR), 1, drift=((0.0, 0.2), (0.0, 0.0)))
    assert replies(watch_skills.which_way, view, "circle") == {"The circle moves down."}
    assert replies(watch_skills.which_way, view, "star") == {"The star does not move."}
    assert replies(watch_skills.does_it_move, view, "circle", "down") == {"Yes, it moves down."}
    assert replies(watch_skills.does_it_move, view, "circle", "left") == {"No, it moves down."}


@pytest.mark.parametrize("seed", range(30))
def test_what_has_changed_is_what_differs_also_in_a_mirror(seed):
    before, after = watch_skills.random_change(random.Random(seed))
    said = watch_skills.difference(before, after)
    assert said == watch_skills.difference(views.in_a_mirror(before), views.in_a_mirror(after))
    was, now = ({(t.colour, t.shape) for t in scene.things} for scene in (before, after))
    new, lost = now - was, was - now
    assert all(any(word in said[0] for word in pair) for pair in new or lost)
    assert (said[1] == "nothing") == (was == now)
    first, then = watch_skills.asked_what_changed(random.Random(seed), before, after).turns
    assert (first.skill, then.reply, then.scene) == ("describe", said[0], after)
    assert before.seed != after.seed


def test_what_was_shown_meanwhile_is_not_what_is_shown_now_and_sometimes_it_is_nothing():
    slots = set()
    for seed in range(60):
        talk = watch_skills.shown_meanwhile(random.Random(seed), 2, False)
        asked = talk.turns[1]
        assert is_right(asked, asked.reply)
        slots.add(asked.slot == "nothing else")
        if asked.kept == talk.scene:
            assert asked.slot == "nothing else"
        else:
            assert watch_skills.another(talk.scene, asked.kept)
            assert asked.slot.endswith(f"{asked.kept.things[0].colour} {asked.kept.things[0].shape}")
    assert slots == {True, False}


def test_a_card_is_described_by_what_stands_on_it():
    def seen(view):
        return replies(read_skills.what_do_you_see, view)

    word = Print("dog", "upper", 0.5, 0.8, 0.2, 0.0, 0, True)
    assert seen(View((), 1, prints=(word,))) == {"I see the word dog."}
    assert seen(View((CIRCLE, STAR), 1, prints=(word,))) == {"I see a red circle, a blue star and the word dog."}
    assert seen(View((), 1, prints=(replace(word, text="21"),))) == {"I see the number twenty one."}
    passing = View((CIRCLE, STAR), 1, drift=((0.3, 0.0), (0.0, 0.0)))
    assert not seen(passing), "who is first depends on when they looked"


def test_in_a_mirror_left_is_right_and_print_is_not_mirrored():
    view = View((CIRCLE, STAR), 1, drift=((0.1, 0.0), (0.0, 0.2)))
    twin = views.in_a_mirror(view)
    assert [t.shape for t in twin.things] == ["star", "circle"]
    assert [twin.way(i) for i in range(2)] == ["down", "left"]
    assert views.in_a_mirror(twin).drift == view.drift
    assert views.in_a_mirror(replace(view, prints=(Print("dog", "upper", 0.5, 0.8, 0.2, 0.0, 0, True),))) is None


def test_a_conversation_of_the_second_litter_asks_about_all_that_it_sees():
    talks = [skills.dialogue(random.Random(i), litter=2, camera=1.0) for i in range(400)]
    talks += [skills.quiz(random.Random(i), talk.scene, 6, litter=2) for i, talk in enumerate(talks[:100])]
    turns = [turn for talk in talks for turn in talk.turns]
    assert all(is_right(turn, turn.reply) for turn in turns)
    assert {"where", "beside", "bigger", "same", "more", "read", "does it say", "way", "does it move"} <= {
        turn.skill for turn in turns
    }
    cards = [turn for talk in talks if not talk.scene.things for turn in talk.turns if turn.skill == "count"]
    assert {turn.slot for turn in cards} == {"no"}
    read = [turn for talk in talks for turn in talk.turns if turn.skill == "read"]
    assert 0.1 < sum("printed" in turn.slot for turn in read) / len(read) < 0.6, "what is not there is asked for, too"


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
