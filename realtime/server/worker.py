"""The model's process: started, listened to, restarted. What runs in it is in child.py.

    event loop ──send──▶ writer thread ═══ pipe ═══▶ child: host.handle(request), host.step()
    event loop ◀─call_soon_threadsafe─ reader thread ◀═══ pipe ═══ replies

The writer thread is there because a picture is larger than a pipe, and a child in the middle of a step does not read: the
event loop would wait for it, and with it everybody's sound. `LocalModel` in local.py is the same without a process.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from vivavoce.model.messages import Failed, Handled, Reply, Request
from vivavoce.realtime.server.backlog import Backlog, Behind
from vivavoce.realtime.server.child import MakeHost, Ready, Refused, serve
from vivavoce.realtime.server.port import Deliver, Lost, ModelRefused, ModelState

log = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3
"""A process that dies so often in a row before it has loaded its model is not started again."""
STOP_SECONDS = 5.0
"""How long a process may take to end when asked to."""


class Worker:
    """A child process that runs a host, and another one when it dies."""

    def __init__(self, make_host: MakeHost) -> None:
        self._make_host = make_host
        self._state = ModelState.LOADING
        self._settled = asyncio.Event()
        self._reason = "it has not been started"
        self._deliver: dict[str, Deliver] = {}
        self._failed_starts = 0
        self._stopping = False
        self._ended = asyncio.Event()
        self._child: Child | None = None
        self._refused = 0

    @property
    def state(self) -> ModelState:
        """What /health says."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._child.process.pid if self._child else None

    async def start(self) -> None:
        """Start the process; it loads the model while the server already listens."""
        self._loop = asyncio.get_running_loop()
        self._spawn()

    async def stop(self) -> None:
        """Ask the process to end; one that is loading, or does not listen, is killed."""
        self._stopping = True
        if self._child is None or self._ended.is_set():
            return
        self._child.outbox.close()
        if self._state is ModelState.LOADING:
            self._child.process.kill()
        try:
            await asyncio.wait_for(self._ended.wait(), STOP_SECONDS)
        except TimeoutError:
            self._child.process.kill()
            await self._ended.wait()

    async def until_ready(self) -> None:
        """See `Model`."""
        while self._state is ModelState.LOADING:
            self._settled.clear()
            await self._settled.wait()
        if self._state is ModelState.FAILED:
            raise ModelRefused(self._reason)

    def attach(self, session: str, deliver: Deliver) -> None:
        """See `Model`."""
        self._deliver[session] = deliver

    def detach(self, session: str) -> None:
        """See `Model`."""
        self._deliver.pop(session, None)

    def send(self, request: Request) -> None:
        """See `Model`. Requests wait in the pipe while a model loads."""
        if self._state is ModelState.FAILED or self._child is None:
            self._fail(request, f"the model is not running: {self._reason}")
            return
        try:
            self._child.outbox.put(request)
        except Behind as error:
            self._refused += 1
            self._fail(request, f"the model is too far behind to take in more: {error}")

    def _fail(self, request: Request, why: str) -> None:
        """The session is told once what it does now is done."""
        asyncio.get_running_loop().call_soon(self._give, Failed(request.session, None, why))

    @property
    def refused(self) -> int:
        """See `Model`."""
        return self._refused

    @property
    def waiting_bytes(self) -> int:
        """Sound and pictures that the process has not taken in yet."""
        return self._child.outbox.bytes if self._child is not None else 0

    def _spawn(self) -> None:
        self._state = ModelState.LOADING
        self._ended.clear()
        self._child = Child(self._make_host, self._from_thread)

    def _from_thread(self, child: Child, message: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._received, child, message)
        except RuntimeError:
            return  # the loop has been closed; nobody is left to tell

    def _received(self, child: Child, message: Any) -> None:
        """A message of the process, on the event loop; an int is its exit code, and the last one."""
        match message:
            case int():
                self._gone(message)
            case Ready():
                self._failed_starts = 0
                self._settle(ModelState.READY)
            case Refused():
                self._reason = message.message
                self._settle(ModelState.FAILED)
            case Handled() if child is self._child:
                child.outbox.handled(message.session)
                if not self._stopping:
                    self._give(message)
            case _ if not self._stopping:
                self._give(message)

    def _gone(self, exit_code: int) -> None:
        self._ended.set()
        if self._child is not None:
            self._child.outbox.close()
        if self._stopping:
            return
        if self._state is ModelState.LOADING:
            self._failed_starts += 1
        if self._state is not ModelState.FAILED:
            self._reason = f"its process ended with {meaning(exit_code)}"
        restarting = self._state is not ModelState.FAILED and self._failed_starts < MAX_FAILED_STARTS
        log.error("the model is gone: %s%s", self._reason, "; starting another" if restarting else "")
        if restarting:
            self._spawn()
        else:
            self._settle(ModelState.FAILED)
        for deliver in list(self._deliver.values()):
            deliver(Lost(f"the model is gone: {self._reason}", restarting))

    def _settle(self, state: ModelState) -> None:
        self._state = state
        self._settled.set()

    def _give(self, reply: Reply) -> None:
        deliver = self._deliver.get(reply.session)
        if deliver is not None:
            deliver(reply)


class Child:
    """One process with its pipe and the two threads at our end of it."""

    def __init__(self, make_host: MakeHost, tell: Callable[[Child, Any], None]) -> None:
        """`tell` gets every message of the process, and its exit code in the end, on the reader's thread."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.outbox = Backlog()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, make_host), name="model", daemon=True)
        self.process.start()
        theirs.close()
        self._tell = tell
        for job in (self._read, self._write):
            threading.Thread(target=job, name=f"model{job.__name__}", daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                self._tell(self, self._pipe.recv())
        except (EOFError, OSError):
            pass
        except Exception:
            log.exception("the model's process sent something unreadable")
            self.process.kill()
        self.process.join()
        exit_code = self.process.exitcode
        self._tell(self, -1 if exit_code is None else exit_code)

    def _write(self) -> None:
        try:
            while (request := self.outbox.get()) is not None:
                self._pipe.send(request)
            self._pipe.send(None)
        except (OSError, ValueError):
            pass  # the reader sees the end as well, and reports it


def meaning(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"
