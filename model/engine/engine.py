"""The streaming engine: many conversations, one model, one step at a time.

Synchronous and without a thread or a clock: requests change the books, `step` runs one batch (pieces of prompts and
the next step of every reply together) and returns what came of it. A conversation is one sequence that grows while its
user speaks; going back is freeing the blocks past a position. A reply carries an epoch, and once `interrupt` has
returned no frame of that epoch or an older one is delivered.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from collections.abc import Sequence as Several
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.events import (
    Caps,
    EngineError,
    Event,
    Failed,
    Figures,
    Finished,
    FinishReason,
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
from vivavoce.model.engine.machine import NONE, Codes, Stage, State, Step, advance, advance_text
from vivavoce.model.engine.runner import Runner
from vivavoce.model.engine.sampling import Guide, Speaker, choose
from vivavoce.model.engine.scheduler import Budget, Plan, plan
from vivavoce.model.engine.sequence import Sequence
from vivavoce.model.omni import Omni

log = logging.getLogger(__name__)

POOL_POSITIONS = 32768
"""Positions in the cache, for all sessions together."""
BLOCK_SIZE = 16
"""Positions in a block."""
FIRST_TURN = 256
"""Positions that must be free for a session to be let in: a question of some seconds and its answer."""


@dataclass(eq=False)
class _Reply:
    """A reply being decoded."""

    epoch: int
    speaker: Speaker
    state: State = field(default_factory=State)
    steps: int = 0
    guess: int | None = None
    """The token whose row stands behind the last one chosen, before it is known to be right."""
    ahead: Tensor | None = None
    """[D]: the hidden vector of that row."""


@dataclass(eq=False)
class _Session:
    """The engine's books of one conversation."""

    sequence: Sequence
    chunks: dict[str, Tensor] = field(default_factory=dict)
    hidden: Tensor | None = None
    """[D] of the last row run; None before the first and after a rollback."""
    reply: _Reply | None = None
    floor: int = 0
    """Epochs below this are interrupted."""
    cached: int = 0
    """Where the prefill now running began."""
    stuck: bool = False
    """Its rows broke the model: they wait until a rollback takes them away."""
    figures: Figures = field(default_factory=Figures)


class Engine:
    """The embedded engine over an `Omni` in eval mode, whose device and type it uses."""

    def __init__(
        self,
        omni: Omni,
        max_tokens: int = POOL_POSITIONS,
        *,
        block_size: int = BLOCK_SIZE,
        budget: Budget | None = None,
    ) -> None:
        self.omni = omni
        self.pool = BlockPool(max(1, max_tokens // block_size), block_size)
        self._budget = budget or Budget()
        self._runner = Runner(omni, self.pool.n_blocks, block_size)
        self._sessions: dict[str, _Session] = {}
        self._events: list[Event] = []
        self._steps = 0
        self.ran: dict[str, int] = {}
        """Who had a part in the latest step, with how many rows; 0 for who spoke from a row that was run before."""

    def open(self, session: str, limits: Limits | None = None) -> Caps:
        """Let a session in. Raises UnknownSession if it is in already, PoolFull without room for a first turn.

        Those who are in and have not had their first turn yet have been promised the room for it.
        """
        if session in self._sessions:
            raise UnknownSession(f"session {session} is already open")
        size = self.pool.block_size
        longest = min(self.omni.config.backbone.max_position_embeddings, self.pool.n_blocks * size)
        wanted = longest if limits is None or limits.max_context is None else min(longest, limits.max_context)
        promised = sum(self._promised(entry.sequence) for entry in self._sessions.values())
        if not self.pool.can_allocate(promised + self.pool.blocks_for(min(FIRST_TURN, wanted))):
            raise PoolFull(
                f"no room for another session: {self.pool.free * size} of {self.pool.n_blocks * size} positions are free, "
                f"{promised * size} of them promised, {min(FIRST_TURN, wanted)} are needed"
            )
        self._sessions[session] = _Session(Sequence(session, self.pool, wanted))
        self._runner.begin(session)
        return Caps(max_context=wanted, page_size=size, heads=self.omni.config.speech.n_codebooks)

    def _promised(self, sequence: Sequence) -> int:
        """Blocks of its first turn that a session does not hold yet."""
        return max(0, self.pool.blocks_for(min(FIRST_TURN, sequence.max_context)) - len(sequence.blocks))

    def close(self, session: str) -> None:
        """Free everything a session holds. Raises UnknownSession."""
        self._get(session).sequence.rewind(0)
        self._runner.forget(session)
        del self._sessions[session]
        self._events = [event for event in self._events if event.session != session]

    def position(self, session: str) -> int:
        """The step at which the session's next row goes. Raises UnknownSession."""
        return self._get(session).sequence.mark()

    def room(self, session: str) -> int:
        """Positions left in the session's context. Raises UnknownSession."""
        return self._get(session).sequence.room

    def figures(self, session: str) -> Figures:
        """What the session has cost so far. Raises UnknownSession."""
        return self._get(session).figures

    def put_chunk(self, session: str, rows: Tensor, key: str) -> str:
        """Store rows [n, D] under a key until they are prefilled: "stored", or "present" if the key already was.

        Raises ValueError for another shape or for numbers that are not finite, UnknownSession.
        """
        chunks, width = self._get(session).chunks, self.omni.config.backbone.hidden_size
        if key in chunks:
            return "present"
        if rows.ndim != 2 or rows.shape[1] != width:
            raise ValueError(f"rows must be [n, {width}], got {list(rows.shape)}")
        if not bool(rows.isfinite().all()):
            raise ValueError(f"the {rows.shape[0]} rows of chunk {key} are not all finite numbers")
        chunks[key] = rows.to(self.omni.device, self.omni.dtype)
        return "stored"

    def prefill(self, session: str, base_step: int, keys: Several[str]) -> int:
        """Submit stored rows, to be run by the steps to come; returns the step after them.

        Several calls before a step are one prefill. Raises OutOfStep unless `base_step` is where the sequence stands,
        MissingChunks, ContextFull and PoolFull, each before anything is submitted; StaleEpoch beside a running reply.
        """
        entry = self._get(session)
        sequence = entry.sequence
        if entry.reply is not None:
            raise StaleEpoch(f"epoch {entry.reply.epoch} is decoding; interrupt it before more is prefilled")
        if base_step != sequence.end:
            raise OutOfStep(f"a prefill from step {base_step} cannot follow a sequence that ends at {sequence.end}")
        missing = [key for key in keys if key not in entry.chunks]
        if missing:
            raise MissingChunks(missing)
        if not sequence.pending:
            entry.cached = sequence.length
        rows = [entry.chunks[key] for key in keys]
        sequence.append(sum(part.shape[0] for part in rows))
        for key, part in zip(keys, rows, strict=True):
            del entry.chunks[key]
            self._runner.submit(session, part)
        return sequence.end

    def decode(self, session: str, epoch: int, sampling: Sampling, guide: Guide | None = None) -> None:
        """Begin a reply after what has been submitted. Frames come from `step`. `guide`: who binds its text.

        Raises StaleEpoch for an interrupted epoch or beside a running reply, OutOfStep with nothing to go on from:
        after a rollback at least one row must be prefilled first.
        """
        entry = self._get(session)
        if epoch < entry.floor:
            raise StaleEpoch(f"epoch {epoch} was interrupted, the next is {entry.floor} or later")
        if entry.reply is not None:
            raise StaleEpoch(f"epoch {entry.reply.epoch} is still decoding, {epoch} cannot begin")
        if entry.hidden is None and not entry.sequence.pending:
            raise OutOfStep(f"nothing was prefilled since the sequence went back to step {entry.sequence.end}")
        entry.reply = _Reply(epoch, Speaker(sampling, guide))
        entry.sequence.decoding = True

    def rollback(self, session: str, step: int) -> None:
        """Forget everything from `step` on, free its blocks, and drop rows stored for what was to follow.

        A running reply ends as cancelled. Raises OutOfStep.
        """
        entry = self._get(session)
        if not 0 <= step <= entry.sequence.end:
            raise OutOfStep(f"cannot go back to step {step} of a sequence that ends at {entry.sequence.end}")
        if entry.reply is not None:
            self._finish(entry, "cancelled")
        if step < entry.sequence.length:
            entry.hidden = None
        entry.chunks.clear()
        entry.stuck = False
        self._rewind(entry, step)

    def interrupt(self, session: str, epoch: int) -> None:
        """Stop the reply of `epoch` and of every older one; none of their frames is delivered any more."""
        entry = self._get(session)
        entry.floor = max(entry.floor, epoch + 1)
        self._events = [
            e for e in self._events if not (isinstance(e, Frame) and e.session == session and e.epoch < entry.floor)
        ]
        reply = entry.reply
        if reply is not None and reply.epoch < entry.floor:
            self._finish(entry, "cancelled")
            if reply.steps:
                self._rewind(entry, entry.sequence.length)

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._events) or any(
            (e.sequence.pending or e.reply is not None) and not e.stuck for e in self._sessions.values()
        )

    @property
    def reads(self) -> bool:
        """Whether a prompt waits to be prefilled."""
        sequences = [entry.sequence for entry in self._sessions.values() if not entry.stuck]
        return any(s.pending > (1 + s.guessed if s.decoding else 0) for s in sequences)

    @torch.inference_mode()
    def step(self, held: Container[str] = ()) -> list[Event]:
        """Run one batch and return everything that has happened since the last call.

        held: sessions that can wait, and are left out.
        """
        self._steps += 1
        entries = self._sessions.items()
        sequences = {name: entry.sequence for name, entry in entries if not entry.stuck and name not in held}
        chosen = plan(sequences.values(), self._budget)
        ready = [] if chosen.empty else self._run(chosen, sequences)
        # A reply asked for when its prompt had been run already has its hidden vector at hand.
        ready += [
            e
            for e in self._sessions.values()
            if e.reply and not e.reply.steps and not e.sequence.pending and e not in ready
        ]
        self.ran = dict.fromkeys((entry.sequence.session for entry in ready), 0) | chosen.rows
        self._speak([entry for entry in ready if entry.reply is not None and not entry.sequence.pending])
        events, self._events = self._events, []
        return events

    def _run(self, chosen: Plan, sequences: dict[str, Sequence]) -> list[_Session]:
        """Run a plan; returns the sessions that took part."""
        rows, ends = chosen.rows, self._ends(chosen, sequences)
        for name, hidden in ends.items():
            entry = self._sessions[name]
            entry.hidden = hidden
            entry.sequence.advance(rows[name])
            entry.sequence.served = self._steps
            if entry.reply is not None and entry.reply.guess is not None:
                entry.hidden, entry.reply.ahead = self._runner.made(name)
                entry.sequence.guessed = 0
            speaking = entry.reply is not None and entry.reply.steps > 0
            if not entry.sequence.pending and not speaking:
                self._events.append(Prefilled(name, entry.cached, entry.sequence.length - entry.cached))
        return [self._sessions[name] for name in ends]

    def _ends(self, chosen: Plan, sequences: dict[str, Sequence]) -> dict[str, Tensor]:
        """The hidden vector [D] of each session's last row. A batch that breaks is run again session by session, so that only
        those who break alone fail."""
        try:
            return self._counted(chosen, sequences)
        except Exception:
            log.exception("a batch of %d sessions broke; each is run by itself", len(chosen.rows))
        ends: dict[str, Tensor] = {}
        for alone in chosen.parts():
            try:
                ends |= self._counted(alone, sequences)
            except Exception as error:
                (name,) = alone.rows
                self._get_stuck(self._sessions[name], f"the model broke: {error}")
        return ends

    def _counted(self, chosen: Plan, sequences: dict[str, Sequence]) -> dict[str, Tensor]:
        """Run a plan, and count for each session what its rows used."""
        ends, given = self._runner.run(chosen, sequences), self._runner.network.given
        if given is None:
            return ends
        start, layers = 0, self.omni.config.backbone.num_layers
        for name, rows in chosen.rows.items():
            self._sessions[name].figures.ran(rows, sum(given[start : start + rows]) / layers)
            start += rows
        return ends

    def _get_stuck(self, entry: _Session, message: str) -> None:
        entry.stuck = True
        if entry.reply is not None:
            self._fail(entry, message)
        else:
            self._events.append(Failed(entry.sequence.session, None, message))

    def _speak(self, ready: list[_Session]) -> None:
        """One step of each of these sessions' replies, from the hidden vector of their last row; two where a guess was right."""
        while ready:
            ready = self._speak_once(ready)

    def _speak_once(self, ready: list[_Session]) -> list[_Session]:
        """One step; returns those whose next row has been run already."""
        going_on, feeds, right = [], [], []
        for entry, (text_id, codes) in self._choices([entry for entry in ready if self._is_sound(entry)]):
            reply = entry.reply
            assert reply is not None
            made = advance_text(reply.state, text_id) if codes is None else advance(reply.state, text_id, codes)
            self._deliver(entry, reply, made)
            if self._was_guessed(entry, reply, made):
                right.append(entry)
            elif self._goes_on(entry, reply):
                going_on.append(entry)
                feeds.append(made)
        if feeds:
            self._feed(going_on, feeds)
        return right

    def _was_guessed(self, entry: _Session, reply: _Reply, made: Step) -> bool:
        """Whether the row of this step stands there already; a wrong guess is taken back."""
        guess, reply.guess = reply.guess, None
        if guess is None:
            return False
        over = made.state.stage is Stage.DONE or reply.steps >= reply.speaker.sampling.max_tokens
        if made.text_id == guess and not over:
            entry.hidden = reply.ahead
            entry.figures.accepted += 1
            return True
        self._rewind(entry, entry.sequence.end - 1)
        return False

    def _choices(self, entries: list[_Session]) -> list[tuple[_Session, tuple[int, Codes | None]]]:
        """What each of these sessions says next; all in one pass, or one by one if that breaks."""
        if not entries:
            return []
        try:
            return list(zip(entries, self._choose(entries), strict=True))
        except Exception:
            log.exception("the choice for %d sessions broke; each is made by itself", len(entries))
        made = []
        for entry in entries:
            try:
                made.append((entry, self._choose([entry])[0]))
            except Exception as error:
                self._fail(entry, f"the model broke: {error}")
        return made

    def _choose(self, entries: list[_Session]) -> list[tuple[int, Codes | None]]:
        replies = [entry.reply for entry in entries if entry.reply is not None]
        return choose(
            self._runner.network,
            torch.stack([entry.hidden for entry in entries if entry.hidden is not None]),
            [reply.speaker for reply in replies],
            [reply.state.stage is Stage.SPEAKING for reply in replies],
        )

    def _is_sound(self, entry: _Session) -> bool:
        """Whether a session's hidden vector can be spoken from; if not, the session fails, alone."""
        if entry.hidden is not None and bool(entry.hidden.isfinite().all()):
            return True
        self._fail(entry, "the model's output is not a finite number")
        return False

    def _deliver(self, entry: _Session, reply: _Reply, made: Step) -> None:
        name, stage = entry.sequence.session, reply.state.stage
        position = entry.sequence.end - (reply.guess is not None)
        self._events.append(Frame(name, reply.epoch, position, made.text_id, made.codes, stage))
        reply.speaker.record(made.text_id, made.codes)
        reply.state = made.state
        reply.steps += 1

    def _goes_on(self, entry: _Session, reply: _Reply) -> bool:
        """Make room for the next row, or finish the reply."""
        if reply.state.stage is Stage.DONE:
            self._finish(entry, "done")
        elif reply.steps >= reply.speaker.sampling.max_tokens or not entry.sequence.room:
            self._finish(entry, "length")
        else:
            try:
                entry.sequence.append(1)
                return True
            except EngineError as error:
                self._fail(entry, str(error))
        return False

    def _feed(self, entries: list[_Session], steps: list[Step]) -> None:
        """Submit the embeddings of these steps as the sessions' next rows."""
        none = (NONE,) * self.omni.config.speech.n_codebooks
        texts = [NONE if step.text_id is None else step.text_id for step in steps]
        rows = self._runner.network.embed(texts, [step.codes or none for step in steps])
        for index, entry in enumerate(entries):
            self._runner.submit(entry.sequence.session, rows[index : index + 1])
        if self._runner.predicts:
            self._guess([(entry, rows[i : i + 1]) for i, entry in enumerate(entries) if self._may_guess(entry)])

    def _may_guess(self, entry: _Session) -> bool:
        """Only words in writing can be guessed: the input after a spoken one is more than a token."""
        reply = entry.reply
        if reply is None or not reply.speaker.sampling.text_only:
            return False
        return reply.steps + 1 < reply.speaker.sampling.max_tokens and entry.sequence.room > 0

    def _guess(self, going_on: list[tuple[_Session, Tensor]]) -> None:
        """Submit a guess behind the row that was just submitted, wherever there is a place for it."""
        if not going_on:
            return
        hidden = torch.stack([entry.hidden for entry, _ in going_on if entry.hidden is not None])
        sequences = [entry.sequence for entry, _ in going_on]
        guesses = self._runner.guess(sequences, torch.cat([row for _, row in going_on]), hidden)
        rows = self.omni.backbone.model.embed_tokens(torch.tensor(guesses, device=self.omni.device))
        for index, ((entry, _), guess) in enumerate(zip(going_on, guesses, strict=True)):
            with suppress(PoolFull):
                entry.sequence.append(1)
                self._runner.submit(entry.sequence.session, rows[index : index + 1])
                entry.figures.guessed += 1
                entry.sequence.guessed = 1
                assert entry.reply is not None
                entry.reply.guess = guess

    def _finish(self, entry: _Session, reason: FinishReason) -> None:
        assert entry.reply is not None
        self._events.append(Finished(entry.sequence.session, entry.reply.epoch, reason))
        entry.reply = None
        entry.sequence.decoding = False
        entry.sequence.guessed = 0

    def _fail(self, entry: _Session, message: str) -> None:
        assert entry.reply is not None
        self._events.append(Failed(entry.sequence.session, entry.reply.epoch, message))
        self._finish(entry, "error")

    def _rewind(self, entry: _Session, position: int) -> None:
        entry.sequence.rewind(position)
        entry.cached = min(entry.cached, position)
        self._runner.rewind(entry.sequence)

    def _get(self, session: str) -> _Session:
        try:
            return self._sessions[session]
        except KeyError:
            raise UnknownSession(f"no session {session} is open") from None
