"""A second thread for compiled work that can be shared, and need not be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

__all__ = ["Helper", "helper"]


class Helper:
    """A thread that does what it is asked to, one thing after another. Nobody waits for it."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        threading.Thread(target=self._work, name="vivavoce-helper", daemon=True).start()

    def help(self, work: Callable[..., Any], *args: Any) -> None:
        """Have `work(*args)` done soon; it must let go of Python's lock. What is given is kept until then."""
        self._asked.put((work, args))

    def _work(self) -> None:
        while True:
            work, args = self._asked.get()
            work(*args)
            del work, args


@cache
def helper(process: int) -> Helper:
    """The one of this process: a thread does not come along when a process forks."""
    return Helper()
