"""What a conversation forgets when it grows too long: a decision about integers. No tensors.

Above `Marks.high` positions the turns are cut back to `Marks.low`, unless nothing is to be forgotten. Pictures go first,
all but those of the newest turn that has any; then whole turns, oldest first, but for the standing ones. What stays keeps
its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESERVE = 512
"""Positions that only a reply may use, 30 seconds of speech; an eighth of a conversation shorter than 4096."""


@dataclass(frozen=True)
class Marks:
    """Levels of one session in positions, its instructions among them."""

    base: int
    """The instructions, which are never forgotten."""
    limit: int
    retain: float | None = None
    """The share of the conversation that is left after forgetting; None: two thirds."""
    most: int | None = None
    """Above so many positions after the instructions it is time to forget; None, or if that is less: three quarters of the room."""
    forgets: bool = True
    """False: a conversation that is full stays so."""

    @property
    def low(self) -> int:
        """What is left after forgetting, at most."""
        if self.retain is None:
            return self.base + min((self.limit - self.base) // 2, (self.high - self.base) * 2 // 3)
        return self.base + int((self.high - self.base) * self.retain)

    @property
    def high(self) -> int:
        """Above this it is time to forget."""
        room = (self.limit - self.base) * 3 // 4
        return self.base + (room if self.most is None else min(room, self.most))

    @property
    def reserve(self) -> int:
        """What the user's turn leaves free for the reply."""
        return min(RESERVE, (self.limit - self.base) // 8)

    @property
    def standing(self) -> int:
        """The longest system text, written after the beginning, that is kept like instructions."""
        return (self.limit - self.base) // 4


@dataclass(frozen=True)
class Size:
    """One turn, question and answer, in positions."""

    words: int
    """All that is no picture."""
    pictures: tuple[int, ...] = ()
    """Its pictures with their stamps, oldest first."""
    standing: bool = False
    """Instructions that came later: kept whatever their age."""


@dataclass(frozen=True)
class Kept:
    """A turn that stays, by its place among the turns, with so many of its newest pictures."""

    turn: int
    pictures: int = 0


def keep(turns: Sequence[Size], budget: int, protected: int = 1) -> list[Kept]:
    """Choose what of `turns` stays within `budget` positions, in order.

    The newest `protected` turns and the standing ones stay whatever they take, though not with their pictures: above
    the budget is nothing but their words.
    """
    newest = max(0, len(turns) - protected)
    words = {i: turn.words for i, turn in enumerate(turns) if i >= newest or turn.standing}
    left = budget - sum(words.values())
    seeing = max((i for i, turn in enumerate(turns) if turn.pictures), default=-1)
    pictures = 0
    for index in range(len(turns) - 1, -1, -1):
        if index not in words:
            if turns[index].words > left:
                break
            words[index] = turns[index].words
            left -= turns[index].words
        if index == seeing:
            pictures, left = _newest(turns[index].pictures, left)
    return [Kept(index, pictures if index == seeing else 0) for index in sorted(words)]


def _newest(pictures: Sequence[int], left: int) -> tuple[int, int]:
    """How many of the newest pictures fit, and what they leave."""
    count = 0
    for size in reversed(pictures):
        if size > left:
            break
        count, left = count + 1, left - size
    return count, left
