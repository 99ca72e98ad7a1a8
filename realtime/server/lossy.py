"""A bad network on this machine: datagrams go through a port of ours, which loses some and delays others, as the seed decides."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import cast

Address = tuple[str, int]


@dataclass
class Weather:
    """How bad the network is now; may be changed while it is in use."""

    loss: float = 0.0
    """Share of the datagrams that are lost, either way."""
    jitter_ms: float = 0.0
    """A datagram takes up to this long, each as long as chance will have it; so they overtake each other."""


class Lossy(asyncio.DatagramProtocol):
    """Stands between one client, whoever sends first, and one server."""

    def __init__(self, server: Address, weather: Weather, seed: int) -> None:
        self._server, self._weather = server, weather
        self._random = random.Random(seed)
        self._client: Address | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.passed = self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, sender: Address) -> None:
        """See asyncio."""
        if sender != self._server:
            self._client = sender
        target = self._client if sender == self._server else self._server
        if self._random.random() < self._weather.loss:
            self.lost += 1
        elif target is not None:
            self.passed += 1
            delay = self._random.uniform(0, self._weather.jitter_ms) / 1000
            if delay:
                asyncio.get_running_loop().call_later(delay, self._pass_on, data, target)
            else:
                self._pass_on(data, target)

    def _pass_on(self, data: bytes, target: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, target)


async def between(server: Address, weather: Weather, seed: int) -> tuple[asyncio.DatagramTransport, Lossy, int]:
    """A port beside `server` that stands for it -> its transport, which the caller closes, itself, and the port."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Lossy(server, weather, seed), local_addr=(server[0], 0)
    )
    return transport, protocol, int(transport.get_extra_info("sockname")[1])
