"""A bad network on this machine: datagrams go through a port of ours, which loses some and delays others, as the seed decides."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import cast

Address = tuple[str, int]

CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*\r\n", re.M | re.I)
ANY_CANDIDATE = re.compile(r"^a=(candidate:|end-of-candidates).*\r\n", re.M)
REORDERED_MS = 30.0
"""How much later a datagram comes that is overtaken."""


@dataclass
class Weather:
    """How bad the network is now; may be changed while it is in use."""

    loss: float = 0.0
    """Share of the datagrams that are lost, either way."""
    jitter_ms: float = 0.0
    """A datagram takes up to this long, each as long as chance will have it; so they overtake each other."""
    reorder: float = 0.0
    """Share of the datagrams that come after those behind them."""


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
            if self._weather.reorder and self._random.random() < self._weather.reorder:
                delay += REORDERED_MS / 1000
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


def without_addresses(sdp: str) -> str:
    """A description that does not say where its maker is."""
    return ANY_CANDIDATE.sub("", sdp)


async def detour(answer: str, weather: Weather, seed: int) -> tuple[asyncio.DatagramTransport, str]:
    """An SDP answer -> a port in front of the server that it names, which the caller closes, and an answer that names that port.

    Raises:
        ValueError: it names no address of this kind.
    """
    found = CANDIDATE.search(answer)
    if found is None:
        raise ValueError("the SDP answer has no IPv4 host candidate")
    transport, _, port = await between((found[1], int(found[2])), weather, seed)
    line = f"a=candidate:1 1 udp 2130706431 {found[1]} {port} typ host\r\n"
    before, behind = answer[: found.start()], answer[found.end() :]
    return transport, without_addresses(before) + line + without_addresses(behind)
