"""Sockets and addresses."""

import asyncio
import socket

import pytest

from vivavoce.realtime.server.serving import Unusable, address, bind


def test_a_busy_port_is_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unusable, match=f"port {port} on 127.0.0.1 is in use"):
            bind("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(Unusable, match="cannot listen on 192.0.2.1"):
        bind("192.0.2.1", 0)


def test_the_address_is_one_a_browser_allows_a_microphone_on() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert address(listener) == f"localhost:{listener.getsockname()[1]}"


async def test_small_events_are_not_held_back_until_the_client_has_sent_something() -> None:
    """Nagle's algorithm is off at every connection that is taken."""
    off: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        off.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bind("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(taken, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await off
            writer.close()
