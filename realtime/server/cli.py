"""`vivavoce serve | talk | replay | bench | train | model`: the reader of the command line; the last two have their own.

What the user gave and cannot be used is told in one line, with exit code 2; a conversation that failed has exit code 1.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import numpy as np
import numpy.typing as npt
import typer

from vivavoce.codecs.config import voice_names
from vivavoce.model.cli import app as model_tools
from vivavoce.model.cli import bench_engine
from vivavoce.model.train.cli import app as train
from vivavoce.realtime.config import PatienceConfig, SessionConfig
from vivavoce.realtime.server.bench.cli import add_to as add_bench
from vivavoce.realtime.server.child import THREADS
from vivavoce.realtime.server.ice import LIFETIME_S, Ice

if TYPE_CHECKING:
    from rich.console import Console

    from vivavoce.realtime.server.bench.callers import Level
    from vivavoce.realtime.server.client import Conversation, Frames
    from vivavoce.realtime.server.worker import Worker

KITTEN = Path(__file__).resolve().parents[2] / "model" / "kitten"
"""The embedded model, in a checkout and in the wheel alike."""

ModelOption = Annotated[Path, typer.Option("--model", help="Checkpoint directory.", show_default="the embedded kitten")]

ThreadsOption = Annotated[
    int, typer.Option(help="Threads of the model; more than one pays only for large ones.", min=1)
]

TURN_SECRET = "VIVAVOCE_TURN_SECRET"
"""Where the secret may stand instead of in a file. On the command line every user of the machine could read it."""

SESSION_LIMIT = "VIVAVOCE_SESSION_LIMIT"
LIMIT_S = (SessionConfig.max_session_ms or 0) // 1000
"""Seconds."""

CUT_IN_PRICE_MS = PatienceConfig().cut_in_price_ms

app = typer.Typer(
    help="Vivavoce: a server for spoken conversation. It listens, looks, answers aloud, and can be interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
measured = typer.Typer(invoke_without_command=True)
measured.command("engine")(bench_engine)
add_bench(measured)


@measured.command("pauses")
def bench_pauses(
    model: ModelOption = KITTEN,
    turns: Annotated[int, typer.Option(help="Turns of each group of voices.", min=20)] = 300,
    seed: Annotated[int, typer.Option(help="Draws sentences, voices and pauses.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
) -> None:
    """Measure how long people wait for an answer and how often one cuts in, for prices and for fixed silences."""
    import torch
    from rich.console import Console

    from vivavoce.realtime.server.bench import pauses
    from vivavoce.realtime.server.serving import Unusable

    torch.set_num_threads(1)
    try:
        heard = {group: pauses.hear(model, turns, seed, group) for group in ("unseen variant", "unseen synthesizer")}
    except Unusable as error:
        give_up(error, 2)
    points = {group: pauses.curve(some) for group, some in heard.items()}
    pauses.show(points, Console())
    if out is not None:
        pauses.save(points, out)


@measured.command("rollback")
def bench_rollback(
    model: ModelOption = KITTEN,
    turns: Annotated[int, typer.Option(help="Questions with pauses to think, a wrong guess in each.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="How far each guess gets.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
) -> None:
    """Measure what a wrong guess costs: taking it back, and how much later the true answer's first sound comes."""
    from rich.console import Console

    from vivavoce.realtime.server.bench import rollback
    from vivavoce.realtime.server.bench.cli import cache_folder
    from vivavoce.realtime.server.bench.corpus import own_corpus
    from vivavoce.realtime.server.bench.script import PAUSING
    from vivavoce.realtime.server.child import load_host
    from vivavoce.realtime.server.port import ModelRefused
    from vivavoce.realtime.server.serving import Unusable

    try:
        check_checkpoint(model)
        clips = own_corpus(cache_folder()).of(PAUSING)
        made = rollback.measure(load_host(model, THREADS, paced=False), clips, turns, seed)
    except (Unusable, ModelRefused) as error:
        give_up(error, 2)
    rollback.show(made, Console(highlight=False))
    if out is not None:
        rollback.save(made, out)


@measured.command("asides")
def bench_asides(
    model: ModelOption = KITTEN,
    each: Annotated[int, typer.Option(help="Sounds of each kind and group of voices.", min=20)] = 100,
    seed: Annotated[int, typer.Option(help="Draws sounds and voices.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
) -> None:
    """Measure which short sounds stop an answer, and how soon: "mhm", noise, "stop", and more."""
    import torch
    from rich.console import Console

    from vivavoce.realtime.server.bench import asides
    from vivavoce.realtime.server.serving import Unusable

    torch.set_num_threads(1)
    try:
        rows = {group: asides.hear(model, each, seed, group) for group in ("unseen variant", "unseen synthesizer")}
    except Unusable as error:
        give_up(error, 2)
    asides.show(rows, Console())
    if out is not None:
        asides.save(rows, out)


app.add_typer(measured, name="bench")
app.add_typer(train, name="train")
app.add_typer(model_tools, name="model")


@app.command()
def serve(
    model: ModelOption = KITTEN,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.", min=0, max=65535)] = 8000,
    threads: ThreadsOption = THREADS,
    session_limit: Annotated[
        int, typer.Option(help="Seconds that a conversation may last; 0: any time.", min=0, envvar=SESSION_LIMIT)
    ] = LIMIT_S,
    cut_in_price: Annotated[
        int,
        typer.Option(
            help="How many ms of waiting it is worth not to cut in once; more: patient, less: eager.",
            min=1,
            envvar="VIVAVOCE_CUT_IN_PRICE",
        ),
    ] = CUT_IN_PRICE_MS,
    echo_guard: Annotated[
        int,
        typer.Option(
            help="For so many ms after a session's first sound no voice interrupts: echo cancellers have to learn.",
            min=0,
            envvar="VIVAVOCE_ECHO_GUARD",
        ),
    ] = 0,
    notes: Annotated[
        bool, typer.Option("--notes", help="Tell the model what an interrupted answer had left to say.")
    ] = False,
    turn: Annotated[
        list[str] | None,
        typer.Option(help="turn:HOST:PORT or turns:HOST:PORT; the server uses the first.", envvar="VIVAVOCE_TURN"),
    ] = None,
    turn_secret: Annotated[
        Path | None,
        typer.Option(help=f"File with the secret of the TURN servers; or {TURN_SECRET} holds it.", show_default=False),
    ] = None,
    turn_lifetime: Annotated[
        int, typer.Option(help="Seconds that a TURN credential is good for.", min=1, envvar="VIVAVOCE_TURN_LIFETIME")
    ] = LIFETIME_S,
    stun: Annotated[
        list[str] | None, typer.Option(help="stun:HOST:PORT; none is asked unless given.", envvar="VIVAVOCE_STUN")
    ] = None,
    relay_only: Annotated[
        bool, typer.Option("--relay-only", help="All calls through the TURN server.", envvar="VIVAVOCE_RELAY_ONLY")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Folder for recordings of sessions whose clients consent.", envvar="VIVAVOCE_RECORD"),
    ] = None,
) -> None:
    """Start the server, load the model, print the address of the page."""
    from vivavoce.realtime.server import app as doors
    from vivavoce.realtime.server.port import ModelRefused
    from vivavoce.realtime.server.serving import Unusable, address, bind
    from vivavoce.realtime.server.serving import serve as keep_serving
    from vivavoce.realtime.server.tracing import configure

    configure(os.environ)
    try:
        check_checkpoint(model)
        check_folder(record)
        ice = make_ice(stun or [], turn or [], turn_secret, turn_lifetime, relay_only)
        listener = bind(host, port)
        worker = make_worker(model, threads)
        config = session_config(model, session_limit, record, cut_in_price)
        config = replace(config, overlap=replace(config.overlap, echo_guard_ms=echo_guard), notes=notes)
        page = doors.create_app(worker, config, ice)
        typer.echo(f"loading {model.name} ... (the first time it is compiled for this processor, which takes a minute)")
        asyncio.run(keep_serving(page, worker, listener, lambda: typer.echo(f"Vivavoce: http://{address(listener)}")))
    except (Unusable, ModelRefused) as error:
        give_up(error, 2)
    except KeyboardInterrupt:
        typer.echo("bye")


@app.command()
def talk(
    question: Annotated[Path, typer.Argument(help="A sound file with a spoken question.")],
    out: Annotated[Path, typer.Option(help="Where the spoken reply is saved.")],
    image: Annotated[Path | None, typer.Option(help="What the camera shows: a picture.")] = None,
    video: Annotated[Path | None, typer.Option(help="What the camera shows: a video.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A running server, as ws://HOST:PORT. Without it, one is started.")
    ] = None,
    model: ModelOption = KITTEN,
    threads: ThreadsOption = THREADS,
) -> None:
    """Ask a question aloud, in real time, and save the reply. Prints both transcripts and the timings."""
    from rich.console import Console

    from vivavoce.realtime.server import talk as files
    from vivavoce.realtime.server.client import TalkFailed
    from vivavoce.realtime.server.port import ModelRefused
    from vivavoce.realtime.server.serving import Unusable

    if image is not None and video is not None:
        give_up("--image and --video exclude each other", 2)
    try:
        pcm = files.read_question(question)
        frames = files.still(image) if image else files.moving(video) if video else None
        console = Console(highlight=False)
        conversation = asyncio.run(talk_somewhere(url, model, threads, pcm, frames, console))
        files.save(conversation, out)
        files.show(conversation, console)
    except (Unusable, ModelRefused) as error:
        give_up(error, 2)
    except TalkFailed as error:
        give_up(error, 1)
    except KeyboardInterrupt:
        give_up("interrupted", 1)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="A file that `vivavoce serve --record` wrote.")],
    model: ModelOption = KITTEN,
    threads: Annotated[
        int | None, typer.Option(help="Threads of one operation; as many as then if not given.", min=1)
    ] = None,
) -> None:
    """Run a recorded conversation again, faster than it was: the same actions and the same speech, or where they differ."""
    from vivavoce.realtime.recording import Unreadable
    from vivavoce.realtime.server import rerun
    from vivavoce.realtime.server.child import load_host
    from vivavoce.realtime.server.port import ModelRefused
    from vivavoce.realtime.server.serving import Unusable

    try:
        check_checkpoint(model)
        recorded = rerun.load(recording)
        many = threads or recorded.arithmetic.get("threads", THREADS)
        outcome = rerun.replay(recorded, partial(load_host, model, many, paced=False))
    except (Unreadable, Unusable, ModelRefused) as error:
        give_up(error, 2)
    for line in rerun.told(outcome):
        typer.echo(line)
    if outcome.difference is not None:
        raise typer.Exit(1)


@measured.callback()
def bench(
    context: typer.Context,
    question: Annotated[Path | None, typer.Option(help="A spoken question; without it, espeak-ng asks one.")] = None,
    callers: Annotated[
        list[int] | None, typer.Option(help="Conversations at once; 1, 2, 4, 8, 16 and 24 if not given.", min=1)
    ] = None,
    turns: Annotated[int, typer.Option(help="Questions of each caller.", min=1)] = 3,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A running server, as ws://HOST:PORT. Without it, one is started.")
    ] = None,
    model: ModelOption = KITTEN,
    threads: ThreadsOption = THREADS,
) -> None:
    """Measure conversations held at once: the time to the first sound, and whether the sound keeps up."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from vivavoce.realtime.server.bench import callers as measuring
    from vivavoce.realtime.server.client import TalkFailed
    from vivavoce.realtime.server.port import ModelRefused
    from vivavoce.realtime.server.serving import Unusable

    try:
        pcm = measuring.spoken_question(question)
        console = Console(highlight=False)
        levels = asyncio.run(bench_somewhere(url, model, threads, pcm, callers or measuring.CALLERS, turns, console))
        console.print(measuring.table(levels))
        if out is not None:
            measuring.save_report(levels, turns, out)
    except (Unusable, ModelRefused) as error:
        give_up(error, 2)
    except TalkFailed as error:
        give_up(error, 1)
    except KeyboardInterrupt:
        give_up("interrupted", 1)


@measured.command("wire")
def bench_wire(
    seconds: Annotated[float, typer.Option(help="How long the network is bad.", min=1)] = 60.0,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
) -> None:
    """Measure what the wire alone costs, with a model that costs nothing, beside aiortc's own path."""
    from rich.console import Console

    from vivavoce.realtime.server.bench import wire
    from vivavoce.realtime.server.serving import Unusable
    from vivavoce.realtime.server.webrtc import NoAddress

    console = Console(highlight=False)
    try:
        rows, costs = wire.run(seconds, console)
        wire.show(rows, costs, console)
        if out is not None:
            wire.save(rows, costs, out)
    except (Unusable, NoAddress) as error:
        give_up(error, 2)
    except KeyboardInterrupt:
        give_up("interrupted", 1)


async def talk_somewhere(
    url: str | None,
    model: Path,
    threads: int,
    pcm: npt.NDArray[np.float32],
    frames: Frames | None,
    console: Console,
) -> Conversation:
    """One question and its answer."""
    from vivavoce.realtime.server.talk import talk as converse

    async with somewhere(url, model, threads, console) as there:
        return await converse(there, pcm, frames, console)


async def bench_somewhere(
    url: str | None,
    model: Path,
    threads: int,
    pcm: npt.NDArray[np.float32],
    callers: Sequence[int],
    turns: int,
    console: Console,
) -> list[Level]:
    """Every measurement; a server of our own runs beside the callers, in processes of its own."""
    from vivavoce.realtime.server.bench.callers import bench as measure
    from vivavoce.realtime.server.bench.process import own_server

    if url is not None:
        return await measure(url, pcm, callers, turns, console)
    check_checkpoint(model)
    async with own_server(model, threads) as (there, process):
        return await measure(there, pcm, callers, turns, console, process)


@asynccontextmanager
async def somewhere(url: str | None, model: Path, threads: int, console: Console) -> AsyncIterator[str]:
    """The address of the server that was named, or of one of our own on a free port, as long as the block lasts."""
    from vivavoce.realtime.server import app as doors
    from vivavoce.realtime.server.serving import address, bind, running

    if url is not None:
        yield url
        return
    check_checkpoint(model)
    worker = make_worker(model, threads)
    listener = bind("127.0.0.1", 0)
    async with running(doors.create_app(worker, session_config(model)), listener):
        with console.status(f"loading {model.name}"):
            await worker.until_ready()
        yield f"ws://{address(listener)}"


def make_worker(checkpoint: Path, threads: int = THREADS) -> Worker:
    """The process for a checkpoint, not yet started."""
    from vivavoce.realtime.server.child import load_host
    from vivavoce.realtime.server.worker import Worker

    return Worker(partial(load_host, checkpoint, threads))


def session_config(
    checkpoint: Path, limit_s: int = LIMIT_S, record: Path | None = None, cut_in_price_ms: int = CUT_IN_PRICE_MS
) -> SessionConfig:
    """Sessions are told the checkpoint's name, and end after `limit_s`, or (0) when the client has had enough."""
    return SessionConfig(
        model=checkpoint.resolve().name,
        voices=voices_of(checkpoint),
        max_session_ms=limit_s * 1000 or None,
        record_to=None if record is None else str(record),
        patience=PatienceConfig(cut_in_price_ms=cut_in_price_ms),
    )


def voices_of(checkpoint: Path) -> tuple[str, ...]:
    """Those of a checkpoint; what is wrong with them, loading tells."""
    try:
        return voice_names(checkpoint / "audio_codec")
    except (OSError, ValueError):
        return SessionConfig().voices


def make_ice(
    stun: Sequence[str], turn: Sequence[str], secret_file: Path | None, lifetime_s: int, relay_only: bool
) -> Ice:
    """How calls find their way.

    Raises:
        Unusable: a file that cannot be read, an address that is none, a TURN server without its secret.
    """
    from vivavoce.realtime.server.serving import Unusable

    try:
        secret = secret_file.read_text() if secret_file is not None else os.environ.get(TURN_SECRET, "")
        return Ice(tuple(stun), tuple(turn), secret.strip(), lifetime_s, relay_only)
    except OSError as error:
        raise Unusable(f"the TURN secret cannot be read: {error}") from None
    except ValueError as error:
        raise Unusable(error) from None


def check_checkpoint(directory: Path) -> None:
    """The obvious at once; everything else is found by loading.

    Raises:
        Unusable: no such directory.
    """
    from vivavoce.realtime.server.serving import Unusable

    if not directory.is_dir():
        raise Unusable(f"there is no checkpoint directory {directory}")


def check_folder(folder: Path | None) -> None:
    """Make a folder for recordings.

    Raises:
        Unusable: it cannot be made or written to.
    """
    from vivavoce.realtime.server.serving import Unusable

    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"recordings cannot be kept in {folder}: {error}") from None
    if not os.access(folder, os.W_OK):
        raise Unusable(f"recordings cannot be kept in {folder}: it cannot be written to")


def give_up(why: object, code: int) -> NoReturn:
    """One line on standard error, and an exit code."""
    print(f"vivavoce: {' '.join(str(why).split())}", file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
