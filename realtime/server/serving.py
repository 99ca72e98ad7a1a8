"""A server that runs: its socket, its loop, its end."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

from vivavoce.realtime.server.port import Model

MAX_FRAME = 24 * 2**20
"""Bytes of one WebSocket frame: the API allows 15 MiB of audio, which base64 makes 20 MiB."""


class Unusable(Exception):
    """Something the user gave cannot be used; the message is the one line to show, the exit code is 2."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        Unusable: the port is busy, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle on, which holds small events back until the client has sent something.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise Unusable(f"port {port} on {host} is in use; another one can be chosen with --port") from None
        raise Unusable(f"cannot listen on {host} port {port}: {error}") from None
    return listener


def address(listener: socket.socket) -> str:
    """host:port of a listening socket, as a client on this machine writes it."""
    host, port = listener.getsockname()[:2]
    local = {"127.0.0.1": "localhost", "::1": "localhost", "0.0.0.0": "localhost", "::": "localhost"}
    return f"{local.get(host, f'[{host}]' if ':' in host else host)}:{port}"


class Server(uvicorn.Server):
    """uvicorn's, which closes its connections without a word; this one says goodbye first."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._leave = leave

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await self._leave()
        await super().shutdown(sockets)


def make_server(app: Starlette) -> uvicorn.Server:
    """uvicorn with the WebSocket framing of the `websockets` package, quiet but for warnings."""
    config = uvicorn.Config(app, ws="websockets-sansio", ws_max_size=MAX_FRAME, log_level="warning", lifespan="on")
    return Server(config, app.state.leave)


async def serve(app: Starlette, model: Model, listener: socket.socket, say_ready: Callable[[], None]) -> None:
    """Serve until a signal comes; `say_ready` is called once the model is loaded.

    Raises:
        ModelRefused: the model cannot be loaded.
    """
    async with running(app, listener) as server:
        loading = asyncio.create_task(model.until_ready())
        await asyncio.wait({loading, server}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
            return
        loading.result()
        say_ready()
        await asyncio.wait({server})


@asynccontextmanager
async def running(app: Starlette, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """A server in the background of this event loop; leaving the block ends it. Gives the task that ends with it."""
    server = make_server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield task
    finally:
        server.should_exit = True
        await asyncio.wait({task})
        listener.close()
    task.result()
