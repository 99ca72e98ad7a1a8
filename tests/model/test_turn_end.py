"""Does a turn sound complete? Kitten's own judgement of two recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vivavoce.codecs.media import AudioChunk, MediaChunk
from vivavoce.model.messages import Answer, Doubt, Doubted, Listen, Open, Weigh, Weighed

KITTEN = Path(__file__).parents[2] / "model" / "kitten"
QUESTION = Path(__file__).parents[1] / "realtime" / "server" / "question.flac"


@pytest.fixture(scope="module")
def host():
    from vivavoce.model.host import Host

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Host.load(KITTEN)
    torch.set_num_threads(threads)


def weigh(host, session: str, pcm: np.ndarray, portion: int = 16_000) -> float | None:
    host.handle(Open(session))
    for start in range(0, len(pcm), portion):
        chunk = AudioChunk(pcm[start : start + portion], 16_000, start)
        assert host.handle(Listen(session, MediaChunk(start // 16, chunk, (), dense=True))) == []
    said = host.handle(Weigh(session, 7))
    while host.busy:
        said += host.step()
    [weighed] = said
    assert isinstance(weighed, Weighed) and weighed.number == 7
    return weighed.completeness


def question() -> np.ndarray:
    """ "what colour is the circle", at 16 kHz."""
    import soxr

    pcm, rate = soundfile.read(QUESTION, dtype="float32")
    return np.asarray(soxr.resample(pcm, rate, 16_000), np.float32)


def last_voice(pcm: np.ndarray) -> int:
    return int(np.flatnonzero(np.abs(pcm) > 0.02)[-1])


def test_kitten_knows_a_question_from_the_beginning_of_one(host):
    pcm = question()
    end = last_voice(pcm)
    whole = np.pad(pcm[:end], (0, 2_400))
    broken = np.pad(pcm[: end * 6 // 10], (0, 2_400))
    assert weigh(host, "whole", whole) > 0.9
    assert weigh(host, "broken", broken) < 0.3


def test_it_does_not_matter_in_what_portions_sound_comes_nor_what_was_asked_before(host):
    pcm = np.pad(question(), (0, 1_600))
    whole = weigh(host, "a", pcm)
    assert weigh(host, "b", pcm, 5_000) == pytest.approx(whole, abs=1e-4)
    [again] = host.handle(Weigh("b", 8))
    assert again.completeness == pytest.approx(whole, abs=1e-4)


def test_who_has_said_nothing_is_not_judged(host):
    host.handle(Open("silent"))
    assert host.handle(Weigh("silent", 1)) == [Weighed("silent", 1, None)]


def test_weighing_changes_nothing_of_the_answer(host):
    pcm = question()
    said = []
    for session, weighs in (("asked", True), ("not asked", False)):
        if weighs:
            weigh(host, session, pcm)
            host.handle(Doubt(session, 9, AudioChunk(pcm[:8_000], 16_000, 0)))
        else:
            host.handle(Open(session))
            for start in range(0, len(pcm), 16_000):
                chunk = AudioChunk(pcm[start : start + 16_000], 16_000, start)
                host.handle(Listen(session, MediaChunk(start // 16, chunk, (), dense=True)))
        messages = host.handle(Answer(session, 1, max_tokens=12))
        while host.busy:
            messages += host.step()
        said.append("".join(getattr(message, "text", "") for message in messages))
    assert said[0] == said[1] != ""


def doubt(host, pcm: np.ndarray) -> float | None:
    [doubted] = host.handle(Doubt("doubt", 3, AudioChunk(pcm, 16_000, 0)))
    assert isinstance(doubted, Doubted) and doubted.number == 3
    return doubted.interrupting


def test_kitten_knows_a_question_from_a_knock(host):
    host.handle(Open("doubt"))
    knock = np.zeros(8_000, np.float32)
    dice = np.random.default_rng(1)
    knock[2_560:4_000] = dice.standard_normal(1_440) * np.exp(-np.arange(1_440) / 200) * 0.3
    assert doubt(host, question()[:14_000]) > 0.5
    assert doubt(host, knock) < 0.3
    assert doubt(host, np.zeros(0, np.float32)) is None
