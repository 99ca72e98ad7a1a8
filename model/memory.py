"""What one session has in the engine, piece by piece, and how to write it again.

Every row that goes into the engine's sequence is kept here as the draft it came from, so older turns can be forgotten:
the engine goes back to the end of the instructions, and what stays (see `history.py`) is written anew. That costs
memory for the features of sound and pictures, D values a position, for no more positions than the session's limit.

A mark is the number of a piece, counted from the beginning of the session and not of what is left of it: marks of turns
that stay are good after older turns were forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from vivavoce.model.engine.engine import FIRST_TURN, Engine
from vivavoce.model.engine.events import ContextFull
from vivavoce.model.history import Kept, Marks, Size, keep
from vivavoce.model.listening import Draft
from vivavoce.model.omni import Omni
from vivavoce.model.prompt import Rows


@dataclass(eq=False)
class Turn:
    """A question with what followed it, or a system text."""

    start: int
    """The number of its first piece."""
    system: bool = False
    first: bool = False
    """A system text from before the first question."""
    pieces: list[Draft] = field(default_factory=list)

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)

    @property
    def end(self) -> int:
        return self.start + len(self.pieces)

    def size(self, standing: bool) -> Size:
        pictures = tuple(chain.from_iterable(piece.pictures for piece in self.pieces))
        return Size(self.length - sum(pictures), pictures, standing)

    def keep_pictures(self, count: int) -> None:
        """Keep the newest `count` pictures; no piece goes, though some may become empty."""
        for index in range(len(self.pieces) - 1, -1, -1):
            piece = self.pieces[index]
            here = min(count, len(piece.pictures))
            if here < len(piece.pictures):
                self.pieces[index] = piece.with_newest(here)
            count -= here


class Memory:
    """One session's sequence. The instructions are written first of all, before any turn."""

    def __init__(self, session: str, engine: Engine, omni: Omni, limit: int, instructions: Draft) -> None:
        """Raises EngineError when the instructions do not fit or leave no room for a turn."""
        self._session, self._engine, self._omni = session, engine, omni
        self._chunks = 0
        self._turns: list[Turn] = []
        self._next = 0
        self._submit([instructions])
        self.marks = Marks(engine.position(session), limit)
        least = min(FIRST_TURN, limit // 2)
        if self.marks.base > limit - least:
            raise ContextFull(
                f"the instructions take {self.marks.base} positions of {limit}, a conversation needs {least} more"
            )

    @property
    def length(self) -> int:
        """Positions, the instructions among them."""
        return self.marks.base + sum(turn.length for turn in self._turns)

    @property
    def mark(self) -> int:
        """Where the next piece goes."""
        return self._turns[-1].end if self._turns else self._next

    @property
    def continues(self) -> bool:
        """There is a turn that an assistant's text can be part of."""
        return bool(self._turns) and not self._turns[-1].system

    def begin(self, *, system: bool = False) -> None:
        """The next piece is the first of a turn."""
        first = system and all(turn.system for turn in self._turns)
        self._turns.append(Turn(self.mark, system, first))

    def append(self, *pieces: Draft, spare: int = 0) -> None:
        """Write pieces of the newest turn, leaving `spare` positions. Raises EngineError; then nothing has changed."""
        rows = sum(piece.length for piece in pieces)
        room = self._engine.room(self._session) - spare
        if rows > room:
            raise ContextFull(
                f"the conversation is full: {rows} more positions are needed, "
                f"{max(0, room)} of {self.marks.limit} are left"
            )
        self._submit(pieces)
        self._turns[-1].pieces += pieces

    def record(self, rows: Rows) -> None:
        """The engine has made these rows by itself."""
        self._turns[-1].pieces.append(Draft((rows,)))

    def rollback(self, mark: int) -> None:
        """Back to a mark: what follows it is forgotten, here and in the engine."""
        self._next = min(self.mark, mark)
        self._turns = [turn for turn in self._turns if turn.start < mark]
        if self._turns:
            last = self._turns[-1]
            del last.pieces[max(0, mark - last.start) :]
        self._engine.rollback(self._session, self.length)

    def forget(self) -> None:
        """Back to the instructions."""
        self._next, self._turns = self.mark, []
        self._engine.rollback(self._session, self.marks.base)

    def since(self, mark: int) -> int:
        """How many turns do not end before a mark; the newest in any case."""
        return max(1, sum(turn.end > mark for turn in self._turns))

    def tidy(self, protected: int = 1) -> None:
        """Forget if it is time to: above the high mark, or when the cache, which others fill too, may not hold a reply."""
        pool = self._engine.pool
        if not self.marks.forgets:
            return
        if self.length > self.marks.high:
            self.trim(self.marks.low, protected)
        elif pool.free * pool.block_size < self.marks.reserve:
            self.trim(self.length // 2, protected)

    def trim(self, positions: int, protected: int = 1) -> None:
        """Forget until no more than `positions` are left, but not the newest `protected` turns. Never during a reply."""
        sizes = self._sizes()
        kept = keep(sizes, positions - self.marks.base, protected)
        if kept == [Kept(index, len(size.pictures)) for index, size in enumerate(sizes)]:
            return
        self._next = self.mark
        self._turns = [self._with_pictures(choice) for choice in kept]
        self._engine.rollback(self._session, self.marks.base)
        self._submit([piece for turn in self._turns for piece in turn.pieces])

    def _with_pictures(self, choice: Kept) -> Turn:
        turn = self._turns[choice.turn]
        turn.keep_pictures(choice.pictures)
        return turn

    def _sizes(self) -> list[Size]:
        """Standing are the newest system text, and the newest from before the first question, unless very long."""
        newest = max((i for i, turn in enumerate(self._turns) if turn.system), default=-1)
        first = max((i for i, turn in enumerate(self._turns) if turn.first), default=-1)
        longest = self.marks.standing
        return [turn.size(i in (newest, first) and turn.length <= longest) for i, turn in enumerate(self._turns)]

    def _submit(self, pieces: Sequence[Draft]) -> None:
        draft = Draft.joined(pieces)
        if not draft.length:
            return
        self._chunks += 1
        key = str(self._chunks)
        self._engine.put_chunk(self._session, draft.embed(self._omni), key)
        self._engine.prefill(self._session, self._engine.position(self._session), [key])
