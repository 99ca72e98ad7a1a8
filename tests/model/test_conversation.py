"""A conversation through the host: what is in the model's mind after every turn of events is what was really said."""

import numpy as np
import pytest
from toy_host import Toy, chunk, codes_of, sound, spoken

from vivavoce.model import prompt
from vivavoce.model.messages import (
    AddImage,
    AddText,
    Answer,
    Cancel,
    Cut,
    Ended,
    Failed,
    Forget,
    Listen,
    Open,
    Opened,
    Reply,
    Rewind,
    Spoke,
    Transcribed,
)
from vivavoce.model.senses import Ear, collapse, see

A = "a"
YES = [("Yes.", codes_of(14, 1)), (" It is red, and round.", codes_of(36, 2))]


@pytest.fixture
def toy() -> Toy:
    toy = Toy()
    assert toy.tell(Open(A)) == [Opened(A, 4096, 24_000)]
    return toy


def words(messages: list[Reply]) -> str:
    return "".join(message.text for message in messages if isinstance(message, Spoke))


def wave(messages: list[Reply]) -> np.ndarray:
    return np.concatenate([message.pcm for message in messages if isinstance(message, Spoke)])


def asked(toy: Toy, question: str = "what is it?") -> prompt.Rows:
    """A typed question, and its rows."""
    assert toy.tell(AddText(A, "user", question)) == []
    return prompt.join(toy.text("USER:"), toy.text(question), toy.text("\n"))


def test_a_spoken_reply_from_question_to_end(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    assert toy.tell(Answer(A, 1)) == []
    said = toy.run()
    assert words(said) == "Yes. It is red, and round."
    assert len(wave(said)) == 50 * 1440
    assert isinstance(said[-1], Ended) and said[-1].reason == "done"
    assert (said[-1].usage.audio_out, said[-1].usage.text_in) == (50, len(question) + len(toy.text("VOICE ASSISTANT:")))
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES))


def test_sound_comes_in_order_and_says_where_it_belongs(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    asked(toy)
    toy.tell(Answer(A, 1))
    at_ms = 0
    for message in toy.run():
        if isinstance(message, Spoke):
            assert message.at_ms == at_ms
            at_ms += len(message.pcm) * 1000 // 24_000
    assert at_ms == 50 * 60


def test_instructions_come_first() -> None:
    toy = Toy()
    toy.tell(Open(A, instructions="be kind"))
    toy.remembers(A, prompt.text_turn(toy.tokenizer, "SYSTEM", "be kind"))


def test_a_written_reply(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [*toy.tokenizer.encode("it is red"), 2]
    toy.says(monkeypatch, [(token, (32, 32, 32, 32)) for token in ids])
    question = asked(toy)
    toy.tell(Answer(A, 1, text_only=True))
    said = toy.run()
    assert words(said) == "it is red" and len(wave(said)) == 0
    reply = prompt.join(prompt.text_ids(ids), toy.text("\n"))
    toy.remembers(A, question, toy.text("ASSISTANT:"), reply)


def test_a_heard_and_seen_question_is_what_offline_encoders_say(toy: Toy) -> None:
    for second in range(3):
        assert toy.tell(Listen(A, chunk(1000 * second, frames=2))) == []
        toy.run()
    before = toy.engine.position(A)
    (transcribed,) = toy.tell(Answer(A, 1))
    assert isinstance(transcribed, Transcribed) and transcribed.turn == 1
    ear = Ear(toy.omni, toy.cmvn)
    heard, state = ear.hear(sound(3000).pcm, ear.start())
    rest = ear.finish(state)
    assert transcribed.text == toy.tokenizer.decode(collapse(heard.letters + rest.letters)).strip()
    assert before > len(heard.rows), "what was final had been prefilled before the answer was asked for"


def test_going_on_after_a_guess_is_as_if_there_had_been_none(toy: Toy) -> None:
    other = Toy()
    other.tell(Open(A))
    for host in (toy.host, other.host):
        host.handle(Listen(A, chunk(0, frames=2)))
        host.handle(Listen(A, chunk(1000, 400, frames=1)))
    toy.tell(Answer(A, 1, max_tokens=50))
    toy.run(steps=6)
    assert toy.tell(Rewind(A, 1)) == []
    for host in (toy.host, other.host):
        host.handle(Listen(A, chunk(1400, 1000, frames=2)))
    spoken_again = [t.host.handle(Answer(A, 2, max_tokens=20)) + t.run() for t in (toy, other)]
    assert all(getattr(message, "turn", 2) == 2 for message in spoken_again[0])
    assert words(spoken_again[0]) == words(spoken_again[1])
    np.testing.assert_allclose(wave(spoken_again[0]), wave(spoken_again[1]), atol=1e-4)
    assert toy.engine.position(A) == other.engine.position(A)


def test_a_guess_that_had_ended_can_still_be_rewound(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    asked(toy)
    toy.tell(Answer(A, 1))
    toy.run()
    toy.tell(AddText(A, "user", " really?"))
    toy.tell(Rewind(A, 1))
    toy.remembers(A, toy.text("USER:"), toy.text("what is it?"), toy.text(" really?"))


@pytest.mark.parametrize("steps", [40, None], ids=["still being made", "made, still being heard"])
def test_an_interrupted_reply_is_remembered_as_far_as_it_was_heard(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, steps: int | None
) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(steps)
    assert toy.tell(Cut(A, 1, heard_ms=14 * 60 + 30)) == []
    assert toy.run() == []
    heard = prompt.spoken_reply(toy.tokenizer, YES[:1])
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), heard)


def test_what_was_not_heard_of_it_follows_as_a_note_and_then_the_user(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.host.handle(Answer(A, 1))
    toy.run(18)
    toy.host.handle(Cut(A, 1, heard_ms=14 * 60 + 30))
    toy.host.handle(AddText(A, "system", "not heard: it is round."))
    toy.host.handle(AddText(A, "user", "go on"))
    toy.remembers(
        A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES[:1]),
        prompt.text_turn(toy.tokenizer, "SYSTEM", "not heard: it is round."), toy.text("USER:"), toy.text("go on"),
    )  # fmt: skip


def test_a_reply_nobody_heard_is_not_remembered(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(10)
    toy.tell(Cut(A, 1, heard_ms=0))
    toy.tell(AddText(A, "user", "hello"))
    toy.remembers(A, question, toy.text("USER:"), toy.text("hello"))


def test_a_cancelled_reply_is_remembered_as_far_as_it_was_emitted(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(16)
    toy.tell(Cancel(A, 1))
    assert toy.run() == []
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES[:1]))


def test_a_reply_heard_to_its_end_is_not_cut(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run()
    toy.tell(Cut(A, 1, heard_ms=60_000))
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES))


def test_what_is_said_meanwhile_waits_for_the_end(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(5)
    toy.tell(AddText(A, "user", "and this?"))
    said = toy.run()
    assert words(said).endswith("round.")
    toy.remembers(
        A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES),
        toy.text("USER:"), toy.text("and this?"),
    )  # fmt: skip


def test_a_late_cut_leaves_the_next_turn_in_place(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1))
    toy.run()
    toy.tell(AddText(A, "user", "stop"))
    toy.tell(Cut(A, 1, heard_ms=14 * 60))
    toy.remembers(
        A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES[:1]),
        toy.text("USER:"), toy.text("stop"),
    )  # fmt: skip


def test_a_reply_too_long_is_closed_where_it_stopped(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES))
    question = asked(toy)
    toy.tell(Answer(A, 1, max_tokens=17))
    ended = toy.run()[-1]
    assert isinstance(ended, Ended) and ended.reason == "length"
    toy.remembers(A, question, toy.text("VOICE ASSISTANT:"), prompt.spoken_reply(toy.tokenizer, YES[:1]))


def test_nothing_of_an_old_reply_after_it_was_stopped(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, spoken(toy.tokenizer, *YES), spoken(toy.tokenizer, ("No.", codes_of(9, 5))))
    asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(20)
    toy.tell(Cut(A, 1, heard_ms=300))
    asked(toy, "sure?")
    toy.tell(Answer(A, 2))
    said = toy.run()
    assert words(said) == "No."
    assert {message.turn for message in said if isinstance(message, Spoke | Ended)} == {2}


@pytest.mark.parametrize("stop", [Rewind(A, 9), Cut(A, 9, 0), Cancel(A, 9)])
def test_stopping_a_reply_there_is_not_changes_nothing(toy: Toy, stop: Rewind | Cut | Cancel) -> None:
    asked(toy)
    before = toy.engine.position(A)
    assert toy.tell(stop) == []
    assert toy.engine.position(A) == before


def test_one_reply_at_a_time(toy: Toy) -> None:
    asked(toy)
    toy.tell(Answer(A, 1, max_tokens=5))
    (failed,) = toy.tell(Answer(A, 2))
    assert failed == Failed(A, 2, "reply 1 is still being made")
    assert isinstance(toy.run()[-1], Ended)


def test_forgetting_leaves_the_instructions() -> None:
    toy = Toy()
    toy.tell(Open(A, instructions="be kind"))
    asked(toy)
    toy.tell(Answer(A, 1))
    toy.run(4)
    toy.tell(Forget(A))
    assert toy.run() == []
    toy.tell(AddText(A, "user", "hi"))
    toy.remembers(A, prompt.text_turn(toy.tokenizer, "SYSTEM", "be kind"), toy.text("USER:"), toy.text("hi"))


def test_a_conversation_that_is_full_says_so_and_can_start_over() -> None:
    toy = Toy(max_tokens=64)
    toy.tell(Open(A))
    (failed,) = toy.tell(AddText(A, "user", "x" * 80))
    assert isinstance(failed, Failed) and "the conversation is full" in failed.message
    toy.tell(Forget(A))
    assert toy.tell(AddText(A, "user", "hello")) == []


def test_a_still_picture_is_an_item_of_the_turn(toy: Toy) -> None:
    rgb = chunk(0, frames=1).frames[0].rgb
    assert toy.tell(AddImage(A, rgb)) == []
    seen = see(toy.omni, rgb)
    toy.remembers(A, toy.text("USER:"), prompt.image(toy.tokenizer, len(seen)), vision=seen)
