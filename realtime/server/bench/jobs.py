"""What each command does, from the corpus to the body of its report, with a bar that fills while it runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vivavoce.realtime.server.bench import runs
from vivavoce.realtime.server.bench.corpus import Corpus
from vivavoce.realtime.server.bench.metrics import Condition, number
from vivavoce.realtime.server.bench.process import usage
from vivavoce.realtime.server.bench.proxy import Trouble
from vivavoce.realtime.server.bench.report import measured
from vivavoce.realtime.server.bench.runs import Target
from vivavoce.realtime.server.bench.script import QUESTION, Clip
from vivavoce.realtime.server.bench.stats import share, summary
from vivavoce.realtime.server.bench.take import Take
from vivavoce.realtime.server.serving import Unusable

Json = dict[str, Any]
Body = tuple[Json, list[Take]]
Job = Callable[[Target, Corpus, int | None, Console], Awaitable[Body]]
"""Server, corpus, the server's process if it is ours, terminal -> the body of the report, and the recordings."""


def latency(choose: Callable[[Corpus], Sequence[Clip]], minutes: float | None) -> Job:
    """One conversation."""

    async def job(target: Target, corpus: Corpus, pid: int | None, console: Console) -> Body:
        await warm(target, corpus)
        clips = choose(corpus)
        with bar(console, "asking", None if minutes else len(clips)) as advance, cost(pid) as costs:
            take = await runs.latency(target, clips, advance, minutes)
        body = measured([take])
        body["metrics"] |= costs() | losses([take])
        return body, [take]

    return job


def duplex(each: int, openers: Sequence[str], seed: int) -> Job:
    """One conversation in which the user speaks into every answer."""

    async def job(target: Target, corpus: Corpus, pid: int | None, console: Console) -> Body:
        opening = [clip for clip in corpus.of(QUESTION) if not openers or clip.name in openers]
        if not opening:
            raise Unusable(f"the corpus {corpus.name} has no question called {' or '.join(openers)}")
        await warm(target, corpus)
        trials = runs.overlapping(corpus, opening, each, seed)
        with bar(console, "talking", len(trials)) as advance, cost(pid) as costs:
            take = await runs.duplex(target, trials, advance)
        body = measured([take])
        body["metrics"] |= costs() | losses([take])
        return body, [take]

    return job


def load(sessions: Sequence[int], hold_s: float, ramp_s: float, slo: Condition, seed: int) -> Job:
    """More and more at once, until one level has been tried that is beyond the service level, or all have."""

    async def job(target: Target, corpus: Corpus, pid: int | None, console: Console) -> Body:
        await warm(target, corpus)
        clips = runs.mixed(corpus, 40, seed, thoughtful=0.0)
        levels: list[Json] = []
        kept: list[Take] = []
        for count in sessions:
            seconds = round(count * ramp_s + hold_s)
            with bar(console, f"{count} at once", seconds) as advance, cost(pid, count) as costs:
                clock = asyncio.create_task(tick(advance, seconds))
                takes = await runs.load(target, clips, count, hold_s, ramp_s)
                clock.cancel()
            level = measured([take for take in takes if len(take.microphone)])
            level["metrics"] |= costs() | losses(takes)
            value = number(level["metrics"], slo.metric)
            level |= {"name": f"{count} at once", "sessions": count}
            level["holds"] = value is not None and slo.holds(value) and not any(take.lost for take in takes)
            level["problems"] = problems(takes) + ([f"{slo.metric} could not be judged"] if value is None else [])
            levels.append(level)
            kept += takes[:1]
        within = [level["sessions"] for level in levels if level["holds"]]
        return {"levels": levels, "knee": max(within, default=0)}, kept

    return job


def chaos(networks: Sequence[Trouble], turns: int, seed: int) -> Job:
    """The same questions through each network."""

    async def job(target: Target, corpus: Corpus, pid: int | None, console: Console) -> Body:
        await warm(target, corpus)
        clips = runs.mixed(corpus, turns, seed)
        levels: list[Json] = []
        kept: list[Take] = []
        for trouble in networks:
            there = replace(target, trouble=trouble if trouble != Trouble() else None)
            with bar(console, trouble.name, len(clips)) as advance:
                takes = await runs.chaos(there, clips, advance)
            level = measured(takes)
            level["metrics"] |= losses(takes)
            levels.append(level | {"name": trouble.name, "problems": problems(takes)})
            kept += takes[:1]
        return {"levels": levels}, kept

    return job


async def warm(target: Target, corpus: Corpus) -> None:
    """A conversation of one question, which does not count. Raises TalkFailed."""
    await runs.latency(target, corpus.of(QUESTION)[:1], lambda turns: None)


# --- what else is counted -----------------------------------------------------------------------------------------


@contextmanager
def cost(pid: int | None, sessions: int = 1) -> Iterator[Callable[[], Json]]:
    """Of the server's processes, as long as the block lasts; a server that is not ours costs nobody knows what."""
    loop = asyncio.get_running_loop()
    begun, since = usage(pid) if pid else None, loop.time()
    ended: list[Json] = []

    def costs() -> Json:
        return ended[0] if ended else {}

    yield costs
    now = usage(pid) if pid else None
    if begun and now:
        share_of_core = (now[0] - begun[0]) / (loop.time() - since)
        cpu = {"unit": "share", "n": sessions, "value": round(share_of_core, 3)}
        ended.append({"cpu": cpu, "memory": {"unit": "MiB", "n": sessions, "value": round(now[1] / 2**20)}})


def losses(takes: Sequence[Take]) -> Json:
    """Connections that were refused, or did not last, and how long it took to be back."""
    refused = sum("refused" in take.lost for take in takes)
    gone = sum("at_ms" in take.lost for take in takes)
    back = [float(take.lost["back_ms"]) for take in takes if "back_ms" in take.lost]
    made: Json = {"lost": share(gone, len(takes))} if gone else {}
    made |= {"refused": share(refused, len(takes))} if refused else {}
    return made | ({"back": summary(back)} if back else {})


def problems(takes: Sequence[Take]) -> list[str]:
    """Each kind of trouble with a connection, once."""
    told = [take.lost["refused"] for take in takes if "refused" in take.lost]
    told += [f"a connection was lost after {take.lost['at_ms'] / 1000:.1f} s" for take in takes if "at_ms" in take.lost]
    return list(dict.fromkeys(told))


# --- the command line's words -----------------------------------------------------------------------------------------

STALL = re.compile(r"(\d+(?:\.\d+)?)ms@(\d+(?:\.\d+)?)s")
DROP = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(frozen=True)
class Moment:
    """So long, so long after the beginning."""

    ms: float
    at_s: float


def troubles(loss: str, jitter: float, reorder: float, stall: str | None, drop: str | None) -> list[Trouble]:
    """A clean network, one for each loss with jitter and the rest, as the options say.

    Raises:
        ValueError: they do not say it so that it can be understood.
    """
    try:
        losses_given = [float(part) for part in loss.split(",")]
    except ValueError:
        raise ValueError(f"--loss is {loss!r}, expected percents as 1,5") from None
    if not all(0 <= one <= 100 for one in losses_given):
        raise ValueError(f"--loss is {loss!r}, expected percents from 0 to 100")
    stalled = STALL.fullmatch(stall) if stall else None
    dropped = DROP.fullmatch(drop) if drop else None
    if stall and not stalled:
        raise ValueError(f"--stall is {stall!r}, expected something like 500ms@10s")
    if drop and not dropped:
        raise ValueError(f"--drop-conn is {drop!r}, expected something like 20s")
    moment = Moment(float(stalled[1]), float(stalled[2])) if stalled else None
    bad = [
        Trouble(
            loss=percent / 100,
            jitter_ms=jitter,
            reorder=reorder / 100,
            stall_ms=moment.ms if moment else 0.0,
            stall_at_s=moment.at_s if moment else None,
            drop_at_s=float(dropped[1]) if dropped else None,
        )
        for percent in losses_given
    ]
    return [Trouble(), *bad]


@contextmanager
def bar(console: Console, what: str, total: int | None) -> Iterator[runs.Progress]:
    """A bar, and what fills it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


async def tick(advance: runs.Progress, seconds: int) -> None:
    """Time itself as progress."""
    for second in range(seconds):
        advance(second)
        await asyncio.sleep(1)
