"""One conversation with the model: what the user says and shows goes in, replies come out, and either can be taken back.

The engine's sequence holds the prompt. What this file knows beside it is where things began, so as to go back: the mark
before the user's turn was closed (`Rewind`), and where the reply's own rows start (`Cut`).

What the user does while a reply is being made waits for its end and is then written behind it. It is kept until the
next reply begins: should the reply be rewound or cut late, after it had ended, the later turn is written again behind what
is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vivavoce.codecs.codec import SpeechCodec, SpeechDecoder
from vivavoce.codecs.media import SPEAK_RATE
from vivavoce.model import prompt
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import ContextFull, EngineError, Event, Finished, Frame, Sampling
from vivavoce.model.engine.events import Failed as EngineFailed
from vivavoce.model.listening import Draft, Scribe, UserTurn
from vivavoce.model.messages import (
    AddImage,
    AddText,
    Answer,
    Cancel,
    Cut,
    Ended,
    Failed,
    Listen,
    Rewind,
    Spoke,
    Transcribed,
    Usage,
)
from vivavoce.model.messages import Reply as Message
from vivavoce.model.reply import Reply, frames_in
from vivavoce.model.senses import collapse
from vivavoce.model.tokenizer import Tokenizer

CLOSING_ROWS = 8
"""Positions kept free behind a reply for its last step, its end and the newline."""
KEPT_REQUESTS = 64
"""How many requests may follow a reply before it is settled, and can be neither cut nor rewound any more."""
SILENCE: NDArray[np.float32] = np.zeros(0, np.float32)

UserInput = Listen | AddText | AddImage
Refusal = (EngineError, ValueError)
"""What one session's request may raise without anyone else being concerned."""


@dataclass(frozen=True, eq=False)
class Tools:
    """What all conversations of a process share."""

    engine: Engine
    tokenizer: Tokenizer
    codec: SpeechCodec
    scribe: Scribe
    sampling: Sampling
    spells: bool
    """The audio encoder's CTC head speaks the tokenizer's ids, so what was heard can be shown."""


@dataclass(eq=False)
class _Answering:
    """The latest reply: running, or ended and not yet settled."""

    turn: int
    epoch: int
    mark: int
    """The engine's step before the user's turn was closed."""
    heard: UserTurn
    """The user's turn at the mark."""
    header: int
    """The engine's step before `VOICE ASSISTANT:`."""
    reply: Reply
    voice: SpeechDecoder
    usage: Usage
    samples: int = 0
    """Sound emitted, at the reply's rate."""
    running: bool = True
    whole: bool = False
    """It ended by itself, and history has all of it."""


class Conversation:
    """One session's half of the host. Requests and events in, messages out; the engine is stepped by the host."""

    def __init__(self, session: str, tools: Tools, instructions: str = "") -> None:
        """Write the system turn, if there are instructions. Raises EngineError when it does not fit."""
        self.session = session
        self._tools = tools
        self._turn = UserTurn()
        self._answering: _Answering | None = None
        self._since: list[UserInput] = []
        self._epoch = 0
        self._chunks = 0
        if instructions:
            self._append(Draft((prompt.text_turn(tools.tokenizer, "SYSTEM", instructions),)))
        self._beginning = tools.engine.position(session)

    def take(self, request: UserInput) -> list[Message]:
        """More of the user's turn; while a reply is being made it waits."""
        if self._answering is not None:
            self._since.append(request)
            if self._answering.running:
                return []
            if len(self._since) > KEPT_REQUESTS:
                self._answering, self._since = None, []
        return self._write(request)

    def answer(self, request: Answer) -> list[Message]:
        """Close the user's turn and begin a reply. On failure all is as before."""
        engine, tools = self._tools.engine, self._tools
        if self._answering is not None and self._answering.running:
            return [self._failed(request.turn, f"reply {self._answering.turn} is still being made")]
        mark, heard = engine.position(self.session), self._turn
        voice = not request.text_only
        header = Draft((prompt.generation(tools.tokenizer, voice=voice),))
        try:
            closed, draft = tools.scribe.close(heard)
            self._append(draft + header)
            self._decode(request)
        except Refusal as error:
            engine.rollback(self.session, mark)
            return [self._failed(request.turn, str(error))]
        self._answering = _Answering(
            turn=request.turn,
            epoch=self._epoch,
            mark=mark,
            heard=heard,
            header=mark + draft.length,
            reply=Reply(tools.tokenizer, text_only=request.text_only),
            voice=SpeechDecoder(tools.codec),
            usage=replace(closed.usage, text_in=closed.usage.text_in + header.length),
        )
        self._turn, self._since = UserTurn(), []
        if not (closed.has_sound and tools.spells):
            return []
        words = tools.tokenizer.decode(collapse(closed.letters)).strip()
        return [Transcribed(self.session, request.turn, words)]

    def rewind(self, request: Rewind) -> list[Message]:
        """Back to before the reply, into the user's turn. Nothing if the reply is settled."""
        answering = self._answering
        if answering is None or answering.turn != request.turn:
            return []
        self._stop(answering)
        self._tools.engine.rollback(self.session, answering.mark)
        self._turn = answering.heard
        return self._write_again()

    def cut(self, request: Cut | Cancel) -> list[Message]:
        """The reply ends with what was heard of it, or with what had been emitted. Nothing if the reply is settled."""
        answering = self._answering
        if answering is None or answering.turn != request.turn:
            return []
        reply = answering.reply
        heard = frames_in(request.heard_ms) if isinstance(request, Cut) else reply.frames
        if answering.whole and (reply.text_only or heard >= reply.frames):
            return []
        self._stop(answering)
        self._turn = UserTurn()
        return [*self._keep(answering, heard), *self._write_again()]

    def forget(self) -> list[Message]:
        """Back to the beginning: the system turn stays."""
        if self._answering is not None:
            self._stop(self._answering)
        self._tools.engine.rollback(self.session, self._beginning)
        self._turn, self._since = UserTurn(), []
        return []

    def happened(self, event: Event) -> list[Message]:
        """What came of the engine's step; events of interrupted replies are none of ours any more."""
        answering = self._answering
        if answering is None or not answering.running or getattr(event, "epoch", None) != answering.epoch:
            return []
        match event:
            case Frame():
                return self._spoke(answering, event)
            case Finished(reason="done" | "length"):
                return self._ended(answering, event)
            case EngineFailed():
                return self.broken(event.message)
        return []

    def broken(self, message: str) -> list[Message]:
        """The running reply cannot go on: history keeps what was emitted, and what waited is written behind it."""
        answering = self._answering
        if answering is None or not answering.running:
            return [self._failed(None, message)]
        self._stop(answering)
        self._answering = answering  # it may still be rewound
        kept = self._keep(answering, answering.reply.frames)
        return [self._failed(answering.turn, message), *kept, *self._write_since()]

    def _spoke(self, answering: _Answering, frame: Frame) -> list[Message]:
        said = answering.reply.push(frame.text_id, frame.codes)
        chunk = None if said.speech is None else answering.voice.push(said.speech)
        return self._emit(answering, said.text, SILENCE if chunk is None else chunk.pcm)

    def _ended(self, answering: _Answering, event: Finished) -> list[Message]:
        reply, done = answering.reply, event.reason == "done"
        pcm = answering.voice.flush().pcm if reply.frames else SILENCE
        messages = self._emit(answering, reply.captions.end(), pcm)
        answering.running, answering.whole = False, done
        kept = self._close(answering) if done else self._keep(answering, reply.frames)
        usage = replace(answering.usage, text_out=reply.words, audio_out=reply.frames)
        ended = Ended(self.session, answering.turn, "done" if done else "length", usage)
        return [*messages, ended, *kept, *self._write_since()]

    def _emit(self, answering: _Answering, text: str, pcm: NDArray[np.float32]) -> list[Message]:
        if not text and not len(pcm):
            return []
        at_ms = answering.samples * 1000 // SPEAK_RATE
        answering.samples += len(pcm)
        return [Spoke(self.session, answering.turn, text, pcm, at_ms)]

    def _decode(self, request: Answer) -> None:
        engine, sampling = self._tools.engine, self._tools.sampling
        room = engine.room(self.session) - CLOSING_ROWS
        if room < 1:
            raise ContextFull(f"the conversation is full: a reply needs {CLOSING_ROWS + 1} positions, "
                              f"{room + CLOSING_ROWS} are left")  # fmt: skip
        self._epoch += 1
        longest = min(request.max_tokens, sampling.max_tokens, room)
        seed = sampling.seed + self._epoch
        engine.decode(self.session, self._epoch,
                      replace(sampling, text_only=request.text_only, max_tokens=longest, seed=seed))  # fmt: skip

    def _stop(self, answering: _Answering) -> None:
        if answering.running:
            self._tools.engine.interrupt(self.session, answering.epoch)
        answering.running = answering.whole = False
        self._answering = None

    def _close(self, answering: _Answering) -> list[Message]:
        """A reply that ended by itself gets its last step and its newline."""
        try:
            self._append(Draft((answering.reply.closing_rows(),)))
        except Refusal as error:
            return self._drop(answering, error)
        return []

    def _keep(self, answering: _Answering, frames: int) -> list[Message]:
        """Write the reply anew, as far as its first `frames` frames."""
        self._tools.engine.rollback(self.session, answering.header)
        rows = answering.reply.rows_heard(frames)
        if rows is None:
            return []
        header = prompt.generation(self._tools.tokenizer, voice=not answering.reply.text_only)
        try:
            self._append(Draft((header, rows)))
        except Refusal as error:
            return self._drop(answering, error)
        return []

    def _drop(self, answering: _Answering, error: Exception) -> list[Message]:
        """A reply that cannot be closed is not remembered at all."""
        self._tools.engine.rollback(self.session, answering.header)
        return [self._failed(None, f"reply {answering.turn} is not remembered: {error}")]

    def _write(self, request: UserInput) -> list[Message]:
        """Append to the user's turn; on failure all is as before."""
        position = self._tools.engine.position(self.session)
        try:
            turn, draft = self._read(request)
            self._append(draft)
        except Refusal as error:
            self._tools.engine.rollback(self.session, position)
            return [self._failed(None, str(error))]
        self._turn = turn
        return []

    def _read(self, request: UserInput) -> tuple[UserTurn, Draft]:
        scribe = self._tools.scribe
        match request:
            case Listen(chunk=chunk):
                return scribe.listen(self._turn, chunk)
            case AddImage(rgb=rgb):
                return scribe.show(self._turn, rgb)
            case AddText(role="user", text=text):
                return scribe.write(self._turn, text)
        _, draft = scribe.close(self._turn)
        return UserTurn(), draft + Draft((prompt.text_turn(scribe.tokenizer, request.role.upper(), request.text),))

    def _write_since(self) -> list[Message]:
        """Write what waited for the reply's end; it is kept until the reply is settled."""
        return [message for request in self._since for message in self._write(request)]

    def _write_again(self) -> list[Message]:
        """Write what came after the reply that is no more."""
        since, self._since = self._since, []
        return [message for request in since for message in self._write(request)]

    def _append(self, draft: Draft) -> None:
        if not draft.length:
            return
        engine = self._tools.engine
        self._chunks += 1
        key = str(self._chunks)
        engine.put_chunk(self.session, draft.embed(self._tools.scribe.omni), key)
        engine.prefill(self.session, engine.position(self.session), [key])

    def _failed(self, turn: int | None, message: str) -> Failed:
        return Failed(self.session, turn, message)
