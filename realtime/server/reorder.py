"""Packets of a live stream in the order they were sent, without a playout buffer.

A loudspeaker needs sound at an even pace, and buffers for it; a model does not. So a packet that comes in order is given on at
once, one that comes early waits for those before it, and one that is lost is given up when `WAIT` later ones have come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

WAIT = 2
"""Packets that wait for an earlier one, 40 ms of sound, before that one counts as lost; re-ordering goes no further as a rule."""
FAR = 100
"""A number further off than this is that of another stream: the sender has begun anew."""
NUMBERS = 2**16
"""RTP sequence numbers have 16 bits (RFC 3550 section 5.1)."""


class Reorder(Generic[Item]):
    """Puts numbered items in order. What was lost is missing from what comes out; the items' timestamps show it."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Item] = {}

    def push(self, number: int, item: Item) -> list[Item]:
        """The next item to arrive, in whatever order -> those that are now due. Duplicates and latecomers are dropped."""
        if self._next is None or FAR < (number - self._next) % NUMBERS < NUMBERS - FAR:
            self._waiting.clear()
            self._next = number
        if (number - self._next) % NUMBERS > FAR:
            return []
        self._waiting[number] = item
        due = self._in_order()
        while len(self._waiting) >= WAIT:
            self._next = min(self._waiting, key=self._distance())
            due += self._in_order()
        return due

    def _in_order(self) -> list[Item]:
        due: list[Item] = []
        while self._next in self._waiting:
            due.append(self._waiting.pop(self._next))
            self._next = (self._next + 1) % NUMBERS
        return due

    def _distance(self) -> Callable[[int], int]:
        begin = self._next or 0
        return lambda number: (number - begin) % NUMBERS
