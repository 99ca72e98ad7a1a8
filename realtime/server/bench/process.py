"""A server of our own in a process of its own, so that its work does not delay the bench's clock."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vivavoce.realtime.server.serving import Unusable

READY = "Vivavoce: "
LOADING_SECONDS = 300.0


@asynccontextmanager
async def own_server(model: Path, threads: int) -> AsyncIterator[tuple[str, int]]:
    """`vivavoce serve` on a free port, with its model loaded -> its address and its process id.

    Raises:
        Unusable: it does not start.
    """
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", "serve", "--port", "0"]
    options = ["--model", str(model), "--threads", str(threads), "--session-limit", "0"]
    process = await asyncio.create_subprocess_exec(*command, *options, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield await address_said_by(process.stdout), process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def address_said_by(output: asyncio.StreamReader) -> str:
    """What a server says once it is ready. Raises Unusable if it does not."""
    try:
        async with asyncio.timeout(LOADING_SECONDS):
            while line := (await output.readline()).decode():
                if line.startswith(READY):
                    return line.removeprefix(READY).strip()
    except TimeoutError:
        raise Unusable(f"the server was not ready within {LOADING_SECONDS:g} seconds") from None
    raise Unusable("the server ended before it was ready")


def usage(pid: int) -> tuple[float, int] | None:
    """Of a process and its children: seconds of processor time so far, and bytes of memory; None where /proc is missing."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    cpu, memory, found = 0.0, 0, False
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            memory += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page
        except OSError:
            continue
        cpu += (int(fields[11]) + int(fields[12])) / ticks
        found = True
    return (cpu, memory) if found else None


def family(pid: int) -> list[int]:
    """The process and all that came of it."""
    found, waiting = [], [pid]
    while waiting:
        found.append(one := waiting.pop())
        try:
            waiting += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except OSError:
            continue
    return found
