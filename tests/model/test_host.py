"""A host of many conversations: nobody's mistake is anybody else's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_host import CODEC, Toy, chunk, codes_of, spoken

from vivavoce.codecs.cmvn import write_cmvn
from vivavoce.codecs.codec import SpeechCodec, SpeechDecoder
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import AudioChunk, MediaChunk, SpeechFrame
from vivavoce.codecs.voices import Voices
from vivavoce.model.companions import SESSION_TOKENS, read_longest, read_sampling
from vivavoce.model.host import Host
from vivavoce.model.listening import Scribe, Sensed, UserTurn
from vivavoce.model.messages import (
    AddImage,
    AddText,
    Answer,
    Cancel,
    Close,
    Ended,
    Failed,
    Listen,
    Open,
    Opened,
    Reply,
    Spoke,
    Transcribed,
    Weigh,
    Weighed,
)
from vivavoce.model.senses import Look
from vivavoce.model.weights import save_release


@pytest.fixture
def toy() -> Toy:
    return Toy()


def of(messages: list[Reply], session: str) -> list[Reply]:
    return [message for message in messages if message.session == session]


def talk(toy: Toy, session: str, seconds: int) -> list[Reply]:
    toy.tell(Open(session))
    for second in range(seconds):
        toy.tell(Listen(session, chunk(1000 * second, frames=second % 3)))
    return toy.tell(Answer(session, 1, max_tokens=12))


def test_conversations_side_by_side_say_what_each_would_alone(toy: Toy) -> None:
    for seconds, session in enumerate("abc", start=1):
        talk(toy, session, seconds)
    together = toy.run()
    for seconds, session in enumerate("abc", start=1):
        alone = Toy()
        talk(alone, session, seconds)
        said, expected = of(together, session), alone.run()
        assert [getattr(m, "text", None) for m in said] == [getattr(m, "text", None) for m in expected]
        for one, other in zip(said, expected, strict=True):
            if isinstance(one, Spoke) and isinstance(other, Spoke):
                np.testing.assert_allclose(one.pcm, other.pcm, atol=1e-4)


def test_sessions_choose_their_voices_and_say_the_same_at_once(toy: Toy) -> None:
    """Two voices in one batch: the same words and codes, and each the sound that it has alone."""
    torch.manual_seed(8)
    hugo = SpeechCodec(SpeechDecoderNet(replace(CODEC, voice="hugo")))
    toy.host = Host(toy.omni, toy.tokenizer, Voices(toy.codec, hugo), toy.cmvn)
    assert toy.host.voices == ("default", "hugo")
    asked = {"a": "", "b": "hugo", "c": "hugo", "d": "default"}
    for session, voice in asked.items():
        toy.tell(Open(session))
        toy.tell(AddText(session, "user", "hello"))
        toy.tell(Answer(session, 1, max_tokens=12, voice=voice))
    said = toy.run()
    sound = {s: np.concatenate([m.pcm for m in of(said, s) if isinstance(m, Spoke)]) for s in asked}
    assert len(sound["a"]) > 0
    np.testing.assert_array_equal(sound["a"], sound["d"])
    np.testing.assert_array_equal(sound["b"], sound["c"])
    assert np.abs(sound["a"] - sound["b"]).max() > 1e-3
    texts = {"".join(m.text for m in of(said, s) if isinstance(m, Spoke)) for s in asked}
    assert len(texts) == 1


def test_a_voice_that_the_model_has_not_is_refused_and_the_question_stays(toy: Toy) -> None:
    toy.tell(Open("a"))
    toy.tell(AddText("a", "user", "hello"))
    assert toy.tell(Answer("a", 1, voice="rex")) == [Failed("a", 1, "there is no voice 'rex', there are default")]
    toy.tell(Answer("a", 2, max_tokens=4))
    assert isinstance(toy.run()[-1], Ended)


def test_everybodys_seconds_are_encoded_in_one_batch(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    sense = Scribe.sense

    def counted(self: Scribe, due: Sequence[tuple[UserTurn, MediaChunk | Look]]) -> list[Sensed]:
        batches.append(len(due))
        return sense(self, due)

    monkeypatch.setattr(Scribe, "sense", counted)
    for session in "abcd":
        toy.host.handle(Open(session))
        for second in range(2):
            assert toy.host.handle(Listen(session, chunk(1000 * second, frames=2))) == []
        assert toy.host.handle(Answer(session, 1, max_tokens=4)) == []
    said = toy.run()
    assert batches == [4, 4]
    for session in "abcd":
        assert [type(message) for message in of(said, session)][:1] == [Transcribed]
        assert isinstance(of(said, session)[-1], Ended)


def test_an_answer_tells_what_its_session_has_cost(toy: Toy) -> None:
    for session in "ab":
        toy.tell(Open(session))
        toy.tell(AddText(session, "user", "hello" * (1 + (session == "b"))))
        toy.tell(Answer(session, 1, max_tokens=6, text_only=session == "b"))
    costs = {message.session: message.cost for message in toy.run() if isinstance(message, Ended)}
    for cost in costs.values():
        assert 0 < cost.experts < toy.omni.config.backbone.moe_topk
    assert costs["a"].experts != costs["b"].experts
    told = [toy.engine.figures(session) for session in "ab"]
    positions = sum(figures.positions for figures in told)
    assert positions == toy.omni.backbone.model.layers[0].mlp.tokens, "every row is somebody's"
    assert sum(figures.experts for figures in told) == pytest.approx(toy.host.active_experts * positions)


def test_a_picture_that_is_none_spoils_its_own_session_and_not_the_batch(toy: Toy) -> None:
    for session in "ab":
        toy.host.handle(Open(session))
        toy.host.handle(Listen(session, chunk(0, frames=1)))
    toy.host.handle(AddImage("a", np.zeros((0, 5, 3), np.uint8)))
    toy.host.handle(Listen("b", chunk(1000, frames=1)))
    for session in "ab":
        toy.host.handle(Answer(session, 1, max_tokens=3))
    said = toy.run()
    (failed,) = [message for message in said if isinstance(message, Failed)]
    assert failed.session == "a" and "positive" in failed.message
    assert all(isinstance(of(said, session)[-1], Ended) for session in "ab")


def test_a_pause_is_weighed_when_all_before_it_has_been_heard(toy: Toy) -> None:
    for session in "ab":
        toy.host.handle(Open(session))
        toy.host.handle(Listen(session, chunk(0)))
        assert toy.host.handle(Weigh(session, 7)) == [], "it waits, and is heard in one batch with the others"
    weighed = [said for said in toy.host.step() if isinstance(said, Weighed)]
    assert [(said.session, said.number) for said in weighed] == [("a", 7), ("b", 7)]


def test_what_stops_a_reply_does_not_wait_for_the_encoders(toy: Toy) -> None:
    toy.host.handle(Open("a"))
    toy.host.handle(Listen("a", chunk(0)))
    toy.host.handle(Answer("a", 1))
    toy.host.handle(Cancel("a", 1))
    assert not toy.host._intake and not toy.host._conversations["a"].answers
    toy.host.handle(Listen("a", chunk(1000)))
    toy.host.handle(Close("a"))
    assert toy.run() == [] and not toy.host.busy


def test_while_a_voice_would_fall_silent_the_encoders_wait() -> None:
    now = [0.0]
    toy = Toy()
    toy.host = Host(toy.omni, toy.tokenizer, toy.codec, toy.cmvn, clock=lambda: now[0])
    for session in ("speaks", "listens"):
        toy.host.handle(Open(session))
    toy.host.handle(AddText("speaks", "user", "hello"))
    toy.host.handle(Answer("speaks", 1))
    toy.run(8)
    while min(toy.host._pace.slack_ms().values()) > 0:
        now[0] += 10
    toy.host.handle(Listen("listens", chunk(0, frames=2)))
    toy.host.step()
    assert toy.host._intake.holds("listens"), "the voice goes first"
    toy.run(12)
    assert not toy.host._intake.holds("listens"), "it has a second in store by now"


def test_a_bad_request_fails_its_own_session_and_goes_on(toy: Toy) -> None:
    talk(toy, "good", 1)
    toy.tell(Open("bad"))
    (failed,) = toy.tell(AddImage("bad", np.zeros((0, 5, 3), np.uint8)))
    assert isinstance(failed, Failed) and failed.session == "bad" and "positive" in failed.message
    (failed,) = toy.tell(AddText("bad", "wizard", "hi"))  # type: ignore[arg-type]
    assert isinstance(failed, Failed) and "WIZARD" in failed.message
    (failed,) = toy.tell(Answer("bad", 3, max_tokens=0))
    assert isinstance(failed, Failed) and failed.turn == 3
    assert toy.tell(AddText("bad", "user", "hello")) == []
    toy.tell(Answer("bad", 4, max_tokens=3))
    said = toy.run()
    for session in ("good", "bad"):
        assert isinstance(of(said, session)[-1], Ended)


def test_a_reply_that_cannot_be_voiced_breaks_off_alone(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = spoken(toy.tokenizer, ("Fine.", codes_of(6)))
    odd = spoken(toy.tokenizer, ("Odd.", np.full((6, 4), 31)))
    toy.says(monkeypatch, fine, odd)
    for session in ("fine", "odd"):
        talk(toy, session, 1)
    said = toy.run()
    assert isinstance(of(said, "fine")[-1], Ended)
    assert sum(len(m.pcm) for m in of(said, "fine") if isinstance(m, Spoke)) == 6 * 1440
    (broken,) = [m for m in said if isinstance(m, Failed)]
    assert broken.session == "odd" and "code 31 of stream 1 is not below 25" in broken.message


def test_a_voice_that_breaks_breaks_off_alone(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.says(monkeypatch, *(spoken(toy.tokenizer, (text, codes_of(6))) for text in ("Fine.", "Odd.")))
    for session in ("fine", "odd"):
        talk(toy, session, 1)
    odd = toy.host._conversations["odd"]
    speak = SpeechCodec.speak

    def or_break(self: SpeechCodec, streams: Sequence[tuple[SpeechDecoder, SpeechFrame]]) -> list[AudioChunk | None]:
        if odd._answering is not None and odd._answering.voice in [voice for voice, _ in streams]:
            raise RuntimeError("no voice")
        return speak(self, streams)

    monkeypatch.setattr(SpeechCodec, "speak", or_break)
    said = toy.run()
    assert sum(len(m.pcm) for m in of(said, "fine") if isinstance(m, Spoke)) == 6 * 1440
    assert isinstance(of(said, "fine")[-1], Ended)
    assert [m.message for m in said if isinstance(m, Failed)] == ["the reply broke off: no voice"]


def test_what_breaks_the_model_is_forgotten_and_the_conversation_goes_on(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.tell(Open("a"))
    toy.tell(AddText("a", "user", "hello"))
    with monkeypatch.context() as patch:
        patch.setattr(toy.host._engine._runner, "run", lambda plan, sequences: 1 / 0)
        (failed,) = toy.run()
    assert failed == Failed("a", None, "the model broke: division by zero; what was said so far is forgotten")
    toy.tell(AddText("a", "user", "hello"))
    toy.tell(Answer("a", 1, max_tokens=3))
    fresh = Toy()
    fresh.tell(Open("a"))
    fresh.tell(AddText("a", "user", "hello"))
    fresh.tell(Answer("a", 1, max_tokens=3))
    words = [[m.text for m in some.run() if isinstance(m, Spoke)] for some in (toy, fresh)]
    assert words[0] == words[1]


def test_a_request_for_nobody(toy: Toy) -> None:
    assert toy.tell(Answer("ghost", 1)) == [Failed("ghost", None, "no session ghost is open")]
    assert toy.tell(Close("ghost")) == []


def test_a_session_is_opened_once(toy: Toy) -> None:
    assert isinstance(toy.tell(Open("a"))[0], Opened)
    assert toy.tell(Open("a")) == [Failed("a", None, "session a is already open")]
    assert toy.tell(AddText("a", "user", "still here")) == []


def test_a_full_house_turns_the_next_one_away() -> None:
    toy = Toy(max_tokens=512)
    for session in "ab":
        toy.tell(Open(session, instructions="x" * 200))
    (failed,) = toy.tell(Open("c"))
    assert isinstance(failed, Failed) and "no room for another session" in failed.message
    toy.tell(Close("a"))
    assert isinstance(toy.tell(Open("c"))[0], Opened)


def test_instructions_too_long_leave_no_half_open_session() -> None:
    toy = Toy(max_tokens=512)
    (failed,) = toy.tell(Open("a", instructions="x" * 900))
    assert isinstance(failed, Failed)
    assert isinstance(toy.tell(Open("a"))[0], Opened)


def test_a_closed_session_frees_what_it_held_and_says_no_more(toy: Toy) -> None:
    talk(toy, "a", 1)
    toy.run(3)
    toy.tell(Close("a"))
    assert not toy.host.busy
    assert toy.engine.pool.free == toy.engine.pool.n_blocks


def test_sampling_comes_from_the_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    assert read_sampling(file).audio_repetition_penalty == 1.1
    file.write_text('{"audio_repetition_penalty": 1.0}')
    assert read_sampling(file).audio_repetition_penalty == 1.0
    file.write_text("{")
    with pytest.raises(ValueError, match="generation_config.json is not JSON"):
        read_sampling(file)
    file.write_text('{"audio_repetition_penalty": "much"}')
    with pytest.raises(ValueError, match="generation_config.json"):
        read_sampling(file)


def test_a_saved_host_says_the_same_when_loaded(tmp_path: Path, toy: Toy) -> None:
    save_release(toy.omni, tmp_path, dtype=toy.omni.dtype)
    toy.tokenizer.save(tmp_path)
    toy.codec.save(tmp_path / "audio_codec")
    write_cmvn(tmp_path / "audio" / "global_cmvn", np.random.default_rng(0).normal(10, 3, (50, 80)).astype(np.float32))
    loaded = Host.load(tmp_path)
    for host in (toy.host, loaded):
        host.handle(Open("a"))
        host.handle(AddText("a", "user", "hello"))
        host.handle(Answer("a", 1, max_tokens=8))
    texts = []
    for host in (toy.host, loaded):
        said: list[Reply] = []
        while host.busy:
            said += host.step()
        texts.append([message.text for message in said if isinstance(message, Spoke)])
    assert texts[0] == texts[1]


def test_a_checkpoint_says_how_long_a_conversation_it_is_good_for(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    assert read_longest(file) == SESSION_TOKENS
    file.write_text('{"max_length": 1200}')
    assert read_longest(file) == 1200
    file.write_text('{"max_length": "long"}')
    with pytest.raises(ValueError, match="max_length is 'long'"):
        read_longest(file)


def test_long_instructions_leave_a_conversation_as_much_room_as_short_ones() -> None:
    for instructions in ("", "x" * 900):
        toy = Toy(max_tokens=4096)
        toy.host = Host(toy.omni, toy.tokenizer, toy.codec, toy.cmvn, max_tokens=4096, session_tokens=4096, longest=400)
        assert isinstance(toy.tell(Open("a", instructions=instructions))[0], Opened)
        memory = toy.host._conversations["a"]._memory
        assert memory.marks.limit - memory.marks.base == 400
