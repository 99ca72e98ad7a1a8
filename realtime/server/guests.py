"""The conversations over WebSockets that are under way, so that a server can say goodbye before it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vivavoce.realtime.server.driver import Driver

GOODBYE_SECONDS = 2.0
"""How long a server that ends waits for its last words to leave."""


class Guests:
    """Who is connected."""

    def __init__(self) -> None:
        self._drivers: set[Driver] = set()
        self._empty = asyncio.Event()

    @contextmanager
    def hosting(self, driver: Driver) -> Iterator[None]:
        """As long as the block lasts."""
        self._drivers.add(driver)
        self._empty.clear()
        try:
            yield
        finally:
            self._drivers.remove(driver)
            if not self._drivers:
                self._empty.set()

    async def leave(self) -> None:
        """Say goodbye to all of them, and wait until they have hung up, though not for ever."""
        for driver in self._drivers:
            driver.leave()
        if self._drivers:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._empty.wait()
