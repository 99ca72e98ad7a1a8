"""`vivavoce bench latency | duplex | load | chaos | compare`: the reader of their command line.

Exit codes: 0 done; 1 a conversation failed, or `compare` found what it was to fail on; 2 something given cannot be used.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vivavoce.realtime.server.bench.corpus import Corpus
    from vivavoce.realtime.server.bench.jobs import Job
    from vivavoce.realtime.server.bench.metrics import Condition

WIDE = 120
"""Characters of a line that goes into a file."""

UrlOption = Annotated[
    str | None, typer.Option(help="A running server, ws:// or http://HOST:PORT. Without it, one is started.")
]
TransportOption = Annotated[str, typer.Option(help="ws or webrtc.")]
CorpusOption = Annotated[
    Path | None, typer.Option(help="Folder of sound files, with labels.json or without. Without it, espeak-ng speaks.")
]
OutOption = Annotated[Path | None, typer.Option(help="Folder for the report: JSON, HTML, turns, events, recordings.")]
SeedOption = Annotated[int, typer.Option(help="Who says what in which order.")]
PlayoutOption = Annotated[
    float | None,
    typer.Option(help="ms that the loudspeaker collects before it plays; by default 0 (ws) or 40 (webrtc)."),
]
KeyOption = Annotated[str | None, typer.Option(help="Sent as a bearer token.", envvar="VIVAVOCE_BENCH_KEY")]
ModelOption = Annotated[
    Path | None, typer.Option(help="Checkpoint of the server that is started.", show_default="kitten")
]


def latency(
    url: UrlOption = None,
    transport: TransportOption = "ws",
    corpus: CorpusOption = None,
    turns: Annotated[int, typer.Option(help="Questions.", min=1)] = 40,
    thoughtful: Annotated[float, typer.Option(help="Share of them with pauses to think.", min=0, max=1)] = 0.5,
    minutes: Annotated[float | None, typer.Option(help="Ask for so long instead, in one call.", min=0.1)] = None,
    out: OutOption = None,
    seed: SeedOption = 5,
    playout_ms: PlayoutOption = None,
    key: KeyOption = None,
    model: ModelOption = None,
) -> None:
    """From the last sample that the user speaks to the first that they hear, and where the time went."""
    from vivavoce.realtime.server.bench import jobs, runs

    def clips(found: Corpus) -> list[Any]:
        return runs.mixed(found, turns, seed, thoughtful)

    options = {"turns": turns, "thoughtful": thoughtful, "minutes": minutes, "seed": seed, "playout_ms": playout_ms}
    job = jobs.latency(clips, minutes)
    carry_out("latency", job, Where(url, transport, key, playout_ms, seed, model), corpus, options, out)


def duplex(
    url: UrlOption = None,
    transport: TransportOption = "ws",
    corpus: CorpusOption = None,
    each: Annotated[int, typer.Option(help="Interruptions, as many backchannels, as many noises.", min=1)] = 20,
    opener: Annotated[list[str] | None, typer.Option(help="Only clips of this name open a turn.")] = None,
    plays_on: Annotated[
        bool, typer.Option(help="As a client that cannot stand still: it plays until it is told that the user speaks.")
    ] = False,
    out: OutOption = None,
    seed: SeedOption = 5,
    playout_ms: PlayoutOption = None,
    key: KeyOption = None,
    model: ModelOption = None,
) -> None:
    """What becomes of an answer that the user speaks into: stopped how soon, stopped by mistake, not stopped."""
    from vivavoce.realtime.server.bench import jobs

    options = {"each": each, "opener": opener, "seed": seed, "playout_ms": playout_ms, "plays_on": plays_on}
    job = jobs.duplex(each, tuple(opener or ()), seed)
    where = Where(url, transport, key, playout_ms, seed, model, stands_still=not plays_on)
    carry_out("duplex", job, where, corpus, options, out)


def load(
    url: UrlOption = None,
    transport: TransportOption = "ws",
    corpus: CorpusOption = None,
    sessions: Annotated[str, typer.Option(help="Conversations at once, one measurement after the other.")] = "1,2,4,8",
    ramp: Annotated[float, typer.Option(help="New conversations a second.", min=0.01)] = 1.0,
    hold: Annotated[
        float, typer.Option(help="Seconds that all of them talk; up to 5 times as long for 20 answers.", min=1)
    ] = 60.0,
    slo: Annotated[str, typer.Option(help="The service level.")] = "v2v.p95<=700",
    out: OutOption = None,
    seed: SeedOption = 5,
    playout_ms: PlayoutOption = None,
    key: KeyOption = None,
    model: ModelOption = None,
) -> None:
    """How many conversations at once a server holds within a service level."""
    from vivavoce.realtime.server.bench import jobs

    level = parsed([slo])[0]
    numbers = whole_numbers(sessions)
    options = {"sessions": numbers, "ramp": ramp, "hold": hold, "slo": slo, "seed": seed, "playout_ms": playout_ms}
    job = jobs.load(numbers, hold, 1 / ramp, level, seed)
    carry_out("load", job, Where(url, transport, key, playout_ms, seed, model), corpus, options, out)


def chaos(
    url: UrlOption = None,
    transport: TransportOption = "ws",
    corpus: CorpusOption = None,
    turns: Annotated[int, typer.Option(help="Questions in each network.", min=1)] = 20,
    loss: Annotated[str, typer.Option(help="Percent of packets, one network after the other.")] = "1,5",
    jitter: Annotated[float, typer.Option(help="ms that a packet may take.", min=0)] = 30.0,
    reorder: Annotated[float, typer.Option(help="Percent of packets that are overtaken.", min=0, max=100)] = 0.0,
    stall: Annotated[str | None, typer.Option(help="Nothing gets through, as 500ms@10s; ws only.")] = None,
    drop_conn: Annotated[str | None, typer.Option(help="The connection ends, as 20s; ws only.")] = None,
    out: OutOption = None,
    seed: SeedOption = 5,
    playout_ms: PlayoutOption = None,
    key: KeyOption = None,
    model: ModelOption = None,
) -> None:
    """The same conversation through a clean network and through bad ones."""
    from vivavoce.realtime.server.bench import jobs

    if transport != "ws" and (stall or drop_conn):
        refuse("--stall and --drop-conn are for --transport ws")
    try:
        troubles = jobs.troubles(loss, jitter, reorder, stall, drop_conn)
    except ValueError as error:
        refuse(error)
    options = {"turns": turns, "loss": loss, "jitter": jitter, "reorder": reorder, "stall": stall, "seed": seed}
    options |= {"drop_conn": drop_conn, "playout_ms": playout_ms}
    job = jobs.chaos(troubles, turns, seed)
    carry_out("chaos", job, Where(url, transport, key, playout_ms, seed, model), corpus, options, out)


def compare(
    reports: Annotated[list[Path], typer.Argument(help="Two reports or more, each a file or the folder it is in.")],
    fail_on: Annotated[
        list[str] | None, typer.Option(help="Of the last against the first, as 'v2v.p95>+5%'; exit code 1 if it is so.")
    ] = None,
) -> None:
    """Reports side by side; a regression can fail."""
    from rich.console import Console

    from vivavoce.realtime.server.bench.compare import NotComparable, regressions, table
    from vivavoce.realtime.server.bench.report import load_report
    from vivavoce.realtime.server.serving import Unusable

    conditions = parsed(fail_on or [])
    if len(reports) < 2:
        refuse(f"compare needs two reports, got {len(reports)}")
    try:
        found = [load_report(path) for path in reports]
        console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
        console.print(table(found, [path.stem if path.is_file() else path.name for path in reports]))
        worse = regressions(found[0], found[-1], conditions)
    except (Unusable, NotComparable) as error:
        refuse(error)
    for line in worse:
        print(line)
    raise typer.Exit(1 if worse else 0)


def add_to(app: typer.Typer) -> None:
    """The commands under `vivavoce bench`."""
    for command in (latency, duplex, load, chaos, compare):
        app.command(command.__name__)(command)


# --- carrying out ---------------------------------------------------------------------------------------------------


class Where(NamedTuple):
    """A server, or the model of one that is started, and the way to it."""

    url: str | None
    transport: str
    key: str | None
    playout_ms: float | None
    seed: int
    model: Path | None
    stands_still: bool = True


def carry_out(
    command: str, job: Job, where: Where, folder: Path | None, options: dict[str, Any], out: Path | None
) -> None:
    """Speak, measure, show, save."""
    from rich.console import Console

    from vivavoce.realtime.server.bench import corpus, report
    from vivavoce.realtime.server.cli import give_up
    from vivavoce.realtime.server.client import TalkFailed
    from vivavoce.realtime.server.serving import Unusable

    if where.transport not in ("ws", "webrtc"):
        refuse(f"--transport is {where.transport!r}, expected ws or webrtc")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    try:
        found = corpus.read_corpus(folder) if folder else corpus.own_corpus(cache_folder())
        told = options | {"corpus": found.name}
        made, takes = asyncio.run(measure(command, job, where, found, told, console))
        report.show(made, console)
        if out is not None:
            report.save(made, takes, out)
            console.print(f"{out / 'report.html'}", markup=False)
    except Unusable as error:
        give_up(error, 2)
    except TalkFailed as error:
        give_up(error, 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        give_up("interrupted", 1)


async def measure(
    command: str, job: Job, where: Where, corpus: Corpus, options: dict[str, Any], console: Console
) -> tuple[dict[str, Any], list[Any]]:
    """The report and the takes."""
    from vivavoce.realtime.server.bench import report, runs

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # a server that was started ends with us
    async with somewhere(where.url, where.model, console) as (there, pid):
        target = runs.Target(
            there, where.transport, where.key, where.playout_ms, seed=where.seed, stands_still=where.stands_still
        )
        body, takes = await job(target, corpus, pid, console)
    name = next((take.model for take in takes if take.model), None)
    server = {"address": target.address, "transport": where.transport, "model": name, "own": bool(pid)}
    return report.headed(command, server, options) | body, takes


@asynccontextmanager
async def somewhere(url: str | None, model: Path | None, console: Console) -> AsyncIterator[tuple[str, int | None]]:
    """The server that was named, or one of our own in a process of its own, and that process."""
    from vivavoce.realtime.server.bench.process import own_server
    from vivavoce.realtime.server.child import THREADS
    from vivavoce.realtime.server.cli import KITTEN, check_checkpoint

    if url is not None:
        yield url, None
        return
    checkpoint = model or KITTEN
    check_checkpoint(checkpoint)
    with console.status(f"loading {checkpoint.name}"):
        server = own_server(checkpoint, THREADS)
        there = await server.__aenter__()
    try:
        yield there
    finally:
        await server.__aexit__(None, None, None)


def cache_folder() -> Path:
    """Where the corpus is kept, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vivavoce" / "bench"


def parsed(texts: list[str]) -> list[Condition]:
    """Conditions, or the end."""
    from vivavoce.realtime.server.bench.metrics import condition

    try:
        return [condition(text) for text in texts]
    except ValueError as error:
        refuse(error)


def whole_numbers(text: str) -> list[int]:
    """`1,2,4`, or the end."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        refuse(f"--sessions is {text!r}, expected numbers from 1 as 1,2,4")
    return numbers


def refuse(why: object) -> NoReturn:
    """One line, and exit code 2."""
    from vivavoce.realtime.server.cli import give_up

    give_up(why, 2)
