"""What runs in the model's process: load, then handle requests and step, until the pipe ends."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from vivavoce.model.messages import Handled, Reply, Request
from vivavoce.realtime.server.port import ModelRefused

log = logging.getLogger(__name__)

THREADS = 1
"""Threads of one operation. The embedded model's are so small that a second thread costs more than it does: it must be waited
for, and on a machine that also serves and listens it comes late. A second of a caller's sound and sight took 45 ms with
one and 80 to 150 ms with two, on two cores."""
BATCH = 64
"""Requests a child takes in between two steps, so that many who speak cannot stop one who is spoken to."""


class HostLike(Protocol):
    """What runs in the process; `vivavoce.model.host.Host` is the real one."""

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""

    def handle(self, message: Request) -> list[Reply]:
        """Carry out one request, or let it wait for a step; costs next to nothing."""

    def step(self) -> list[Reply]:
        """Run one batch of everybody's work."""

    def handled(self) -> list[Handled]:
        """The requests but Close that have been carried out since this was last asked, in order."""

    def frames(self, session: str) -> int:
        """Steps so far of a session's replies."""


MakeHost = Callable[[], HostLike]
"""Called in the child, so it must pickle: a function of a module, or a partial of one."""


@dataclass(frozen=True)
class Ready:
    """The host is loaded."""


@dataclass(frozen=True)
class Refused:
    """The host cannot be loaded, and trying again will not help."""

    message: str


def load_host(checkpoint: Path, threads: int = THREADS, paced: bool = True) -> HostLike:
    """The real host, from a checkpoint directory. Imports torch, and so belongs in the child.

    `paced`: work is ordered by who would fall silent first, and so by the time; without, by the requests alone.

    Raises:
        ModelRefused: the directory holds no model that this version can run.
    """
    import torch

    from vivavoce.model.host import Host

    torch.set_num_threads(threads)
    try:
        return Host.load(checkpoint, clock=(lambda: 1000 * time.monotonic()) if paced else None)
    except (ValueError, OSError) as error:  # CheckpointError among them
        raise ModelRefused(str(error)) from error


def serve(pipe: Connection[Any, Any], make_host: MakeHost) -> None:
    """The child's main function: load, then handle and step until the pipe ends or None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides when this process ends
    try:
        host = make_host()
    except ModelRefused as error:
        pipe.send(Refused(first_line(error)))
        return
    except Exception as error:
        log.exception("the model could not be loaded")
        pipe.send(Refused(f"the model could not be loaded: {type(error).__name__}: {first_line(error)}"))
        return
    try:
        pipe.send(Ready())
        while handle_waiting(pipe, host):
            if host.busy:
                send_all(pipe, step(host))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def handle_waiting(pipe: Connection[Any, Any], host: HostLike) -> bool:
    """Handle what has come, as far as the next step can wait; with nothing else to do, wait for a request. False: it is over."""
    for handled in range(BATCH):
        if not pipe.poll(0 if host.busy or handled else None):
            break
        request = pipe.recv()
        if request is None:
            return False
        send_all(pipe, carry_out(host, request))
    return True


def carry_out(host: HostLike, request: Request) -> list[Reply]:
    """Hand one request over, and say what has been carried out."""
    return [*host.handle(request), *host.handled()]


def step(host: HostLike) -> list[Reply]:
    """One step, and what has been carried out in it."""
    return [*host.step(), *host.handled()]


def send_all(pipe: Connection[Any, Any], replies: list[Reply]) -> None:
    """Write replies to the parent."""
    for reply in replies:
        pipe.send(reply)


def first_line(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
