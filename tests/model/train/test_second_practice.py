"""What the second litter practises on before the camera: its own pictures among the others, and scenes that change."""

import copy
import random

import numpy as np
import pytest

from vivavoce.model.tokenizer import IMAGE_PAD, Tokenizer
from vivavoce.model.train import noticing, watch_skills
from vivavoce.model.train.cli import embedded
from vivavoce.model.train.evaluate import is_right
from vivavoce.model.train.examples import Stage
from vivavoce.model.train.gallery import keys
from vivavoce.model.train.practice import Practice, asked_again
from vivavoce.model.train.printing import PRINTED_WORDS
from vivavoce.model.train.seeing import random_scenes
from vivavoce.model.train.sights import balanced
from vivavoce.model.train.views import View, in_a_mirror, moves

VIEWS = noticing.random_views(40, 3, held=False)
CHANGES = [watch_skills.random_change(random.Random(seed)) for seed in range(12)]
OLD = random_scenes(20, 1, held=False)
SCENES = [*OLD, *VIEWS, *filter(None, map(in_a_mirror, VIEWS)), *(scene for pair in CHANGES for scene in pair)]
TOKENS = 6


@pytest.fixture(scope="module")
def practice():
    """Every picture shows the number of its place in the gallery, and nothing that is not there is asked for."""
    at = {key: index for index, key in enumerate(keys(SCENES))}
    stage = Stage(
        Tokenizer.load(embedded()),
        {},
        {},
        lambda key: np.full((TOKENS, len(noticing.SEEN_WORDS)), at[key], np.float16),
        TOKENS,
        words=noticing.SEEN_WORDS,
    )
    return Practice(stage, SCENES, [], 1500, litter=2, changes=CHANGES)


def test_half_of_the_pictures_are_the_second_litters_own():
    made = balanced([*OLD * 9, *VIEWS])
    assert 0.4 < sum(isinstance(scene, View) for scene in made) / len(made) < 0.6
    assert balanced(OLD) == OLD


@pytest.mark.parametrize("kind", ["look", "quiz"])
def test_all_pictures_are_practised_on_and_each_has_a_word_for_all_that_is_seen(practice, kind):
    seen = set()
    for step in range(10):
        for batch in practice.batches(step, {kind: 1.0}, voiced=0.0):
            for example in batch:
                assert example.names.shape == (len(noticing.SEEN_WORDS),)
                assert (example.rows[:, 0] == IMAGE_PAD).sum() == TOKENS * len(example.pictures)
                seen |= {int(picture[0, 0]) for picture in example.pictures}
    old, views = {i for i in seen if i < len(OLD)}, {i for i in seen if i >= len(OLD)}
    assert old and views


def test_about_a_change_and_what_was_shown_meanwhile_every_answer_is_true(practice):
    slots = set()
    for seed in range(80):
        talk = practice._show(random.Random(seed))
        asked = talk.turns[1]
        assert is_right(asked, asked.reply)
        if asked.skill == "changed":
            assert (talk.scene, asked.scene) in CHANGES
            assert asked.reply == watch_skills.difference(talk.scene, asked.scene)[0]
        else:
            assert asked.kept == talk.scene or watch_skills.another(talk.scene, asked.kept)
        slots.add(asked.skill if asked.slot not in ("nothing", "nothing else") else asked.slot)
    assert slots == {"changed", "meanwhile", "nothing", "nothing else"}


def test_where_things_have_changed_nothing_of_before_is_asked_again(practice):
    talk = practice._show(random.Random(1))
    assert asked_again(talk, random.Random(1)) == talk


def test_what_is_read_may_be_called_otherwise_on_the_card_and_in_the_answer_alike(practice):
    rng, other = random.Random(4), 0
    for _ in range(200):
        talk, names = practice._quiz(rng, 1)
        cards = isinstance(talk.scene, View) and talk.scene.prints
        assert not names or (set(PRINTED_WORDS) <= set(names)) == bool(cards)
        for turn in talk.turns:
            assert is_right(turn, turn.reply)
            if turn.skill == "read" and cards:
                for printed in talk.scene.prints:
                    assert names.get(printed.said, printed.said) in turn.reply
                    other += names.get(printed.said, printed.said) != printed.said
    assert other


class Anybody(dict):
    """Everything has been read aloud."""

    def get(self, text, default=()):
        return [np.zeros((20, 4), np.float16)]


def test_what_moves_is_seen_in_single_frames_where_they_were_kept(practice):
    assert any(moves(scene) for scene in SCENES)
    frames = range(len(SCENES), len(keys(SCENES)))
    aloud = copy.copy(practice)
    aloud.stage = aloud.clear = copy.copy(practice.stage)
    aloud.stage.heard = Anybody()
    seen = {
        int(picture[0, 0])
        for step in range(20)
        for batch in aloud.batches(step, {"look": 1.0}, voiced=0.0, typed={})
        for example in batch
        for picture in example.pictures
    }
    assert seen & set(frames)
    assert seen - set(frames)
