"""The model's process, without the process: messages in, messages out, one step at a time.

    host = Host.load("model/kitten")
    host.handle(Open("a")); host.handle(Listen("a", chunk)); host.handle(Answer("a", turn=1))
    while host.busy:
        for message in host.step(): ...

A host serves many sessions over one engine. Whatever is wrong with one session's request becomes a `Failed` for that
session alone.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path

import torch

from vivavoce.codecs.cmvn import Cmvn, read_cmvn
from vivavoce.codecs.codec import SpeechCodec, SpeechDecoder
from vivavoce.codecs.media import SPEAK_RATE, AudioChunk, SpeechFrame
from vivavoce.model.answering import Answering, Shared
from vivavoce.model.conversation import Conversation
from vivavoce.model.engine.engine import POOL_POSITIONS, Engine
from vivavoce.model.engine.events import EngineError, Frame, Limits, Sampling
from vivavoce.model.guide import Smith
from vivavoce.model.listening import Scribe
from vivavoce.model.messages import (
    AddCall,
    AddImage,
    AddText,
    Answer,
    Cancel,
    Close,
    Cut,
    Equip,
    Failed,
    Forget,
    Listen,
    Open,
    Opened,
    Reply,
    Request,
    Rewind,
    Truncate,
    Weigh,
)
from vivavoce.model.omni import Omni
from vivavoce.model.reply import Said
from vivavoce.model.senses import Ear
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.turn_end import TurnEnd
from vivavoce.model.weights import load_omni

log = logging.getLogger(__name__)

SESSION_TOKENS = 8192
"""Positions of one conversation, instructions and replies among them; four fill the cache. Longer ones forget."""


class Host:
    """Many conversations with one model.

    `cmvn` is the audio encoder's; `max_tokens` the positions of the cache, for all sessions together; `session_tokens` the
    longest conversation, at most the cache and the checkpoint's `max_position_embeddings`: older turns are forgotten then, and
    earlier where they fill `longest` positions behind the instructions.
    """

    def __init__(
        self,
        omni: Omni,
        tokenizer: Tokenizer,
        codec: SpeechCodec,
        cmvn: Cmvn,
        sampling: Sampling | None = None,
        max_tokens: int = POOL_POSITIONS,
        session_tokens: int = SESSION_TOKENS,
        longest: int = SESSION_TOKENS,
        turn_end: TurnEnd | None = None,
    ) -> None:
        omni.eval().requires_grad_(False)
        spells = omni.config.audio.ctc_vocab == tokenizer.vocab_size
        self._engine = Engine(omni, max_tokens)
        self._limits = Limits(max_context=session_tokens)
        scribe = Scribe(omni, tokenizer, Ear(omni, cmvn, spells=spells), turn_end)
        smith = Smith(tokenizer, omni.config.backbone.vocab_size)
        self._shared = Shared(self._engine, tokenizer, codec, scribe, sampling or Sampling(), spells, smith, longest)
        self._conversations: dict[str, Conversation] = {}

    @classmethod
    def load(
        cls, directory: str | Path, max_tokens: int = POOL_POSITIONS, session_tokens: int = SESSION_TOKENS
    ) -> Host:
        """From a checkpoint directory in the release's layout.

        Raises ValueError (its kinds for configuration, weights and codec among them) and OSError, each naming the file.
        """
        root = Path(directory)
        return cls(
            load_omni(root),
            Tokenizer.load(root),
            SpeechCodec.load(root / "audio_codec"),
            read_cmvn(root / "audio" / "global_cmvn"),
            read_sampling(root / "generation_config.json"),
            max_tokens,
            session_tokens,
            read_longest(root / "generation_config.json"),
            TurnEnd.load(root),
        )

    @property
    def active_experts(self) -> float:
        """FFN experts that a position used on average, over all positions so far; the rest of its slots were identities."""
        return self._engine.omni.backbone.active_ffn_per_token

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return self._engine.busy

    @torch.inference_mode()
    def handle(self, message: Request) -> list[Reply]:
        """Carry out one request; what it sets going comes from `step`."""
        try:
            return self._handle(message)
        except (EngineError, ValueError) as error:
            return [Failed(message.session, None, str(error))]
        except Exception as error:
            log.exception("%s of session %s", type(message).__name__, message.session)
            return [Failed(message.session, None, f"{type(message).__name__} failed: {error}")]

    @torch.inference_mode()
    def step(self) -> list[Reply]:
        """Run one batch of everybody's work."""
        events = [event for event in self._engine.step() if event.session in self._conversations]
        messages = self._voice([event for event in events if isinstance(event, Frame)])
        for event in events:
            if isinstance(event, Frame):
                continue
            conversation = self._conversations[event.session]
            try:
                messages += conversation.happened(event)
            except Exception as error:
                messages += _broken(conversation, error)
        return messages

    def _voice(self, frames: list[Frame]) -> list[Reply]:
        """The words and the sound of everybody's step; all voices are decoded in one pass."""
        messages: list[Reply] = []
        spoken: list[tuple[str, Answering, Said]] = []
        for frame in frames:
            conversation = self._conversations[frame.session]
            try:
                step = conversation.said(frame)
            except Exception as error:
                messages += _broken(conversation, error)
                continue
            if step is not None:
                spoken.append((frame.session, *step))
        voiced = [(answering.voice, said.speech) for _, answering, said in spoken if said.speech is not None]
        sounds = iter(self._sounds(voiced))
        for session, answering, said in spoken:
            sound = None if said.speech is None else next(sounds)
            if isinstance(sound, Exception):
                messages += _broken(self._conversations[session], sound)
            else:
                messages += answering.spoke(session, said, sound)
        return messages

    def _sounds(self, voiced: list[tuple[SpeechDecoder, SpeechFrame]]) -> list[AudioChunk | None | Exception]:
        """The next sound of each voice; all in one pass, or one by one if that breaks."""
        with suppress(Exception):
            return [*self._shared.codec.speak(voiced)]
        made: list[AudioChunk | None | Exception] = []
        for voice in voiced:
            try:
                made += self._shared.codec.speak([voice])
            except Exception as error:
                made.append(error)
        return made

    def _handle(self, message: Request) -> list[Reply]:
        match message:
            case Open():
                return self._open(message)
            case Close():
                return self._close(message.session)
        conversation = self._conversations.get(message.session)
        if conversation is None:
            return [Failed(message.session, None, f"no session {message.session} is open")]
        match message:
            case Listen() | AddText() | Equip() | AddCall() | AddImage():
                return conversation.take(message)
            case Weigh():
                return conversation.weigh(message)
            case Answer():
                return conversation.answer(message)
            case Rewind():
                return conversation.rewind(message)
            case Cut() | Cancel():
                return conversation.cut(message)
            case Forget():
                return conversation.forget()
            case Truncate():
                return conversation.truncate(message)
        raise ValueError(f"a host cannot handle a {type(message).__name__}")

    def _open(self, message: Open) -> list[Reply]:
        caps = self._engine.open(message.session, self._limits)
        try:
            conversation = Conversation(
                message.session, self._shared, caps.max_context, message.instructions, message.functions
            )
        except (EngineError, ValueError):
            self._engine.close(message.session)
            raise
        self._conversations[message.session] = conversation
        return [Opened(message.session, caps.max_context, SPEAK_RATE)]

    def _close(self, session: str) -> list[Reply]:
        if self._conversations.pop(session, None) is not None:
            self._engine.close(session)
        return []


def _broken(conversation: Conversation, error: Exception) -> list[Reply]:
    """One conversation's reply cannot go on; the others notice nothing."""
    log.error("reply of session %s", conversation.session, exc_info=error)
    return conversation.broken(f"the reply broke off: {error}")


def read_longest(path: str | Path) -> int:
    """The longest conversation behind its instructions that a checkpoint is good for: `max_length` of its generation_config.json.

    A small model may have room for more positions than it has learned to make sense of.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return SESSION_TOKENS  # `read_sampling` tells of what is no JSON
    longest = values.get("max_length", SESSION_TOKENS)
    if not isinstance(longest, int) or longest < 1:
        raise ValueError(f"{path}: max_length is {longest!r}, expected a number of positions")
    return longest


def read_sampling(path: str | Path) -> Sampling:
    """A checkpoint's generation_config.json; the defaults where there is none. Raises ValueError naming the file."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sampling()
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    try:
        return Sampling.from_generation_config(values)
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
