"""Ears and eyes of many sessions in one batch: each hears and sees what it would alone, however the sound was cut."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_host import Toy, sound

from vivavoce.model.audio_encoder import FsmnEncoder, FsmnState
from vivavoce.model.hearing import Past
from vivavoce.model.omni import Omni
from vivavoce.model.senses import Ear, EarState, Heard, Look, see, see_many

PIECES = st.lists(st.integers(0, 9_000), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="module", params=[1, 8], ids=["compiled", "by PyTorch"])
def ear(toy: Toy, request: pytest.FixtureRequest) -> Iterator[Ear]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: request.param)
        yield Ear(toy.omni, toy.cmvn)


def alone(ear: Ear, wave: np.ndarray, pieces: list[int]) -> list[Heard]:
    """One session by itself, piece by piece, and its end."""
    state, heard, at = ear.start(), [], 0
    for length in pieces:
        part, state = ear.hear(wave[at : at + length], state)
        heard.append(part)
        at += length
    return [*heard, ear.finish(state)]


@settings(max_examples=15)
@given(st.lists(PIECES, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_whoever_shares_the_batch_each_hears_its_own(ear: Ear, cuts: list[list[int]], dice) -> None:
    """Sessions begin, go on and end at different times, with pieces of any length; who is due together is drawn."""
    waves = [sound(sum(pieces) // 16 + 1, seed=i).pcm for i, pieces in enumerate(cuts)]
    states = [ear.start() for _ in cuts]
    heard: list[list[Heard]] = [[] for _ in cuts]
    at, turn = [0] * len(cuts), [0] * len(cuts)
    while left := [i for i, pieces in enumerate(cuts) if turn[i] < len(pieces)]:
        due = dice.sample(left, dice.randint(1, len(left)))
        parts = [(waves[i][at[i] : at[i] + cuts[i][turn[i]]], states[i]) for i in due]
        for i, (part, state) in zip(due, ear.hear_many(parts), strict=True):
            heard[i].append(part)
            at[i], turn[i], states[i] = at[i] + cuts[i][turn[i]], turn[i] + 1, state
    for i, pieces in enumerate(cuts):
        together = [*heard[i], ear.finish(states[i])]
        for one, other in zip(together, alone(ear, waves[i], pieces), strict=True):
            torch.testing.assert_close(one.rows, other.rows, rtol=1e-4, atol=1e-4)
            assert one.letters == other.letters


def test_streams_at_the_same_place_are_one_pass_through_the_encoder(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    together = FsmnEncoder._together

    def counted(self: FsmnEncoder, pieces: list[torch.Tensor], states: list) -> list:
        passes.append(len(pieces))
        return together(self, pieces, states)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    ear = Ear(toy.omni, toy.cmvn)
    monkeypatch.setattr(FsmnEncoder, "_together", counted)
    monkeypatch.setattr(FsmnEncoder, "step", lambda *_: pytest.fail("one of them went alone"))
    made = ear.hear_many([(sound(1000, seed=i).pcm, ear.start()) for i in range(4)])
    ear.hear_many([(sound(900 + 50 * i, seed=i).pcm, state) for i, (_, state) in enumerate(made)])
    assert passes == [4, 4]


def test_a_state_from_a_batch_is_a_way_back_of_its_own(ear: Ear) -> None:
    first, second = (sound(1000, seed=i).pcm for i in range(2))
    (_, middle), (_, other) = ear.hear_many([(first, ear.start()), (second, ear.start())])
    once = ear.hear_many([(second, middle), (first, other)])
    again = ear.hear_many([(second, middle), (first, other)])
    for (one, _), (two, _) in zip(once, again, strict=True):
        torch.testing.assert_close(one.rows, two.rows)
    for state in (middle, other):
        for kept in numbers(state.encoder):
            assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()


def test_nobody_in_the_batch_is_nothing_to_do(toy: Toy, ear: Ear) -> None:
    assert ear.hear_many([]) == [] and see_many(toy.omni, []) == []


@settings(max_examples=10)
@given(st.lists(st.tuples(st.integers(20, 90), st.integers(20, 90), st.booleans(), st.booleans()), max_size=6))
def test_pictures_of_any_sizes_are_seen_as_each_alone(toy: Toy, sizes: list[tuple[int, int, bool, bool]]) -> None:
    dice = np.random.default_rng(0)
    looks = []
    for height, width, moves, low in sizes:
        first, second = dice.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        looks.append(Look(first, second if moves else None, "low" if low else "auto"))
    for look, seen in zip(looks, see_many(toy.omni, looks), strict=True):
        expected = see(toy.omni, look.first, look.second, look.detail)
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)


def test_pictures_of_one_size_are_one_pass_through_the_encoder(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    whole = Omni.see

    def counted(self: Omni, patches: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        batches.append(patches.shape[0])
        return whole(self, patches, grid)

    monkeypatch.setattr(Omni, "see", counted)
    see_many(toy.omni, [Look(np.full((60, 80, 3), shade, np.uint8)) for shade in range(5)])
    assert batches == [5]


def test_states_are_values(ear: Ear) -> None:
    _, state = ear.hear(sound(300).pcm, ear.start())
    assert isinstance(state, EarState)
    before = [kept.clone() for kept in numbers(state.encoder)]
    ear.hear_many([(sound(1000).pcm, state), (sound(700).pcm, state)])
    ear.finish(state)
    for kept, now in zip(before, numbers(state.encoder), strict=True):
        assert torch.equal(kept, now)


def numbers(state: FsmnState | Past) -> list[torch.Tensor]:
    """All that a state is made of."""
    if isinstance(state, Past):
        return [torch.from_numpy(kept if kept.base is None else kept.base) for kept in (state.numbers, state.pending)]
    return [kept for layer in state.layers for kept in (layer.memory, layer.pending)]
