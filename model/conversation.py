"""One conversation with the model: what the user says and shows goes in, replies come out, and either can be taken back.

The memory holds the prompt. What this file knows beside it is where things began, so as to go back: the mark before the
user's turn was closed (`Rewind`), and where the reply's own rows start (`Cut`).

A conversation has no end: after a reply, or when a turn begins, a memory that is nearly full forgets the oldest turns.
The latest reply's turn is not among them while that reply can still be rewound or cut, unless nothing else makes room.

What the user does while a reply is being made waits for its end and is then written behind it. It is kept until the
next reply begins: should the reply be rewound or cut late, after it had ended, the later turn is written again behind what
is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vivavoce.codecs.media import MediaChunk
from vivavoce.model import prompt
from vivavoce.model.answering import Answering, Shared
from vivavoce.model.engine.events import ContextFull, EngineError, Event, Finished, Frame, PoolFull
from vivavoce.model.engine.events import Failed as EngineFailed
from vivavoce.model.functions import Call, described, written
from vivavoce.model.guide import Guide
from vivavoce.model.listening import Draft, Sensed, UserTurn
from vivavoce.model.memory import Memory
from vivavoce.model.messages import (
    AddCall,
    AddImage,
    AddText,
    Answer,
    Cancel,
    Cost,
    Cut,
    Doubt,
    Doubted,
    Ended,
    Equip,
    Failed,
    Function,
    Listen,
    Rewind,
    Role,
    Transcribed,
    Truncate,
    Weigh,
    Weighed,
)
from vivavoce.model.messages import Reply as Message
from vivavoce.model.reply import Reply, Said
from vivavoce.model.senses import Look, collapse

CLOSING_ROWS = 8
"""Positions kept free behind a reply for its last step, its end and the newline."""
KEPT_REQUESTS = 64
"""How many requests may follow a reply before it is settled, and can be neither cut nor rewound any more."""

UserInput = Listen | AddText | Equip | AddCall | AddImage
Refusal = (EngineError, ValueError)
"""What one session's request may raise without anyone else being concerned."""


class Conversation:
    """One session's half of the host. Requests and events in, messages out; the engine is stepped by the host."""

    def __init__(
        self, session: str, shared: Shared, limit: int, instructions: str = "", functions: Sequence[Function] = ()
    ) -> None:
        """Write the system turn, if there is anything in it. Raises EngineError when it does not fit into `limit`."""
        self.session = session
        self._shared = shared
        self._turn = UserTurn()
        self._answering: Answering | None = None
        self._since: list[UserInput] = []
        self._epoch = 0
        told = described(functions) + instructions
        system = Draft((prompt.text_turn(shared.tokenizer, "SYSTEM", told),) if told else ())
        limit = min(limit, system.length + shared.longest)
        self._memory = Memory(session, shared.engine, shared.scribe.omni, limit, system)

    @property
    def answers(self) -> bool:
        """A reply is being made; what the user does meanwhile waits for its end."""
        return self._answering is not None and self._answering.running

    @property
    def speaks(self) -> bool:
        """... and somebody listens to it."""
        return self.answers and self._answering is not None and not self._answering.reply.text_only

    def encodes(self, request: Listen | AddImage) -> tuple[UserTurn, MediaChunk | Look]:
        """What the encoders have to do for a request that does not wait, see `Scribe.sense`."""
        match request:
            case Listen(chunk=chunk):
                return self._turn, chunk
            case AddImage(rgb=rgb, detail=detail):
                return self._turn, Look(rgb, detail=detail)

    def take(self, request: UserInput, sensed: Sensed | None = None) -> list[Message]:
        """More of the user's turn; while a reply is being made it waits. `sensed`: what the encoders made of it already."""
        if self._answering is not None:
            self._since.append(request)
            if self._answering.running:
                return []
            if len(self._since) > KEPT_REQUESTS:
                self._answering, self._since = None, []
        return self._write(request, sensed)

    def truncate(self, request: Truncate) -> list[Message]:
        """Forget otherwise, from the next time on."""
        memory = self._memory
        memory.marks = replace(memory.marks, retain=request.retain, most=request.most, forgets=request.forgets)
        return []

    def weigh(self, request: Weigh) -> list[Message]:
        """Whether the user's turn sounds complete. While a reply is being made there is none yet."""
        running = self._answering is not None and self._answering.running
        completeness = None if running else self._shared.scribe.weigh(self._turn)
        return [Weighed(self.session, request.number, completeness)]

    def doubt(self, request: Doubt) -> list[Message]:
        """Whether the user interrupts. The sound is heard by itself: no part of the turn, and of no stream."""
        return [Doubted(self.session, request.number, self._shared.scribe.doubt(request.sound.pcm))]

    def answer(self, request: Answer) -> list[Message]:
        """Close the user's turn and begin a reply. On failure all is as before."""
        shared = self._shared
        if self._answering is not None and self._answering.running:
            return [self._failed(request.turn, f"reply {self._answering.turn} is still being made")]
        mark, heard = self._memory.mark, self._turn
        try:
            voice = shared.voices.begin(request.voice)
        except ValueError as error:
            return [self._failed(request.turn, str(error))]
        header = Draft((prompt.generation(shared.tokenizer, voice=not request.in_writing),))
        try:
            guide = self._guide(request)
            closed, draft = shared.scribe.close(heard)
            if not heard.opened:
                self._memory.begin()
            self._append(draft, header, spare=CLOSING_ROWS + 1)
            self._decode(request, guide)
        except Refusal as error:
            self._memory.rollback(mark)
            return [self._failed(request.turn, str(error))]
        self._answering = Answering(
            turn=request.turn,
            epoch=self._epoch,
            mark=mark,
            heard=heard,
            header=mark + 1,
            reply=Reply(shared.tokenizer, text_only=request.in_writing, calls=guide is not None),
            voice=voice,
            usage=replace(closed.usage, text_in=closed.usage.text_in + header.length),
        )
        self._turn, self._since = UserTurn(), []
        if not (closed.has_sound and shared.spells):
            return []
        words = shared.tokenizer.decode(collapse(closed.letters)).strip()
        return [Transcribed(self.session, request.turn, words)]

    def rewind(self, request: Rewind) -> list[Message]:
        """Back to before the reply, into the user's turn. Nothing if the reply is settled."""
        answering = self._answering
        if answering is None or answering.turn != request.turn:
            return []
        self._stop(answering)
        self._memory.rollback(answering.mark)
        self._turn = answering.heard
        return self._write_again()

    def cut(self, request: Cut | Cancel) -> list[Message]:
        """The reply ends with what was heard of it, or with what had been emitted. Nothing if the reply is settled."""
        answering = self._answering
        if answering is None or answering.turn != request.turn:
            return []
        reply = answering.reply
        heard = answering.frames_heard(request.heard_ms) if isinstance(request, Cut) else reply.frames
        if answering.whole and (reply.text_only or reply.has_called or heard >= reply.frames):
            return []
        self._stop(answering)
        self._turn = UserTurn()
        kept = self._keep(answering, heard)
        self._memory.tidy(self._protected())
        return [*kept, *self._write_again()]

    def forget(self) -> list[Message]:
        """Back to the beginning: the system turn stays."""
        if self._answering is not None:
            self._stop(self._answering)
        self._memory.forget()
        self._answering, self._turn, self._since = None, UserTurn(), []
        return []

    def said(self, frame: Frame) -> tuple[Answering, Said] | None:
        """A step of the running reply: what it says, to be voiced and then given to its `spoke`."""
        answering = self._concerned(frame)
        return None if answering is None else (answering, answering.said(frame))

    def happened(self, event: Event) -> list[Message]:
        """What else came of the engine's step."""
        if isinstance(event, EngineFailed) and event.epoch is None:
            self.forget()  # what was told is not in the model, and it cannot be known how much of it would be
            return [self._failed(None, f"{event.message}; what was said so far is forgotten")]
        answering = self._concerned(event)
        if answering is None:
            return []
        match event:
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
        self._memory.tidy(self._protected())
        return [self._failed(answering.turn, message), *kept, *self._write_since()]

    def _concerned(self, event: Event) -> Answering | None:
        """The running reply if the event is its own; events of interrupted replies are none of ours any more."""
        answering = self._answering
        if answering is None or not answering.running or getattr(event, "epoch", None) != answering.epoch:
            return None
        return answering

    def _ended(self, answering: Answering, event: Finished) -> list[Message]:
        reply, done = answering.reply, event.reason == "done"
        messages = answering.rest(self.session)
        answering.running, answering.whole = False, done
        kept = self._close(answering) if done else self._keep(answering, reply.frames)
        self._memory.tidy(self._protected())
        usage = replace(answering.usage, text_out=reply.words, audio_out=reply.frames)
        ended = Ended(self.session, answering.turn, "done" if done else "length", usage, self._cost())
        return [*messages, ended, *kept, *self._write_since()]

    def _cost(self) -> Cost:
        figures = self._shared.engine.figures(self.session)
        return Cost(figures.positions, figures.experts_per_position, figures.guessed, figures.accepted)

    def _guide(self, request: Answer) -> Guide | None:
        """Who keeps calls of functions to their schemas. Raises ValueError if they have none."""
        if not request.functions and not request.must_call:
            return None
        return self._shared.smith.guide(request.functions, must=request.must_call, parallel=request.parallel)

    def _decode(self, request: Answer, guide: Guide | None) -> None:
        engine, sampling = self._shared.engine, self._shared.sampling
        room = engine.room(self.session) - CLOSING_ROWS
        self._epoch += 1
        longest = min(request.max_tokens, sampling.max_tokens, room)
        seed = sampling.seed + self._epoch
        chosen = replace(sampling, text_only=request.in_writing, max_tokens=longest, seed=seed)
        engine.decode(self.session, self._epoch, chosen, guide)

    def _stop(self, answering: Answering) -> None:
        if answering.running:
            self._shared.engine.interrupt(self.session, answering.epoch)
        answering.running = answering.whole = False
        self._answering = None

    def _close(self, answering: Answering) -> list[Message]:
        """A reply that ended by itself gets its last step and its newline."""
        self._memory.record(answering.reply.fed_rows())
        try:
            self._append(Draft((answering.reply.closing_rows(),)))
        except Refusal as error:
            return self._drop(answering, error)
        return []

    def _keep(self, answering: Answering, frames: int) -> list[Message]:
        """Write the reply anew, as far as its first `frames` frames."""
        self._memory.rollback(answering.header)
        rows = answering.reply.rows_heard(frames)
        if rows is None:
            return []
        header = prompt.generation(self._shared.tokenizer, voice=not answering.reply.text_only)
        try:
            self._append(Draft((header, rows)))
        except Refusal as error:
            return self._drop(answering, error)
        return []

    def _drop(self, answering: Answering, error: Exception) -> list[Message]:
        """A reply that cannot be closed is not remembered at all."""
        self._memory.rollback(answering.header)
        return [self._failed(None, f"reply {answering.turn} is not remembered: {error}")]

    def _write(self, request: UserInput, sensed: Sensed | None = None) -> list[Message]:
        """Append to the user's turn; on failure all is as before, but for what had to be forgotten."""
        if not self._turn.opened:
            self._memory.tidy(self._protected())
        mark = self._memory.mark
        try:
            match request:
                case AddText(role=role, text=text) if role != "user":
                    self._turn = self._tell(role, text)
                case Equip(functions=functions):
                    self._turn = self._tell("system", described(functions))
                case AddCall(name=name, arguments=arguments):
                    self._turn = self._tell("assistant", written(Call(name, arguments)))
                case Listen() | AddText() | AddImage():
                    self._turn = self._read(request, sensed)
        except Refusal as error:
            self._memory.rollback(mark)
            return [self._failed(None, str(error))]
        return []

    def _read(self, request: Listen | AddText | AddImage, sensed: Sensed | None) -> UserTurn:
        scribe = self._shared.scribe
        match request:
            case Listen(chunk=chunk):
                turn, draft = scribe.listen(self._turn, chunk, sensed)
            case AddImage(rgb=rgb, detail=detail):
                turn, draft = scribe.show(self._turn, Look(rgb, detail=detail), sensed)
            case AddText(text=text):
                turn, draft = scribe.write(self._turn, text)
        if not self._turn.opened:
            self._memory.begin()
        self._append(draft, spare=self._memory.marks.reserve)
        return turn

    def _tell(self, role: Role, words: str) -> UserTurn:
        """A text that is not the user's ends their turn."""
        _, closing = self._shared.scribe.close(self._turn)
        text = Draft((prompt.text_turn(self._shared.tokenizer, role.upper(), words),))
        if closing.length:
            self._append(closing)
        if role == "system" or not self._memory.continues:
            self._memory.begin(system=role == "system")
        self._append(text, spare=self._memory.marks.reserve)
        return UserTurn()

    def _write_since(self) -> list[Message]:
        """Write what waited for the reply's end; it is kept until the reply is settled."""
        return [message for request in self._since for message in self._write(request)]

    def _write_again(self) -> list[Message]:
        """Write what came after the reply that is no more."""
        since, self._since = self._since, []
        return [message for request in since for message in self._write(request)]

    def _append(self, *pieces: Draft, spare: int = 0) -> None:
        """Write on. If there is no room, forget older turns; then those of the latest reply too, which is settled so."""
        for attempt in range(3):
            try:
                return self._memory.append(*pieces, spare=spare)
            except (ContextFull, PoolFull):
                if attempt == 2 or not self._memory.marks.forgets:
                    raise
            if attempt == 1:
                self._answering = None
            rows = sum(piece.length for piece in pieces)
            memory = self._memory
            memory.trim(min(memory.length // 2, memory.marks.limit - spare - rows), self._protected())

    def _protected(self) -> int:
        """How many turns stay: the newest, and from the latest reply's on."""
        return 1 if self._answering is None else self._memory.since(self._answering.mark)

    def _failed(self, turn: int | None, message: str) -> Failed:
        return Failed(self.session, turn, message)
