"""The engine over a tiny random model: what it says must be what the model says offline, whatever else goes on."""

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.model.config import tiny
from vivavoce.model.engine import engine as engine_module
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import (
    ContextFull,
    Event,
    Failed,
    Finished,
    Frame,
    Limits,
    MissingChunks,
    OutOfStep,
    PoolFull,
    Prefilled,
    Sampling,
    StaleEpoch,
    UnknownSession,
)
from vivavoce.model.engine.machine import Stage
from vivavoce.model.engine.scheduler import Budget, Plan
from vivavoce.model.engine.sequence import Sequence
from vivavoce.model.omni import Omni


@pytest.fixture(scope="module")
def omni() -> Omni:
    torch.manual_seed(7)
    return Omni(tiny()).eval().requires_grad_(False)


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed)) * 0.3


def say(engine: Engine, session: str, prompt: Tensor, pieces: int = 1) -> None:
    """Store and submit rows behind what the session has, in so many pieces."""
    for part in prompt.tensor_split(pieces):
        key = str(engine.position(session))
        engine.put_chunk(session, part, key)
        engine.prefill(session, engine.position(session), [key])


def run(engine: Engine) -> list[Event]:
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def frames(events: list[Event], session: str) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame) and event.session == session]


def spoken(events: list[Event], session: str) -> list[tuple[int | None, tuple[int, ...] | None]]:
    return [(frame.text_id, frame.codes) for frame in frames(events, session)]


def reply(omni: Omni, prompt: Tensor, sampling: Sampling) -> list[tuple[int | None, tuple[int, ...] | None]]:
    engine = Engine(omni, 1024)
    engine.open("alone")
    say(engine, "alone", prompt)
    engine.decode("alone", 1, sampling)
    return spoken(run(engine), "alone")


SHORT = Sampling(max_tokens=12)


def test_prefill_and_decode_give_the_offline_numbers(omni: Omni) -> None:
    """Feed what the engine said through the whole-sequence pass: the same hidden vectors, so the same choices."""
    engine, prompt = Engine(omni, 1024, budget=Budget(rows=7)), rows(23)
    engine.open("a")
    say(engine, "a", prompt, pieces=4)
    engine.decode("a", 1, SHORT)
    made = frames(run(engine), "a")
    texts = torch.tensor([-1 if f.text_id is None else f.text_id for f in made])
    codes = torch.tensor([f.codes for f in made])
    with torch.inference_mode():
        offline = omni.backbone(torch.cat([prompt, omni.embed_step(texts, codes)])[None])[0]
        cached = engine._sessions["a"].hidden
    assert cached is not None
    torch.testing.assert_close(cached, offline[23 + len(made) - 2], atol=1e-4, rtol=1e-4)
    said = omni.backbone.logits(offline[22 : 22 + len(made)]).argmax(-1).tolist()
    assert [f.text_id for f in made if f.stage is Stage.SPEAKING] == [
        word for word, f in zip(said, made, strict=True) if f.stage is Stage.SPEAKING
    ]
    assert [frame.step for frame in made] == list(range(23, 23 + len(made)))


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 39), max_size=5, unique=True), budget=st.integers(1, 50))
def test_the_prompt_may_come_in_any_pieces(omni: Omni, cuts: list[int], budget: int) -> None:
    prompt = rows(40)
    engine = Engine(omni, 256, budget=Budget(rows=budget))
    engine.open("a")
    for part in prompt.tensor_split(sorted(cuts)):
        say(engine, "a", part)
        engine.step()
    run(engine)
    with torch.inference_mode():
        offline = omni.backbone(prompt[None])[0, -1]
    hidden = engine._sessions["a"].hidden
    assert hidden is not None
    torch.testing.assert_close(hidden, offline, atol=1e-4, rtol=1e-4)


def test_who_shares_the_batch_changes_nothing(omni: Omni) -> None:
    engine = Engine(omni, 1024, budget=Budget(rows=16, rows_beside_decodes=3))
    prompts = {name: rows(9 + 11 * i, seed=i) for i, name in enumerate("abc")}
    events: list[Event] = []
    for epoch, (name, prompt) in enumerate(prompts.items()):
        engine.open(name)
        say(engine, name, prompt)
        engine.decode(name, epoch, Sampling(max_tokens=12, text_only=name == "b"))
        events += engine.step() + engine.step()
    events += run(engine)
    for name, prompt in prompts.items():
        alone = reply(omni, prompt, Sampling(max_tokens=12, text_only=name == "b"))
        assert spoken(events, name) == alone


def test_going_back_and_on_again_gives_the_same_numbers(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(21))
    run(engine)
    mark, free = engine.position("a"), engine.pool.free
    say(engine, "a", rows(30, seed=5))
    engine.decode("a", 1, SHORT)
    for _ in range(4):
        engine.step()
    engine.interrupt("a", 1)
    engine.rollback("a", mark)
    assert (engine.position("a"), engine.pool.free) == (21, free)
    say(engine, "a", rows(6, seed=9))
    engine.decode("a", 2, SHORT)
    assert spoken(run(engine), "a") == reply(omni, torch.cat([rows(21), rows(6, seed=9)]), SHORT)


def test_blocks_of_one_session_are_written_anew_by_another(omni: Omni) -> None:
    engine = Engine(omni, 64)
    for name in ("first", "second"):
        engine.open(name, Limits(max_context=48))
        say(engine, name, rows(20, seed=3))
        engine.decode(name, 1, SHORT)
        assert spoken(run(engine), name) == reply(omni, rows(20, seed=3), SHORT)
        engine.close(name)
    assert engine.pool.free == 4


def test_no_frame_of_an_interrupted_epoch(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(5))
    run(engine)
    mark = engine.position("a")
    engine.decode("a", 4, Sampling(max_tokens=100))
    assert frames(engine.step(), "a")
    engine.interrupt("a", 4)
    engine.rollback("a", mark - 1)
    say(engine, "a", rows(1))
    engine.decode("a", 5, SHORT)
    events = run(engine)
    assert {frame.epoch for frame in frames(events, "a")} == {5}
    assert Finished("a", 4, "cancelled") in events
    with pytest.raises(StaleEpoch, match="epoch 4 was interrupted, the next is 5"):
        engine.decode("a", 4, SHORT)


def test_interrupting_an_old_epoch_leaves_a_newer_one_alone(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(5))
    engine.decode("a", 7, SHORT)
    engine.interrupt("a", 6)
    assert len(frames(run(engine), "a")) == 12


def test_a_reply_ends_at_its_length(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(5))
    engine.decode("a", 1, Sampling(max_tokens=3))
    events = run(engine)
    assert len(frames(events, "a")) == 3
    assert events[-1] == Finished("a", 1, "length")


def test_a_reply_ends_where_the_context_does(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a", Limits(max_context=8))
    say(engine, "a", rows(5))
    engine.decode("a", 1, Sampling(max_tokens=100))
    assert run(engine)[-1] == Finished("a", 1, "length")


def test_prefill_tells_what_was_cached_and_what_was_run(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    say(engine, "a", rows(20), pieces=2)
    assert run(engine) == [Prefilled("a", cached=0, prefilled=20)]
    engine.rollback("a", 12)
    say(engine, "a", rows(5))
    assert run(engine) == [Prefilled("a", cached=12, prefilled=5)]


def test_rows_are_stored_once_and_missing_ones_are_named(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    assert engine.put_chunk("a", rows(2), "x") == "stored"
    assert engine.put_chunk("a", rows(2), "x") == "present"
    with pytest.raises(MissingChunks, match="y"):
        engine.prefill("a", 0, ["x", "y"])
    assert engine.position("a") == 0


def test_a_prefill_must_start_where_the_sequence_stands(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    engine.put_chunk("a", rows(2), "x")
    with pytest.raises(OutOfStep, match="step 3 cannot follow a sequence that ends at 0"):
        engine.prefill("a", 3, ["x"])


def test_a_reply_needs_something_to_go_on_from(omni: Omni) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    with pytest.raises(OutOfStep):
        engine.decode("a", 1, SHORT)
    say(engine, "a", rows(4))
    run(engine)
    engine.rollback("a", 2)
    with pytest.raises(OutOfStep):
        engine.decode("a", 1, SHORT)


@pytest.mark.parametrize("bad", [torch.zeros(3, 31), torch.zeros(3), torch.full((1, 32), float("nan"))])
def test_rows_that_would_poison_the_cache_are_refused(omni: Omni, bad: Tensor) -> None:
    engine = Engine(omni, 256)
    engine.open("a")
    with pytest.raises(ValueError, match="rows"):
        engine.put_chunk("a", bad, "x")


def test_a_full_pool_stops_the_one_who_asks(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FIRST_TURN", 1)
    engine = Engine(omni, 64)
    engine.open("big", Limits(max_context=32))
    engine.open("small", Limits(max_context=32))
    engine.open("late", Limits(max_context=16))
    for name, count in (("big", 32), ("small", 16)):
        say(engine, name, rows(count))
    say(engine, "late", rows(16))
    with pytest.raises(PoolFull):
        say(engine, "small", rows(3))
    with pytest.raises(ContextFull):
        say(engine, "big", rows(1))
    with pytest.raises(PoolFull, match="0 of 64 positions are free"):
        engine.open("one too many")
    engine.decode("small", 1, SHORT)
    events = run(engine)
    assert [type(event) for event in events if event.session == "small"][-2:] == [Failed, Finished]
    engine.close("late")
    assert engine.pool.free == 1
    say(engine, "small", rows(3))


def test_a_model_that_breaks_fails_one_session(omni: Omni) -> None:
    engine = Engine(omni, 1024)
    for name in "ab":
        engine.open(name)
        say(engine, name, rows(4))
    run(engine)
    engine._sessions["a"].hidden = torch.full((32,), float("nan"))
    for name in "ab":
        engine.decode(name, 1, SHORT)
    events = run(engine)
    assert [e for e in events if isinstance(e, Failed)] == [Failed("a", 1, "the model's output is not a finite number")]
    assert Finished("a", 1, "error") in events
    assert spoken(events, "b") == reply(omni, rows(4), SHORT)


def breaks_with(engine: Engine, monkeypatch: pytest.MonkeyPatch, culprit: str) -> None:
    """From now on whatever is run with rows of this session raises."""
    run_batch = engine._runner.run

    def or_break(plan: Plan, sequences: Mapping[str, Sequence]) -> dict[str, Tensor]:
        made = run_batch(plan, sequences) if culprit not in plan.rows else None
        if made is None:
            raise RuntimeError("a kernel died")
        return made

    monkeypatch.setattr(engine._runner, "run", or_break)


def test_a_batch_that_breaks_fails_the_culprit_alone(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(omni, 1024, budget=Budget(rows=6))
    for name in "abc":
        engine.open(name)
        say(engine, name, rows(10))
        engine.decode(name, 1, SHORT)
    with monkeypatch.context() as patch:
        breaks_with(engine, patch, "b")
        events = run(engine)
    failed = [event for event in events if event.session == "b"]
    assert failed == [Failed("b", 1, "the model broke: a kernel died"), Finished("b", 1, "error")]
    for name in "ac":
        assert spoken(events, name) == reply(omni, rows(10), SHORT)
    engine.rollback("b", 0)
    say(engine, "b", rows(10))
    engine.decode("b", 2, SHORT)
    assert spoken(run(engine), "b") == reply(omni, rows(10), SHORT), "it was not the end of b either"


def test_rows_that_break_before_a_reply_wait_to_be_taken_back(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(omni, 1024)
    engine.open("a")
    say(engine, "a", rows(10))
    with monkeypatch.context() as patch:
        breaks_with(engine, patch, "a")
        assert run(engine) == [Failed("a", None, "the model broke: a kernel died")]
    assert not engine.busy
    engine.rollback("a", 0)
    say(engine, "a", rows(4))
    assert run(engine) == [Prefilled("a", 0, 4)]


def test_a_choice_that_breaks_fails_its_own_session(omni: Omni) -> None:
    class Broken:
        def allowed(self, logits: Tensor) -> Tensor:
            raise RuntimeError("no grammar")

        def record(self, token: int) -> None: ...

    engine = Engine(omni, 1024)
    for name in "ab":
        engine.open(name)
        say(engine, name, rows(10))
        engine.decode(name, 1, SHORT, Broken() if name == "b" else None)
    events = run(engine)
    assert [e for e in events if isinstance(e, Failed)] == [Failed("b", 1, "the model broke: no grammar")]
    assert spoken(events, "a") == reply(omni, rows(10), SHORT)


def test_sessions_open_and_close_once(omni: Omni) -> None:
    engine = Engine(omni, 256)
    assert engine.open("a").max_context == 256
    with pytest.raises(UnknownSession, match="already open"):
        engine.open("a")
    engine.close("a")
    with pytest.raises(UnknownSession, match="no session a"):
        engine.close("a")


def test_who_can_wait_is_left_out_of_a_step_and_says_the_same(omni: Omni) -> None:
    engine = Engine(omni, 1024)
    events: list[Event] = []
    for name in "ab":
        engine.open(name)
        say(engine, name, rows(9, seed=ord(name)))
        engine.decode(name, 1, SHORT)
    events += engine.step()
    for _ in range(3):
        made = engine.step(held={"a"})
        assert not frames(made, "a") and frames(made, "b")
        events += made
    events += run(engine)
    for name in "ab":
        assert spoken(events, name) == reply(omni, rows(9, seed=ord(name)), SHORT)


def test_it_knows_whether_a_prompt_waits(omni: Omni) -> None:
    engine = Engine(omni, 1024)
    engine.open("a")
    assert not engine.reads
    say(engine, "a", rows(9))
    engine.decode("a", 1, SHORT)
    assert engine.reads
    engine.step()
    assert engine.busy and not engine.reads
