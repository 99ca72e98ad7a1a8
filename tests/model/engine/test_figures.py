"""The engine's promises in numbers: going back costs nothing, memory is what the formula says, who fits is let in."""

import dataclasses
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.model.backbone import Backbone
from vivavoce.model.bench import random_omni
from vivavoce.model.config import BackboneConfig, tiny
from vivavoce.model.engine.engine import FIRST_TURN, Engine
from vivavoce.model.engine.events import ContextFull, Finished, Frame, Limits, PoolFull, Prefilled, Sampling
from vivavoce.model.engine.sequence import Sequence
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import Sizes
from vivavoce.model.train import kitten

LONGEST = 131_072
"""Positions of the release's context."""


@pytest.fixture(scope="module")
def omni() -> Omni:
    return random_omni(dataclasses.replace(tiny().backbone, max_position_embeddings=LONGEST))


def rows(count: int) -> Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(0)) * 0.3


def say(engine: Engine, session: str, count: int) -> None:
    key = str(engine.position(session))
    engine.put_chunk(session, rows(count), key)
    engine.prefill(session, engine.position(session), [key])


def with_a_past(omni: Omni, length: int) -> Engine:
    """An engine with a session of so many positions; what they hold is made up."""
    engine = Engine(omni, LONGEST)
    engine._runner.cache.normal_()
    engine.open("a")
    sequence: Sequence = engine._sessions["a"].sequence
    sequence.append(length)
    sequence.advance(length)
    return engine


@pytest.mark.parametrize("length", [1_024, 16_384, LONGEST])
def test_going_back_takes_less_than_a_millisecond_at_any_length(omni: Omni, length: int) -> None:
    def took(step: int) -> float:
        engine = with_a_past(omni, length)
        began = time.thread_time()
        engine.rollback("a", step)
        return time.thread_time() - began

    for step in (0, length // 2, length - 1):
        assert min(took(step) for _ in range(5)) < 0.001


@settings(max_examples=8)
@given(length=st.integers(2, LONGEST - 8), share=st.floats(0, 1), count=st.integers(1, 8))
def test_going_back_runs_nothing_again_but_what_is_new(omni: Omni, length: int, share: float, count: int) -> None:
    engine = with_a_past(omni, length)
    step = int(share * length)
    engine.rollback("a", step)
    say(engine, "a", count)
    assert engine.step() == [Prefilled("a", cached=step, prefilled=count)]
    assert engine.figures("a").positions == count
    assert engine.pool.n_blocks - engine.pool.free == engine.pool.blocks_for(step + count)


@pytest.mark.parametrize("config", [kitten.config().backbone, tiny().backbone], ids=["kitten", "tiny"])
def test_a_token_takes_what_the_formula_says_and_at_most_a_twentieth_more(config: BackboneConfig) -> None:
    omni = random_omni(config)
    positions = min(2048, config.max_position_embeddings)
    engine = Engine(omni, positions)
    engine.open("a")
    engine._sessions["a"].sequence.append(positions - 1)
    engine._sessions["a"].sequence.advance(positions - 1)
    engine.put_chunk("a", torch.zeros(1, config.hidden_size), "last")
    engine.prefill("a", positions - 1, ["last"])
    engine.step()
    cache = engine._runner.cache
    formula = Sizes.of(omni).cache_bytes(4) * positions
    assert cache.numel() * cache.element_size() == formula
    if config.hidden_size >= kitten.config().backbone.hidden_size:
        lane = engine._runner._lanes["a"]
        books = lane.slots.numel() * lane.slots.element_size() + lane.waiting.numel() * lane.waiting.element_size()
        assert formula + books <= 1.05 * formula


def test_the_cache_of_the_real_one_has_64512_bytes_a_token() -> None:
    without_its_experts = dataclasses.replace(BackboneConfig(), n_routed_experts=1, zero_expert_num=1, moe_topk=1)
    with torch.device("meta"):
        cache = Backbone(without_its_experts).to(torch.bfloat16).new_cache(16)
    assert cache.numel() * cache.element_size() == 16 * 64_512


def test_a_conversation_of_131072_positions_is_spoken_to_its_very_end(omni: Omni) -> None:
    engine = with_a_past(omni, LONGEST - 12)
    say(engine, "a", 8)
    engine.decode("a", 1, Sampling(max_tokens=100))
    events = []
    while engine.busy:
        events += engine.step()
    said = [event.step for event in events if isinstance(event, Frame)]
    assert said == list(range(LONGEST - 4, LONGEST + 1)), "the last one needs no row of its own"
    assert events[-1] == Finished("a", 1, "length")
    with pytest.raises(ContextFull, match=f"1 more positions are needed, 0 of {LONGEST} are left"):
        say(engine, "a", 1)


def test_as_many_are_let_in_as_can_have_a_first_turn_each(omni: Omni) -> None:
    engine = Engine(omni, 4 * FIRST_TURN)
    for number in range(4):
        engine.open(str(number))
    with pytest.raises(PoolFull, match="1024 of 1024 positions are free, 1024 of them promised, 256 are needed"):
        engine.open("one too many")
    for number in range(4):
        say(engine, str(number), FIRST_TURN)
    while engine.busy:
        engine.step()
    engine.close("2")
    engine.open("another")


def test_a_short_session_needs_no_more_than_it_may_become(omni: Omni) -> None:
    engine = Engine(omni, FIRST_TURN)
    for number in range(4):
        engine.open(str(number), Limits(max_context=FIRST_TURN // 4))
    with pytest.raises(PoolFull):
        engine.open("one too many", Limits(max_context=16))
