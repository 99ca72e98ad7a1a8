"""`vivavoce bench wire`: what the wire alone costs, in time and in processor, with a model that costs nothing (`parrot.py`).

The callers are here; the server's side is `endpoint.py`, in a process of its own, where its processor time can be told from theirs.
Beside our own way from packets to samples and back stands aiortc's, as its documentation has it: `track.recv()` in, frames out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from vivavoce.realtime.config import INPUT_RATE_HZ
from vivavoce.realtime.server.bench.callers import machine
from vivavoce.realtime.server.bench.endpoint import BARE, OURS, PLAIN, Endpoint, Used
from vivavoce.realtime.server.bench.lossy import Weather
from vivavoce.realtime.server.bench.marks import delays, found
from vivavoce.realtime.server.bench.wirecallers import dial, dial_socket
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.talk import one_line

SEED = 5
LOSS, JITTER_MS = 0.05, 40.0
"""The bad network: every twentieth packet lost, each up to 40 ms late."""
CALM_S = 10.0
"""How long the network is good before and after."""
HEALED_S = 1.0
"""After the network has healed, when it counts again."""
COST_S = 10.0
"""How long processor time is measured."""
SIDE_BY_SIDE, CAMERAS, CALLS, SOCKETS, DETECTED = 8, 3, 14, 60, 40
"""Callers at once: beside aiortc's own path, with cameras, how many a core should bear by either wire, and where the server
looks out for speech."""
LEAST = 20
"""Marks below which there is no percentile."""


Dial = Callable[[Endpoint], AbstractAsyncContextManager[object]]
"""A call to the server's side, for as long as the block lasts."""


@dataclass(frozen=True)
class Delay:
    """From a packet's leaving the caller to its sound's reaching the session, milliseconds."""

    side: str
    network: str
    marks: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Cost:
    """Of the server's process, all sessions together."""

    what: str
    sessions: int
    core: float
    """Share of one core."""
    lag_p99_ms: float
    """How late the event loop was, 99 of 100 times at most."""

    @property
    def each(self) -> float:
        """Share of a core that one session takes."""
        return self.core / self.sessions


def summary(side: str, network: str, seconds: Sequence[float]) -> Delay:
    """Percentiles; none of fewer than `LEAST` marks."""
    few = len(seconds) < LEAST
    p50, p95, p99 = (None if few else round(float(np.percentile(seconds, q)) * 1000, 1) for q in (50, 95, 99))
    return Delay(side, network, len(seconds), p50, p95, p99)


async def delay(side: str, bad_s: float) -> list[Delay]:
    """One call through a network that is good, bad for `bad_s` seconds, and good again."""
    weather = Weather()
    async with endpoint(side) as end, dial(end, weather=weather, seed=SEED) as caller:
        now = asyncio.get_running_loop().time
        await end.begin()
        start = now()
        await asyncio.sleep(CALM_S)
        weather.loss, weather.jitter_ms = LOSS, JITTER_MS
        worse = now()
        await asyncio.sleep(bad_s)
        weather.loss, weather.jitter_ms = 0.0, 0.0
        better = now()
        await asyncio.sleep(CALM_S)
        used = await end.end()
        taken = delays(caller.marks, found(used.heard, INPUT_RATE_HZ))
    phases = {"good": (start, worse), "bad": (worse, better), "good again": (better + HEALED_S, better + CALM_S)}
    return [
        summary(side, name, [s for at, s in taken if since <= at < until]) for name, (since, until) in phases.items()
    ]


async def cost(what: str, side: str, sessions: int, call: Dial) -> Cost:
    """So many sessions, all of them hearing and speaking all the time."""
    async with endpoint(side) as end:
        opened = [call(end) for _ in range(sessions)]
        try:
            for caller in opened:
                await caller.__aenter__()
            await asyncio.sleep(1.0)  # connecting is over
            await end.begin()
            await asyncio.sleep(COST_S)
            used = await end.end()
        finally:
            await asyncio.gather(*(caller.__aexit__(None, None, None) for caller in opened), return_exceptions=True)
    return Cost(what, sessions, used.cpu_s / used.wall_s, lag(used))


def lag(used: Used) -> float:
    """99th percentile of the loop's lateness, ms."""
    return round(float(np.percentile(used.lags, 99)) * 1000, 1)


async def measure(bad_s: float, done: Callable[[], None]) -> tuple[list[Delay], list[Cost]]:
    """Everything; `done` is called after each part.

    Raises:
        Unusable: this machine has no network address to call.
    """
    both = await asyncio.gather(delay(OURS, bad_s), delay(PLAIN, bad_s))
    done()
    costs = []
    for what, side, sessions, call in (
        ("sound alone, aiortc's own path", PLAIN, SIDE_BY_SIDE, dial),
        ("sound alone, our path", BARE, SIDE_BY_SIDE, dial),
        ("call", OURS, CAMERAS, dial),
        ("call with a camera", OURS, CAMERAS, partial(dial, camera=True)),
        ("call", OURS, CALLS, dial),
        ("WebSocket", OURS, SOCKETS, partial(dial_socket, detects=False)),
        ("WebSocket, turns detected", OURS, DETECTED, partial(dial_socket, detects=True)),
    ):
        costs.append(await cost(what, side, sessions, call))
        done()
    return [row for side in both for row in side], costs


PARTS = 8
"""How often `measure` calls `done`."""


@asynccontextmanager
async def endpoint(side: str) -> AsyncIterator[Endpoint]:
    """The server's side in its process, for as long as the block lasts."""
    end = Endpoint(side)
    try:
        yield end
    finally:
        await end.stop()


def run(bad_s: float, console: Console) -> tuple[list[Delay], list[Cost]]:
    """`measure`, with a bar that fills while it runs."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("wire", total=PARTS)
        return asyncio.run(measure(bad_s, lambda: bar.advance(task)))


def show(rows: Sequence[Delay], costs: Sequence[Cost], console: Console) -> None:
    """As a person reads it."""
    times = Table("microphone to session", "network", "median", "95 %", "99 %", "marks")
    for row in rows:
        figures = ("-" if ms is None else f"{ms:.1f} ms" for ms in (row.p50_ms, row.p95_ms, row.p99_ms))
        times.add_row(row.side, row.network, *figures, str(row.marks))
    console.print(times)
    table = Table("what", "at once", "a core for each", "together", "loop late, 99 %")
    for c in costs:
        table.add_row(c.what, str(c.sessions), f"{c.each:.2%}", f"{c.core:.0%}", f"{c.lag_p99_ms:.1f} ms")
    table.caption = " · ".join(f"{name} {value}" for name, value in machine().items())
    console.print(table)


def save(rows: Sequence[Delay], costs: Sequence[Cost], out: Path) -> None:
    """Everything measured, as JSON.

    Raises:
        Unusable: the file cannot be written.
    """
    everything = {"machine": machine(), "delays": [asdict(r) for r in rows], "costs": [asdict(c) for c in costs]}
    try:
        out.write_text(json.dumps(everything, indent=2) + "\n")
    except OSError as error:
        raise Unusable(f"{out} cannot be written: {one_line(error)}") from None
