"""The model's process, without the process: messages in, messages out, one step at a time.

    host = Host.load("model/kitten")
    host.handle(Open("a")); host.handle(Listen("a", chunk)); host.handle(Answer("a", turn=1))
    while host.busy:
        for message in host.step(): ...

A host serves many sessions over one engine. Whatever is wrong with one session's request becomes a `Failed` for that
session alone.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

import torch

from vivavoce.codecs.cmvn import Cmvn
from vivavoce.codecs.codec import SpeechCodec, SpeechDecoder
from vivavoce.codecs.media import SPEAK_RATE, AudioChunk, SpeechFrame
from vivavoce.codecs.voices import Voices, needed_bytes
from vivavoce.model.answering import Answering, Shared
from vivavoce.model.aside import Aside
from vivavoce.model.companions import CODEC, SESSION_TOKENS, read_companions
from vivavoce.model.conversation import Conversation
from vivavoce.model.effort import Watch
from vivavoce.model.engine.engine import POOL_POSITIONS, Engine
from vivavoce.model.engine.events import EngineError, Frame, Limits, Sampling
from vivavoce.model.engine.scheduler import Budget
from vivavoce.model.examine import CheckpointError, examine
from vivavoce.model.guide import Smith
from vivavoce.model.intake import Costly, Intake, Queued
from vivavoce.model.listening import Scribe, Sensed
from vivavoce.model.messages import (
    AddCall,
    AddImage,
    AddText,
    Answer,
    Arithmetic,
    Cancel,
    Close,
    Cut,
    Doubt,
    Equip,
    Failed,
    Forget,
    Handled,
    Listen,
    Open,
    Opened,
    Reply,
    Request,
    Rewind,
    Spoke,
    Truncate,
    Weigh,
)
from vivavoce.model.omni import Omni
from vivavoce.model.pacing import Clock, Hurry, Pace
from vivavoce.model.reply import Said
from vivavoce.model.senses import Ear
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.turn_end import TurnEnd
from vivavoce.model.weights import load

log = logging.getLogger(__name__)

CPU_BUDGET = Budget(rows=128, rows_beside_decodes=48)
"""There a row of a prompt costs the same however many are read together (kitten's 0.2 ms), and whoever asks meanwhile waits."""
FINGERTIP = 8 * 2**20
"""Bytes at either end of a file that tell it apart."""


class Host:
    """Many conversations with one model.

    `voices` may also be the only one there is; `cmvn` is the audio encoder's; `max_tokens` the positions of the cache, for all
    sessions together; `session_tokens` the longest conversation, at most the cache and the checkpoint's `max_position_embeddings`:
    older turns are forgotten then, and earlier where they fill `longest` positions behind the instructions. `clock` gives
    milliseconds: with it, whoever would fall silent goes first, and the encoders wait.
    """

    def __init__(
        self,
        omni: Omni,
        tokenizer: Tokenizer,
        voices: Voices | SpeechCodec,
        cmvn: Cmvn,
        sampling: Sampling | None = None,
        max_tokens: int = POOL_POSITIONS,
        session_tokens: int = SESSION_TOKENS,
        longest: int = SESSION_TOKENS,
        clock: Clock | None = None,
        fingerprint: str = "",
        turn_end: TurnEnd | None = None,
        arithmetic: Arithmetic | None = None,
        aside: Aside | None = None,
    ) -> None:
        """`fingerprint` tells checkpoints apart, `arithmetic` how they are computed. `clock` gives milliseconds: it measures,
        and says who is in a hurry; without one nobody is."""
        self._fingerprint, self._arithmetic = fingerprint, arithmetic
        omni.eval().requires_grad_(False)
        spells = omni.config.audio.ctc_vocab == tokenizer.vocab_size
        self._engine = Engine(omni, max_tokens, budget=CPU_BUDGET if omni.device.type == "cpu" else None)
        self._limits = Limits(max_context=session_tokens)
        scribe = Scribe(omni, tokenizer, Ear(omni, cmvn, spells=spells), turn_end, aside)
        smith = Smith(tokenizer, omni.config.backbone.vocab_size)
        voices = Voices(voices) if isinstance(voices, SpeechCodec) else voices
        self._shared = Shared(self._engine, tokenizer, voices, scribe, sampling or Sampling(), spells, smith, longest)
        self._conversations: dict[str, Conversation] = {}
        self._intake, self._pace, self._hurry = Intake(clock), Pace(clock), Hurry(clock)
        self._watch, self._handled = Watch(clock or (lambda: 0.0)), list[Handled]()

    @classmethod
    def load(
        cls,
        directory: str | Path,
        max_tokens: int = POOL_POSITIONS,
        session_tokens: int = SESSION_TOKENS,
        clock: Clock | None = None,
    ) -> Host:
        """From a checkpoint directory in the release's layout.

        Everything is checked before the first weight is allocated. Raises `CheckpointError`, which names every file and tensor
        that is wrong; also when weights and cache need more memory than there is.
        """
        root = Path(directory)
        release = examine(root)
        problems = list(release.problems)
        companions = read_companions(root, release.omni.config, problems)
        if companions is None or problems:
            raise CheckpointError(root, problems)
        omni = load(release, cache=max_tokens, beside=needed_bytes(root / CODEC))
        return cls(
            omni,
            companions.tokenizer,
            Voices.load(root / CODEC),
            companions.cmvn,
            companions.sampling,
            max_tokens,
            session_tokens,
            companions.longest,
            clock,
            fingerprint(root),
            TurnEnd.load(root),
            arithmetic(omni),
            Aside.load(root),
        )

    @property
    def active_experts(self) -> float:
        """FFN experts that a position used on average, over all positions so far; the rest of its slots were identities."""
        return self._engine.omni.backbone.active_ffn_per_token

    @property
    def voices(self) -> tuple[str, ...]:
        """Who may answer; the first, unless another is asked for."""
        return self._shared.voices.names

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._intake) or self._engine.busy

    @torch.inference_mode()
    def handle(self, message: Request) -> list[Reply]:
        """Carry out one request, or let it wait for the encoders; what it sets going comes from `step`."""
        session, conversation = message.session, self._conversations.get(message.session)
        if isinstance(message, Queued):
            costly = isinstance(message, Costly) and conversation is not None and not conversation.answers
            if costly or self._intake.holds(session):
                self._intake.put(message)
                return []
            return self._guarded(message)
        if isinstance(message, Close | Forget):
            for dropped in self._intake.take(session):
                self._has_handled(dropped)
        earlier = [reply for request in self._intake.take(session) for reply in self._guarded(request)]
        return [*earlier, *self._guarded(message)]

    def handled(self) -> list[Handled]:
        """The requests that have been carried out since this was last asked."""
        handled, self._handled = self._handled, []
        return handled

    def _has_handled(self, request: Request) -> None:
        if not isinstance(request, Close):
            self._handled.append(Handled(request.session, self._watch.frames(request.session)))

    def frames(self, session: str) -> int:
        """Steps so far of a session's replies."""
        return self._watch.frames(session)

    @torch.inference_mode()
    def step(self) -> list[Reply]:
        """Run one batch of everybody's work: the encoders, if nobody's sound must wait for them, then engine and voices."""
        slack = self._pace.slack_ms()
        messages = self._sense(self._hurry.left(slack))
        slack, began = self._pace.slack_ms(), self._watch.now()
        with self._hurry.measured():
            others_wait = bool(self._intake) or self._engine.reads
            held = self._hurry.held(slack, others_wait)
            events = [event for event in self._engine.step(held) if event.session in self._conversations]
            self._watch.stepped(self._engine.ran, began)
            for event in events:
                if isinstance(event, Frame):
                    self._watch.decoded(event.session)
            messages += self._voice([event for event in events if isinstance(event, Frame)])
        for event in events:
            if isinstance(event, Frame):
                continue
            conversation = self._conversations[event.session]
            try:
                messages += conversation.happened(event)
            except Exception as error:
                messages += _broken(conversation, error)
        self._keep_pace(messages)
        return self._watch.tell(messages)

    def _keep_pace(self, messages: list[Reply]) -> None:
        for message in messages:
            if isinstance(message, Spoke):
                self._pace.spoke(message.session, len(message.pcm))
        for session in [s for s in self._pace.slack_ms() if not self._speaks(s)]:
            self._pace.ended(session)

    def _speaks(self, session: str) -> bool:
        conversation = self._conversations.get(session)
        return conversation is not None and conversation.speaks

    def _sense(self, slack_ms: float | None) -> list[Reply]:
        """One batch for the encoders, and what it means for the conversations."""
        due = self._intake.due(slack_ms)
        if not due:
            return []
        began = self._watch.now()
        with self._intake.measured(due):
            sensed = self._sensed(due)
        self._watch.sensed([request.session for request in due], began)
        messages: list[Reply] = []
        for request, made in zip(due, sensed, strict=True):
            if isinstance(made, Exception):
                self._has_handled(request)
                messages.append(_failed(request, made))
            else:
                messages += self._guarded(request, made)
            for following in self._intake.light(request.session):
                messages += self._guarded(following)
        return messages

    def _sensed(self, due: list[Costly]) -> list[Sensed | Exception]:
        """What the encoders make of these; in one batch, or one by one if that breaks."""
        pieces = [self._conversations[request.session].encodes(request) for request in due]
        with suppress(Exception):
            return [*self._shared.scribe.sense(pieces)]
        made: list[Sensed | Exception] = []
        for piece in pieces:
            try:
                made += self._shared.scribe.sense([piece])
            except Exception as error:
                made.append(error)
        return made

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
        first = [
            session for session, answering, said in spoken if said.speech is not None and answering.reply.frames == 1
        ]
        began = self._watch.now()
        self._watch.worked("code", first, began)
        sounds = iter(self._sounds(voiced))
        self._watch.worked("codec", (session for session, _, said in spoken if said.speech is not None), began)
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
            return [*self._shared.voices.speak(voiced)]
        made: list[AudioChunk | None | Exception] = []
        for voice in voiced:
            try:
                made += self._shared.voices.speak([voice])
            except Exception as error:
                made.append(error)
        return made

    def _guarded(self, message: Request, sensed: Sensed | None = None) -> list[Reply]:
        """Carry out a request; the conversation that breaks is the only one to hear of it."""
        began = self._watch.now()
        self._has_handled(message)
        try:
            return self._handle(message, sensed)
        except Exception as error:
            return [_failed(message, error)]
        finally:
            self._watch.worked("encode", (message.session,), began)

    def _handle(self, message: Request, sensed: Sensed | None) -> list[Reply]:
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
                return conversation.take(message, sensed)
            case Weigh():
                return conversation.weigh(message)
            case Doubt():
                return conversation.doubt(message)
            case Answer():
                replies = conversation.answer(message)
                if conversation.speaks:
                    self._pace.asked(message.session)
                return replies
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
        self._watch.open(message.session)
        seed = self._shared.sampling.seed
        opened = Opened(message.session, caps.max_context, SPEAK_RATE, self._fingerprint, seed, self._arithmetic)
        return [opened]

    def _close(self, session: str) -> list[Reply]:
        self._watch.close(session)
        if self._conversations.pop(session, None) is not None:
            self._engine.close(session)
        return []


def _failed(message: Request, error: Exception) -> Failed:
    """A request that cannot be carried out, or whose carrying out broke."""
    if isinstance(error, EngineError | ValueError):
        return Failed(message.session, None, str(error))
    log.error("%s of session %s", type(message).__name__, message.session, exc_info=error)
    return Failed(message.session, None, f"{type(message).__name__} failed: {error}")


def _broken(conversation: Conversation, error: Exception) -> list[Reply]:
    """One conversation's reply cannot go on; the others notice nothing."""
    log.error("reply of session %s", conversation.session, exc_info=error)
    return conversation.broken(f"the reply broke off: {error}")


def arithmetic(omni: Omni) -> Arithmetic:
    """How this process computes with a model."""
    device, dtype = omni.device.type, str(omni.dtype).removeprefix("torch.")
    unit = torch.backends.cpu.get_cpu_capability() if device == "cpu" else torch.cuda.get_device_name(omni.device)
    return Arithmetic(torch.get_num_threads(), f"torch {torch.__version__}, {unit}, {device}, {dtype}")


def fingerprint(directory: Path) -> str:
    """Which checkpoint it is: a hash of its files, of those of many MiB of their size and their ends alone. Raises OSError."""
    sum_of_all = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "card.json"):
        size = path.stat().st_size
        sum_of_all.update(f"{path.relative_to(directory).as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            sum_of_all.update(file.read(FINGERTIP))
            file.seek(max(0, size - FINGERTIP))
            sum_of_all.update(file.read(FINGERTIP))
    return sum_of_all.hexdigest()[:32]
