"""A bad network for what goes over TCP: a port of ours in front of a server, which delays, stalls and drops, as the seed decides.

TCP loses nothing: a packet that is lost comes a retransmission later, and holds up everything behind it. That is what `loss` does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

RETRANSMISSION_S = 0.2
"""The least that Linux waits before it sends a packet again."""
CHUNK = 65_536


@dataclass(frozen=True)
class Trouble:
    """What a network does."""

    loss: float = 0.0
    """Share of packets."""
    jitter_ms: float = 0.0
    """Each takes up to this long."""
    reorder: float = 0.0
    """Share of packets that are overtaken; TCP puts them in order."""
    stall_ms: float = 0.0
    stall_at_s: float | None = None
    """Nothing gets through for so long, once, so long after the connection was made."""
    drop_at_s: float | None = None
    """The connection ends without a word."""

    @property
    def name(self) -> str:
        """In a table."""
        told = [f"{self.loss:.0%} loss"] if self.loss else []
        told += [f"{self.jitter_ms:g} ms jitter"] if self.jitter_ms else []
        told += [f"{self.reorder:.0%} reordered"] if self.reorder else []
        told += [f"stall {self.stall_ms:g} ms at {self.stall_at_s:g} s"] if self.stall_at_s is not None else []
        told += [f"dropped at {self.drop_at_s:g} s"] if self.drop_at_s is not None else []
        return ", ".join(told) or "clean"


class Proxy:
    """Connections to one server."""

    def __init__(self, host: str, port: int, trouble: Trouble, seed: int) -> None:
        self._there = (host, port)
        self._trouble = trouble
        self._dice = random.Random(seed)
        self._drops = trouble.drop_at_s
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._there)
            try:
                await self._relay((reader, far_writer), (far_reader, writer))
            finally:
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # nobody there, or `close`: to the client the end of the connection
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def close(self) -> None:
        """End what is left."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _relay(self, *pairs: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        began = asyncio.get_running_loop().time()
        ways = [asyncio.create_task(self._carry(reader, writer, began)) for reader, writer in pairs]
        drop, self._drops = self._drops, None  # the next connection is let alone
        try:
            await asyncio.wait(ways, timeout=drop, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: float) -> None:
        """One direction. What is read waits its time in a queue, so that reading itself is never late."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(waiting, writer))
        now = asyncio.get_running_loop().time
        last = 0.0
        try:
            while data := await reader.read(CHUNK):
                last = max(last, now() + self._delay_s(now() - began))
                waiting.put_nowait((last, data))
            waiting.put_nowait((last, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        with suppress(ConnectionError):
            while True:
                due, data = await waiting.get()
                if not data:
                    return
                if (left := due - now()) > 0:
                    await asyncio.sleep(left)
                writer.write(data)
                await writer.drain()

    def _delay_s(self, age_s: float) -> float:
        trouble = self._trouble
        delay = self._dice.uniform(0, trouble.jitter_ms) / 1000
        if trouble.loss and self._dice.random() < trouble.loss:
            delay += RETRANSMISSION_S
        if trouble.stall_at_s is not None:
            behind = age_s - trouble.stall_at_s
            if 0 <= behind < trouble.stall_ms / 1000:
                delay += trouble.stall_ms / 1000 - behind
        return delay


@asynccontextmanager
async def troubled(url: str, trouble: Trouble, seed: int) -> AsyncIterator[str]:
    """An address beside `url` (ws://HOST:PORT/...) from which the same server is reached through `trouble`."""
    parts = urlsplit(url)
    there = Proxy(parts.hostname or "127.0.0.1", parts.port or 80, trouble, seed)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))
    finally:
        server.close()
        await there.close()
