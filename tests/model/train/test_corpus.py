"""What is read aloud for the ears."""

from vivavoce.model.train import corpus
from vivavoce.model.train import lexicon as lx


def test_every_name_and_every_favourite_is_read_often_enough() -> None:
    jobs = corpus._user_jobs(["hello", "call me Anna"], readings=4, least=6, copies=2, seed=1)
    words = [word for text, *_ in jobs for word in text.split(" ")]
    values = [value for some in (lx.NAMES, *lx.FACTS.values()) for value in some]
    assert min(words.count(word) for value in values for word in value.split(" ")) >= 6
    assert len({(text, seed) for text, seed, *_ in jobs}) == len(jobs), "every reading is another voice"


def test_known_replies_are_recorded_twice_and_others_once() -> None:
    jobs = corpus._reply_jobs({"Yes.", "Hello!"}, 4, seed=1)
    texts = [text for text, _ in jobs]
    assert texts[:4] == ["Hello!", "Hello!", "Yes.", "Yes."]
    assert [speed == 1.0 for _, speed in jobs[:4]] == [True, False, True, False]
    assert len(set(texts)) == len(texts) - 2 == 6
