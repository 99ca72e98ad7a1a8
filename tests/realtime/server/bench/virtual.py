"""An event loop in which nobody waits: when all are asleep, the clock jumps to the next who wants to wake."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Hourglass(selectors.DefaultSelector):
    """Does not wait for its timeout, but counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        if not ready:
            self.now += timeout or 0.0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hourglass = Hourglass()
        super().__init__(self._hourglass)

    def time(self) -> float:
        return self._hourglass.now


def run(story: Coroutine[Any, Any, Any]) -> Any:
    """In as little time as it takes to compute."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
