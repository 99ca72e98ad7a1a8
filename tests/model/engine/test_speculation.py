"""Replies in writing with a next-token-prediction head: the words of plain decoding, in fewer steps if the guesses are good."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.model.config import tiny
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import Event, Finished, Frame, Limits, Sampling
from vivavoce.model.engine.scheduler import Budget
from vivavoce.model.engine.speculation import Predictor
from vivavoce.model.omni import Omni

WRITTEN = Sampling(text_only=True, max_tokens=14)
DRAWN = Sampling(text_only=True, max_tokens=14, top_k=0, top_p=0.9, temperature=1.3, repetition_penalty=1.2, seed=5)


def network(mtp: bool) -> Omni:
    torch.manual_seed(7)
    made = Omni(tiny())
    if mtp:
        made.add_mtp()
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def plain() -> Omni:
    return network(mtp=False)


@pytest.fixture(scope="module")
def omni() -> Omni:
    return network(mtp=True)


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed)) * 0.3


def say(engine: Engine, session: str, prompt: Tensor) -> None:
    key = str(engine.position(session))
    engine.put_chunk(session, prompt, key)
    engine.prefill(session, engine.position(session), [key])


def run(engine: Engine) -> list[Event]:
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def reply(omni: Omni, prompt: Tensor, sampling: Sampling, limits: Limits | None = None) -> list[Event]:
    engine = Engine(omni, 256)
    engine.open("a", limits)
    say(engine, "a", prompt)
    engine.decode("a", 1, sampling)
    return run(engine)


def words(events: list[Event], session: str = "a") -> list[int | None]:
    return [event.text_id for event in events if isinstance(event, Frame) and event.session == session]


def knowing(monkeypatch: pytest.MonkeyPatch, line: list[int], first: int, right: Sequence[bool]) -> None:
    """The head knows the reply that begins at position `first`, and tells the truth where `right` says so."""
    truth = list(right)

    def guess(self: Predictor, rows: Tensor, hidden: Tensor, places: Sequence[tuple[int, Tensor]]) -> list[int]:
        ((position, _),) = places
        following = position + 2 - first
        known = line[following] if following < len(line) else 0
        return [known if truth and truth.pop(0) else (known + 1) % 160]

    monkeypatch.setattr(Predictor, "guess", guess)


@pytest.mark.parametrize("sampling", [WRITTEN, DRAWN], ids=["greedy", "drawn"])
def test_a_head_of_any_quality_changes_no_word(omni: Omni, plain: Omni, sampling: Sampling) -> None:
    for seed in range(6):
        assert reply(omni, rows(9, seed), sampling) == reply(plain, rows(9, seed), sampling)


@settings(max_examples=30)
@given(
    right=st.lists(st.booleans(), max_size=14), drawn=st.booleans(), longest=st.integers(1, 14), room=st.integers(0, 9)
)
def test_whichever_guesses_are_right_the_events_are_those_of_plain_decoding(
    omni: Omni, plain: Omni, right: list[bool], drawn: bool, longest: int, room: int
) -> None:
    sampling = Sampling(**{**vars(DRAWN if drawn else WRITTEN), "max_tokens": longest})
    limits = Limits(max_context=9 + room) if room else None
    expected = reply(plain, rows(9), sampling, limits)
    with pytest.MonkeyPatch.context() as patched:
        knowing(patched, [word or 0 for word in words(expected)], 9, right)
        assert reply(omni, rows(9), sampling, limits) == expected


def test_good_guesses_halve_the_steps_and_are_counted(omni: Omni, plain: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reply(plain, rows(9), WRITTEN)
    knowing(monkeypatch, [word or 0 for word in words(expected)], 9, [True] * 14)
    engine, steps = Engine(omni, 256), 0
    engine.open("a")
    say(engine, "a", rows(9))
    engine.decode("a", 1, WRITTEN)
    while engine.busy:
        engine.step()
        steps += 1
    assert steps == 1 + 7, "the prompt with the first word, then two words a step but for the last"
    figures = engine.figures("a")
    assert (figures.guessed, figures.accepted) == (6, 6)


def test_the_cache_behind_a_reply_is_that_of_plain_decoding(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        expected = reply(omni, rows(9), WRITTEN)
        knowing(patched, [word or 0 for word in words(expected)], 9, [True, False, False, True, True, False])
        engine = Engine(omni, 256)
        engine.open("a")
        say(engine, "a", rows(9))
        engine.decode("a", 1, WRITTEN)
        made = words(run(engine))
    assert engine.position("a") == 9 + len(made) - 1, "the last word's row has not been run"
    say(engine, "a", rows(5, seed=3))
    run(engine)
    silent = torch.full((len(made) - 1, 4), -1)
    told = torch.cat([rows(9), omni.embed_step(torch.tensor(made[:-1]), silent), rows(5, seed=3)])
    with torch.inference_mode():
        offline = omni.backbone(told[None])[0, -1]
    torch.testing.assert_close(engine._sessions["a"].hidden, offline, atol=1e-4, rtol=1e-4)


def test_what_the_head_guesses_is_what_it_would_over_the_whole_sequence(
    omni: Omni, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts in pieces, right and wrong guesses: its cache is always what `forward` computes, and so are its guesses."""
    guesses: list[tuple[int, int]] = []
    guess = Predictor.guess

    def noted(self: Predictor, rows: Tensor, hidden: Tensor, places: Sequence[tuple[int, Tensor]]) -> list[int]:
        made = guess(self, rows, hidden, places)
        guesses.append((places[0][0], made[0]))
        return made

    monkeypatch.setattr(Predictor, "guess", noted)
    engine = Engine(omni, 256, budget=Budget(rows=4))
    engine.open("a")
    say(engine, "a", rows(9))
    engine.decode("a", 1, WRITTEN)
    made = words(run(engine))
    told = torch.cat([rows(9), omni.embed_step(torch.tensor(made), torch.full((len(made), 4), -1))])
    assert omni.mtp is not None
    with torch.inference_mode():
        hidden = omni.backbone(told[None])
        offline = omni.backbone.logits(omni.mtp(told[None, 1:], hidden[:, :-1]))[0].argmax(-1)
    assert len(guesses) >= 10
    for position, token in guesses:
        assert token == offline[position]


def test_writers_and_speakers_share_a_batch(omni: Omni, plain: Omni) -> None:
    together = {}
    for network_ in (omni, plain):
        engine = Engine(network_, 1024, budget=Budget(rows=16, rows_beside_decodes=3))
        for epoch, name in enumerate("abc"):
            engine.open(name)
            say(engine, name, rows(9 + 11 * epoch, seed=epoch))
            engine.decode(name, 1, Sampling(max_tokens=12, text_only=name != "b"))
        events = run(engine)
        together[network_] = {
            name: [(e.text_id, e.codes) for e in events if isinstance(e, Frame) and e.session == name] for name in "abc"
        }
        assert engine.figures("b").guessed == 0, "speech cannot be guessed"
    assert together[omni] == together[plain]


def test_a_reply_can_be_stopped_and_taken_back_in_the_middle(omni: Omni, plain: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(9))
    run(engine)
    free = engine.pool.free
    engine.decode("a", 1, WRITTEN)
    for _ in range(4):
        engine.step()
    engine.interrupt("a", 1)
    assert [e for e in run(engine) if isinstance(e, Frame)] == []
    engine.rollback("a", 9)
    assert engine.pool.free == free
    say(engine, "a", rows(6, seed=4))
    engine.decode("a", 2, WRITTEN)
    events = run(engine)
    assert words(events) == words(reply(plain, torch.cat([rows(9), rows(6, seed=4)]), WRITTEN))
    assert isinstance(events[-1], Finished)


def test_a_full_cache_leaves_no_place_for_a_guess(omni: Omni, plain: Omni) -> None:
    def cramped(omni: Omni) -> list[Event]:
        engine = Engine(omni, 32)
        for name, count in (("a", 9), ("b", 15)):
            engine.open(name, Limits(max_context=16))
            say(engine, name, rows(count))
        engine.decode("a", 1, WRITTEN)
        return [event for event in run(engine) if event.session == "a"]

    assert cramped(omni) == cramped(plain)
