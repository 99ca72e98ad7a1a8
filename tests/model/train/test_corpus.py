"""What is read aloud for the ears."""

from vivavoce.model.train import corpus
from vivavoce.model.train import lexicon as lx


def test_every_name_and_every_favourite_is_read_often_enough() -> None:
    jobs = corpus._user_jobs(["hello", "call me Anna"], readings=4, least=6, copies=2, seed=1)
    words = [word for text, *_ in jobs for word in text.split(" ")]
    values = [value for some in (lx.NAMES, *lx.FACTS.values()) for value in some]
    assert min(words.count(word) for value in values for word in value.split(" ")) >= 6
    assert len({(text, seed) for text, seed, *_ in jobs}) == len(jobs), "every reading is another voice"
