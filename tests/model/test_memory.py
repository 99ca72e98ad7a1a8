"""A conversation without end: when its context fills, old turns are forgotten, and the rest is as if written today."""

import numpy as np
import pytest
from toy_host import Toy, chunk, codes_of, spoken

from vivavoce.model import prompt
from vivavoce.model.host import Host
from vivavoce.model.messages import (
    AddImage,
    AddText,
    Answer,
    Cut,
    Ended,
    Failed,
    Listen,
    Open,
    Opened,
    Rewind,
    Truncate,
)
from vivavoce.model.prompt import Rows
from vivavoce.model.senses import see

A = "a"
LIMIT = 320
SAYS = [("Yes.", codes_of(14, 1)), (" It is red.", codes_of(22, 2))]
INSTRUCTIONS = "be kind"


def toy_of(limit: int = LIMIT, pool: int = 8192) -> Toy:
    toy = Toy()
    toy.host = Host(toy.omni, toy.tokenizer, toy.codec, toy.cmvn, max_tokens=pool, session_tokens=limit)
    return toy


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    toy = toy_of()
    toy.says(monkeypatch, *[spoken(toy.tokenizer, *SAYS) for _ in range(80)])
    assert toy.tell(Open(A, INSTRUCTIONS)) == [Opened(A, LIMIT, 24_000)]
    return toy


def system(toy: Toy) -> Rows:
    return prompt.text_turn(toy.tokenizer, "SYSTEM", INSTRUCTIONS)


def question(toy: Toy, turn: int) -> Rows:
    return prompt.join(toy.text("USER:"), toy.text(f"what is number {turn}?"), toy.text("\n"))


def answer(toy: Toy) -> Rows:
    return prompt.join(toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, SAYS))


def exchange(toy: Toy, turn: int) -> Rows:
    """Ask and be answered; the rows of both."""
    assert toy.tell(AddText(A, "user", f"what is number {turn}?")) == []
    assert toy.tell(Answer(A, turn)) == []
    ended = toy.run()[-1]
    assert isinstance(ended, Ended) and ended.reason == "done"
    return prompt.join(question(toy, turn), answer(toy))


def newest_that_fit(toy: Toy, turns: list[Rows]) -> list[Rows]:
    """As many of the newest turns as the engine's position says that it holds."""
    held, kept = toy.engine.position(A) - len(system(toy)), []
    while held > 0:
        kept.insert(0, turns[-1 - len(kept)])
        held -= len(kept[0])
    assert held == 0, "whole turns are kept"
    return kept


def test_a_call_ten_times_its_limit_goes_on_and_remembers_its_newest_turns(toy: Toy) -> None:
    turns: list[Rows] = []
    forgotten = 0
    while sum(map(len, turns)) < 10 * LIMIT:
        before = toy.engine.position(A)
        turns.append(exchange(toy, len(turns) + 1))
        assert toy.engine.position(A) <= LIMIT
        if toy.engine.position(A) < before:
            forgotten += 1
            low = len(system(toy)) + (LIMIT - len(system(toy))) // 2
            assert len(system(toy)) + len(turns[-1]) <= toy.engine.position(A) <= low
            toy.remembers(A, system(toy), *newest_that_fit(toy, turns))
    assert forgotten >= 10
    toy.remembers(A, system(toy), *newest_that_fit(toy, turns))


def until_forgotten(toy: Toy) -> list[Rows]:
    """Talk until turns have just been forgotten; all turns there were."""
    turns: list[Rows] = []
    before = -1
    while toy.engine.position(A) > before:
        before = toy.engine.position(A)
        turns.append(exchange(toy, len(turns) + 1))
    return turns


def test_forgetting_is_done_when_the_reply_ends_and_not_when_the_next_is_asked_for(toy: Toy) -> None:
    until_forgotten(toy)
    left = toy.engine.position(A)
    toy.tell(AddText(A, "user", "and?"))
    asked = toy.engine.position(A)
    assert asked == left + len(toy.text("USER:")) + len(toy.text("and?"))
    toy.tell(Answer(A, 99))
    assert toy.engine.position(A) == asked + len(toy.text("\n")) + len(toy.text("VOICE ASSISTANT:"))


def test_after_forgetting_a_reply_can_still_be_taken_back(toy: Toy) -> None:
    turns = until_forgotten(toy)
    kept = newest_that_fit(toy, turns)[:-1]
    assert toy.tell(Rewind(A, len(turns))) == []
    assert toy.tell(AddText(A, "user", " really?")) == []
    toy.remembers(A, system(toy), *kept, question(toy, len(turns))[:-1], toy.text(" really?"))


def test_after_forgetting_a_reply_can_still_be_cut(toy: Toy) -> None:
    turns = until_forgotten(toy)
    kept = newest_that_fit(toy, turns)[:-1]
    toy.tell(AddText(A, "user", "stop"))
    assert toy.tell(Cut(A, len(turns), heard_ms=14 * 60)) == []
    heard = prompt.join(toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, SAYS[:1]))
    toy.remembers(A, system(toy), *kept, question(toy, len(turns)), heard, toy.text("USER:"), toy.text("stop"))


def test_only_the_newest_pictures_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_of(limit=400)
    toy.says(monkeypatch, *[spoken(toy.tokenizer, *SAYS) for _ in range(8)])
    toy.tell(Open(A))
    shown: list[np.ndarray] = [chunk(1000 * i, frames=1).frames[0].rgb for i in range(8)]
    turns: list[Rows] = []
    before = -1
    while toy.engine.position(A) > before:
        before = toy.engine.position(A)
        assert toy.tell(AddImage(A, shown[len(turns)])) == []
        turns.append(exchange(toy, len(turns) + 1))
    seen = see(toy.omni, shown[len(turns) - 1])
    picture = prompt.image(toy.tokenizer, len(seen))
    user = len(toy.text("USER:"))
    latest = prompt.join(turns[-1][:user], picture, turns[-1][user:])
    older = turns[len(turns) - 1 - (toy.engine.position(A) - len(latest)) // len(turns[0]) : -1]
    assert older, "there is room for the words of an older turn"
    toy.remembers(A, *older, latest, vision=seen)


@pytest.mark.parametrize("retain", [0.0, 0.5, 0.9])
def test_a_client_says_how_much_is_left_after_forgetting(toy: Toy, retain: float) -> None:
    assert toy.tell(Truncate(A, retain)) == []
    base, turns, before = len(system(toy)), [exchange(toy, 1)], 0
    while toy.engine.position(A) > before:
        before = toy.engine.position(A)
        turns.append(exchange(toy, len(turns) + 1))
    most, each = int((LIMIT - base) * 3 // 4 * retain), len(turns[-1])
    assert max(each, most - each) < toy.engine.position(A) - base + 1 <= max(each, most) + 1
    toy.remembers(A, system(toy), *newest_that_fit(toy, turns))


def test_a_client_says_when_it_is_too_long(toy: Toy) -> None:
    turns = [exchange(toy, 1)]
    assert toy.tell(Truncate(A, 1.0, 2 * len(turns[0]) + 10)) == []
    for turn in range(2, 8):
        turns.append(exchange(toy, turn))
        toy.remembers(A, system(toy), *turns[-2:])


def test_a_client_can_have_nothing_forgotten(toy: Toy) -> None:
    assert toy.tell(Truncate(A, forgets=False)) == []
    turns = [exchange(toy, number) for number in (1, 2, 3)]
    written, refused = 0, []
    while not refused:
        written += 1
        refused = toy.tell(AddText(A, "user", "and on"))
    (failed,) = refused
    assert isinstance(failed, Failed) and "the conversation is full" in failed.message
    more = [toy.text("USER:"), *[toy.text("and on")] * (written - 1)]
    toy.remembers(A, system(toy), *turns, *more)
    assert toy.engine.position(A) > LIMIT * 3 // 4, "by now it would have forgotten"
    assert toy.tell(Truncate(A)) == []
    assert toy.tell(AddText(A, "user", "and now?")) == [], "it goes on as soon as it may forget"
    assert toy.engine.position(A) < LIMIT * 3 // 4


def test_one_turn_longer_than_the_limit_can_be_answered_and_left_behind(toy: Toy) -> None:
    failed = [m for second in range(40) for m in toy.tell(Listen(A, chunk(1000 * second)))]
    assert failed and all(isinstance(m, Failed) and f"of {LIMIT} are left" in m.message for m in failed)
    said = toy.tell(Answer(A, 1)) + toy.run()
    assert isinstance(said[-1], Ended)
    exchange(toy, 2)
    turn = exchange(toy, 3)
    assert toy.engine.position(A) >= len(system(toy)) + len(turn)


def test_a_long_look_goes_on_with_its_latest_pictures(toy: Toy) -> None:
    for second in range(12):
        assert toy.tell(Listen(A, chunk(1000 * second, frames=2))) == []
        assert toy.engine.position(A) <= LIMIT
    toy.tell(Answer(A, 1))
    assert isinstance(toy.run()[-1], Ended)


def test_when_others_fill_the_cache_a_conversation_forgets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_of(limit=512, pool=704)
    toy.says(monkeypatch, *[spoken(toy.tokenizer, *SAYS) for _ in range(20)])
    toy.tell(Open(A, INSTRUCTIONS))
    assert isinstance(toy.tell(Open("b"))[0], Opened)
    assert toy.tell(AddText("b", "user", "x" * 400)) == []
    for turn in range(1, 12):
        assert not any(isinstance(m, Failed) for m in toy.tell(AddText(A, "user", f"what is {turn}?")))
        assert toy.tell(Answer(A, turn)) == []
        ended = toy.run()[-1]
        assert isinstance(ended, Ended) and ended.reason == "done"
    assert toy.tell(AddText(A, "user", "still there?")) == []


def test_later_instructions_outlive_the_turns_around_them(toy: Toy) -> None:
    toy.tell(AddText(A, "system", "be brief"))
    turns = [exchange(toy, turn) for turn in range(1, 9)]
    later = prompt.text_turn(toy.tokenizer, "SYSTEM", "be brief")
    held = (toy.engine.position(A) - len(system(toy)) - len(later)) // len(turns[-1])
    assert 1 <= held < 8
    toy.remembers(A, system(toy), later, *turns[-held:])


def test_a_session_whose_instructions_leave_no_room_is_refused() -> None:
    toy = toy_of()
    (failed,) = toy.tell(Open(A, "x" * 310))
    assert isinstance(failed, Failed) and str(LIMIT) in failed.message
    assert isinstance(toy.tell(Open(A))[0], Opened)
