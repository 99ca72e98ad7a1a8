"""Kitten is taught nothing false, and nothing that evaluation keeps back."""

import random

from vivavoce.model.train import skills, talk_skills, turns
from vivavoce.model.train.scenes import thing_is_held_out

TALKS = [skills.dialogue(random.Random(i)) for i in range(400)]
TURNS = [(talk.scene, turn) for talk in TALKS for turn in talk.turns]


def test_every_reply_holds_the_words_that_make_it_right():
    for _, turn in TURNS:
        assert turn.slot.lower() in turn.reply.lower(), turn


def test_colours_and_counts_are_those_of_the_scene():
    for scene, turn in TURNS:
        if turn.skill == "colour":
            shape = turn.reply.split()[1]
            assert turn.slot in {t.colour for t in scene.things if t.shape == shape}
        if turn.skill == "count" and turn.reply.rstrip(".").split()[-1] in ("shape", "shapes"):
            assert turn.slot == turns.number(len(scene.things))


def test_yes_means_it_is_there_and_no_that_it_is_not():
    for scene, turn in TURNS:
        if turn.skill == "is there":
            colour, shape = turn.reply.rstrip(".").split()[-2:]
            there = any((t.colour, t.shape) == (colour, shape) for t in scene.things)
            assert turn.reply.startswith("Yes") == there


def test_sums_are_right():
    names = {turns.number(n): n for n in range(21)}
    for _, turn in TURNS:
        if turn.skill == "arithmetic":
            a, sign, b = turn.reply.lower().split(" is ")[0].split()
            value = names[a] + names[b] if sign == "plus" else names[a] - names[b]
            assert turn.slot == f"is {turns.number(value)}"


def test_every_sum_is_practised_but_not_in_every_wording():
    def asked(held):
        made = [talk_skills.arithmetic(random.Random(seed), turns.Memory(), None, 0, held) for seed in range(6000)]
        return {turn.reply for turn in made}, {turn.user for turn in made}

    (practised, wordings), (_, others) = asked(False), asked(True)
    assert len(practised) == 2 * sum(range(1, 22))
    assert not wordings & others


def test_without_a_camera_kitten_says_so():
    for scene, turn in TURNS:
        if scene is None:
            assert turn.skill not in ("colour", "shape", "count", "is there", "describe")


def test_a_name_told_is_the_name_recalled_five_turns_later():
    for seed in range(40):
        talk = skills.recall_dialogue(random.Random(seed), 5)
        told, asked = talk.turns[0], talk.turns[-1]
        assert len(talk.turns) == 6
        assert asked.slot == told.slot
        assert asked.distance == 5


def test_training_never_shows_a_held_out_pair():
    for scene, _ in TURNS:
        if scene is not None:
            assert not any(thing_is_held_out(t.colour, t.shape) for t in scene.things)


def test_evaluation_shows_one_each_time():
    for seed in range(60):
        scene = skills.dialogue(random.Random(seed), held=True, turns=1, camera=1.0).scene
        assert any(thing_is_held_out(t.colour, t.shape) for t in scene.things)


def test_training_and_evaluation_share_no_phrase_to_repeat():
    def phrases(held):
        return {talk_skills.repeat(random.Random(i), turns.Memory(), None, 0, held).slot for i in range(300)}

    assert not phrases(True) & phrases(False)


def test_the_same_seed_is_the_same_conversation():
    assert skills.dialogue(random.Random(5)) == skills.dialogue(random.Random(5))
