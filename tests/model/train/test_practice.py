"""What the language model practises on: truth is kept, batches keep to their size, and a step always gives the same one."""

import hashlib
import random

import numpy as np
import pytest

from vivavoce.model.tokenizer import AUDIO_PAD, EOS, IMAGE_PAD, PAD, train_tokenizer
from vivavoce.model.train import lexicon as lx
from vivavoce.model.train import skills
from vivavoce.model.train.examples import Stage
from vivavoce.model.train.lexicon import SHAPES
from vivavoce.model.train.practice import Practice, asked_again, renamed, swapped
from vivavoce.model.train.sayings import Saying
from vivavoce.model.train.scenes import Scene, Thing, mirrored
from vivavoce.model.train.seeing import COLOUR_NAMES, random_scenes
from vivavoce.model.train.turns import Dialogue, Turn

TOKENIZER = train_tokenizer(
    ["USER:", "ASSISTANT:", "VOICE ASSISTANT:", "\n", "The circle is red.", *(f" {w}" for w in lx.CONTENT)] * 20, 700
)
SCENES = random_scenes(8, 1, held=False)
TALKS = [skills.dialogue(random.Random(i), turns=1 + i % 7, camera=0.0) for i in range(70)]
SPOKEN = {turn.user: [np.ones((20, 4), np.float16)] for talk in TALKS for turn in talk.turns}
CODES = {Saying(turn.reply): [np.ones((30 + len(turn.reply), 4), np.int64)] for talk in TALKS for turn in talk.turns}


@pytest.fixture
def practice():
    stage = Stage(TOKENIZER, SPOKEN, CODES, lambda _: np.zeros((6, 33), np.float16), 6)
    return Practice(stage, SCENES, TALKS, rows=1500)


@pytest.mark.parametrize("kind", ["aloud", "drill", "talk", "look", "quiz", "spoken"])
def test_a_batch_comes_from_its_step_and_keeps_to_its_size(practice, kind):
    for step in range(12):
        step_now, again = (practice.batches(step, {kind: 1.0}, voiced=0.5) for _ in range(2))
        for batch, same in zip(step_now, again, strict=True):
            assert all((a.rows == b.rows).all() for a, b in zip(batch, same, strict=True))
            assert len(batch) == 1 or max(len(e.rows) for e in batch) * len(batch) <= 1500 // len(step_now)


def test_each_kind_has_the_senses_it_is_named_for(practice):
    def has(kind, marker, voiced=0.5):
        examples = (
            e for step in range(6) for batch in practice.batches(step, {kind: 1.0}, voiced=voiced) for e in batch
        )
        return any((e.rows[:, 0] == marker).any() for e in examples)

    assert has("look", IMAGE_PAD)
    assert has("quiz", IMAGE_PAD)
    assert not has("talk", IMAGE_PAD)
    assert has("talk", AUDIO_PAD)
    assert has("spoken", AUDIO_PAD)
    assert not has("aloud", AUDIO_PAD)


def test_answers_are_spoken_as_often_as_asked_for(practice):
    def codes(voiced):
        return sum((e.rows[:, 1] != PAD).any() for b in practice.batches(3, {"spoken": 1.0}, voiced=voiced) for e in b)

    assert codes(0.0) == 0
    assert codes(1.0) > 0


def test_what_is_seen_has_other_names_and_the_answers_with_it(practice):
    """In most pictures a word for a colour or a shape stands for something else, and the reply says that other word."""
    rng = random.Random(2)
    other = 0
    for _ in range(60):
        talk, names = practice._look(rng, 1)
        assert set(names) in (set(), {*COLOUR_NAMES, *SHAPES})
        turn = talk.turns[0]
        if turn.skill == "colour":
            assert turn.slot in {names.get(t.colour, t.colour) for t in talk.scene.things}
            other += turn.slot not in {t.colour for t in talk.scene.things}
    assert other > 0


def test_a_turn_nobody_has_read_stays_in_writing(practice):
    unread = Stage(TOKENIZER, {}, {}, lambda _: np.zeros((6, 33), np.float16), 6)
    rows = unread.dialogue(TALKS[3], 5, typed=0.0, written=0.0).rows
    assert not (rows[:, 0] == AUDIO_PAD).any()
    assert (rows[:, 1:] == PAD).all()
    assert (rows[:, 0] == EOS).sum() >= len(TALKS[3].turns)


def test_exchanged_words_keep_a_recall_true():
    """After the exchange the asked word is another one, and it is still the word that was told."""
    changed = 0
    for seed in range(40):
        rng = random.Random(seed)
        talk = skills.recall_dialogue(rng, 3)
        other = swapped(talk, rng)
        slot = other.turns[-1].slot
        assert slot in other.turns[0].user
        assert slot in other.turns[-1].reply
        changed += slot != talk.turns[-1].slot
    assert changed > 20


def test_what_is_asked_again_has_the_same_answer_and_is_nothing_that_was_told():
    repeated = set()
    for talk in TALKS:
        longer = asked_again(talk, random.Random(1))
        assert longer.turns[: len(talk.turns)] == talk.turns
        for turn in longer.turns[len(talk.turns) :]:
            assert turn in talk.turns
            repeated.add(turn.skill)
    assert {"arithmetic", "repeat"} <= repeated
    assert not repeated & {"recall name", "recall fact", "tell name", "tell fact", "no fact"}


def test_in_a_mirror_the_last_thing_comes_first():
    for scene in SCENES:
        twin = mirrored(scene)
        assert [(t.shape, t.colour) for t in twin.things] == [(t.shape, t.colour) for t in scene.things][::-1]
        assert twin.seed != scene.seed


def test_things_of_other_names_are_told_apart_in_question_and_answer():
    scene = Scene((Thing("star", "orange", 0.5, 0.5, 0.2, 0.0), Thing("cross", "red", 0.9, 0.5, 0.2, 0.0)), seed=1)
    turns = (
        Turn("is there an orange star", "Yes, I see an orange star.", "is there", "yes"),
        Turn("how many crosses are there", "There is one cross.", "count", "one"),
    )
    told = renamed(Dialogue(turns, scene), {"star": "river", "orange": "pizza", "cross": "apple"})
    assert [(t.user, t.reply) for t in told.turns] == [
        ("is there a pizza river", "Yes, I see a pizza river."),
        ("how many apples are there", "There is one apple."),
    ]


def test_a_steps_kinds_are_known_without_making_it(practice):
    """Batches of nothing but replies read aloud have no text to answer with."""
    shares = {"aloud": 0.5, "talk": 0.5}
    for step in range(8):
        made = practice.batches(step, shares, voiced=0.0)
        assert practice.kinds(step, shares) == ["talk" if (b[0].judged == 2).any() else "aloud" for b in made]


def test_the_first_litter_practises_the_rows_that_it_practised():
    """Recorded before scenes could change: the same seed is the same rows, pictures and names."""
    stage = Stage(TOKENIZER, SPOKEN, CODES, lambda seed: np.full((6, 33), seed % 7, np.float16), 6)
    shares, made = {"drill": 0.2, "talk": 0.2, "look": 0.3, "quiz": 0.2, "spoken": 0.1}, hashlib.sha256()
    practice = Practice(stage, SCENES, TALKS, rows=1500)
    for step in range(12):
        for batch in practice.batches(step, shares, voiced=0.5):
            for example in batch:
                for part in (example.rows, example.judged, *example.pictures, example.names):
                    made.update(part.tobytes())
    assert made.hexdigest()[:16] == "6d00504223d9b90f"
