"""The model without a process: the same requests and replies, carried out on the event loop, one step at a time.

For tests and for debugging: a breakpoint in the host stops here. A step blocks everything else for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections import deque

from vivavoce.model.messages import Reply, Request
from vivavoce.realtime.server.child import HostLike, carry_out, step
from vivavoce.realtime.server.port import Deliver, ModelState


class LocalModel:
    """A `Model` around a host that lives in this process."""

    def __init__(self, host: HostLike) -> None:
        self._host = host
        self._deliver: dict[str, Deliver] = {}
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> ModelState:
        """A host that exists is loaded."""
        return ModelState.READY

    @property
    def waiting_bytes(self) -> int:
        """What waits is here already."""
        return 0

    @property
    def refused(self) -> int:
        """Nothing is."""
        return 0

    async def start(self) -> None:
        """Begin to carry out requests."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop, in the middle of whatever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def until_ready(self) -> None:
        """See `Model`."""

    def attach(self, session: str, deliver: Deliver) -> None:
        """See `Model`."""
        self._deliver[session] = deliver

    def detach(self, session: str) -> None:
        """See `Model`."""
        self._deliver.pop(session, None)

    def send(self, request: Request) -> None:
        """See `Model`."""
        self._requests.append(request)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._requests or self._host.busy:
                while self._requests:
                    self._give(carry_out(self._host, self._requests.popleft()))
                self._give(step(self._host))
                await asyncio.sleep(0)

    def _give(self, replies: list[Reply]) -> None:
        for reply in replies:
            deliver = self._deliver.get(reply.session)
            if deliver is not None:
                deliver(reply)
