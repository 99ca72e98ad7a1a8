"""The model as the rest of the server sees it, wherever it runs: `Worker` has it in a process, `LocalModel` in this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vivavoce.model.messages import Reply, Request


@dataclass(frozen=True)
class Lost:
    """The process is gone, and with it all that the model remembered. A new one takes its place if `restarting`."""

    message: str
    restarting: bool


Deliver = Callable[[Reply | Lost], None]
"""Takes what is for one session, on the event loop."""


class ModelState(Enum):
    """What /health says."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ModelRefused(Exception):
    """The model cannot run; one line that says why."""


class Model(Protocol):
    """The model as a driver sees it. All methods are for the event loop's thread."""

    @property
    def state(self) -> ModelState:
        """Whether requests are carried out now, later or never."""

    @property
    def waiting_bytes(self) -> int:
        """Sound and pictures that it has been sent and has not taken in yet."""

    @property
    def refused(self) -> int:
        """Requests that there was no room for; each session concerned was given a `Failed`."""

    async def start(self) -> None:
        """Begin to load."""

    async def stop(self) -> None:
        """End the process. Nothing is delivered any more."""

    async def until_ready(self) -> None:
        """Return once the model is loaded.

        Raises:
            ModelRefused: it never will be.
        """

    def attach(self, session: str, deliver: Deliver) -> None:
        """From now on `deliver` gets everything for this session."""

    def detach(self, session: str) -> None:
        """Nothing for this session is delivered any more."""

    def send(self, request: Request) -> None:
        """Have a request carried out, in order, without waiting."""
