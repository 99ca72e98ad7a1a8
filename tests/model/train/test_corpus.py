"""What is read aloud for the ears."""

import random

from vivavoce.model.train import corpus
from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.sayings import STYLES, Saying


def test_every_name_and_every_favourite_is_read_often_enough() -> None:
    jobs = corpus._user_jobs(["hello", "call me Anna"], readings=4, odd=0, least=6, copies=2, seed=1)
    words = [word for text, *_ in jobs for word in text.split(" ")]
    values = [value for some in (lx.NAMES, *lx.FACTS.values()) for value in some]
    assert min(words.count(word) for value in values for word in value.split(" ")) >= 6
    assert len({(text, seed) for text, seed, *_ in jobs}) == len(jobs), "every reading is another voice"


def test_known_replies_are_recorded_twice_and_others_once() -> None:
    jobs = corpus._reply_jobs({Saying("Yes."), Saying("Hello!")}, 4, 0, 0, seed=1)
    texts = [saying.text for saying, _ in jobs]
    assert texts[:4] == ["Hello!", "Hello!", "Yes.", "Yes."]
    assert [speed == 1.0 for _, speed in jobs[:4]] == [True, False, True, False]
    assert len(set(texts)) == len(texts) - 2 == 6


def test_strange_sentences_have_any_words_where_sensible_ones_have_theirs() -> None:
    rng = random.Random(3)
    made = [corpus.strange("my favourite fruit is melon", rng) for _ in range(200)]
    told = [words[4] for words in (text.split(" ") for text in made) if words[:4] == "my favourite fruit is".split()]
    assert 100 < len(told) < 180, "the others are words in a row"
    assert len(set(told)) > 60
    assert {len(text.split(" ")) for text in made} >= {1, 2, 3, 4, 5, 6}
    assert any(
        text.startswith("Yes, ") and text.endswith(".")
        for text in (corpus.strange("Yes, Anna.", rng) for _ in range(9))
    )


def test_some_readings_and_replies_are_strange() -> None:
    jobs = corpus._user_jobs(["my name is Anna"], readings=3, odd=20, least=0, copies=1, seed=1)
    assert len(jobs) == 23
    assert len({text for text, *_ in jobs}) > 15
    assert len(corpus._reply_jobs({Saying("Yes."), Saying("Your name is Anna.")}, 2, 9, 0, seed=1)) == 4 + 2 + 9


def test_an_answer_about_one_thing_is_said_of_all_that_there_could_be() -> None:
    assert len(corpus.in_every_pair("The star is black.")) == 40
    assert "The circle is orange." in corpus.in_every_pair("The star is black.")
    assert "Yes, I see an orange cross." in corpus.in_every_pair("Yes, I see a red star.")
    assert corpus.in_every_pair("There are three stars.") >= {"There are three crosses.", "There are three circles."}
    assert corpus.in_every_pair("I see two red stars and a blue cross.") == set()
    assert corpus.in_every_pair("Hello, I am Kitten.") == set()


def test_every_answer_about_one_thing_is_recorded_as_often_as_said() -> None:
    jobs = corpus._reply_jobs({Saying("The star is black.")}, 0, 0, 2, seed=1)
    assert len({text for text, _ in jobs}) == 40
    assert len(jobs) == 40 * 2


def test_what_is_said_in_a_style_is_recorded_so_and_stays_so() -> None:
    jobs = corpus._reply_jobs({Saying("Yes.", "slow"), Saying("Yes.")}, 0, 0, 0, seed=1)
    assert [saying.style for saying, _ in jobs] == ["", "", "slow", "slow"]
    assert all(speed * STYLES["slow"].speed < corpus.SPEEDS[0] for saying, speed in jobs if saying.style)


def test_the_second_litter_has_lessons_and_the_first_has_none() -> None:
    first, second = corpus.make_dialogues(20, 4, 1), corpus.make_dialogues(20, 4, 1, litter=2)
    assert len(first) == 24
    assert len(second) == 24 + 8 + 2 + 2
    assert any(talk.changes for talk in second)
    assert any(turn.called for talk in second for turn in talk.turns)
    assert any(turn.style for talk in corpus.make_dialogues(60, 0, 1, litter=2) for turn in talk.turns)
