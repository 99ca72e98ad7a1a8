"""TLS in front of a server that speaks none, for clients that take nothing else: what a proxy does, on the loopback."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realtime.server.relay import HOST, sign

PIECE = 2**16
"""Bytes that are handed on at once."""


@contextmanager
def in_front_of(port: int, folder: Path) -> Iterator[int]:
    """A port whose TLS connections end at `port` of the loopback, as long as the block lasts."""
    sign(folder / "tls.crt", folder / "tls.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = asyncio.start_server(Door(port).open, HOST, 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(leave(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Door:
    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        inside, outside = await asyncio.open_connection(HOST, self.port)
        ways = {asyncio.create_task(hand_on(reader, outside)), asyncio.create_task(hand_on(inside, writer))}
        await asyncio.wait(ways)


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def leave(server: asyncio.Server) -> None:
    """Whatever is still open ends."""
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
