"""`vivavoce model`: what a checkpoint is, what it needs, and random ones to try it with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from vivavoce.model.examine import Release
    from vivavoce.model.sizes import Sizes

app = typer.Typer(help="Inspect a checkpoint, or make a random one.", no_args_is_help=True)

UNUSABLE = 2
"""Exit code for a directory that is no usable checkpoint."""
BYTES = {"fp32": 4, "bf16": 2, "fp8": 1}
FFN_EXPERTS = (0, 8, 12)
"""Activated parameters are shown for so many FFN experts a layer, as far as the router chooses that many."""


@app.command()
def inspect(
    directory: Annotated[Path, typer.Argument(help="Checkpoint directory in the release's layout.")],
    dtype: Annotated[str, typer.Option(help="Memory is counted for weights and cache in fp32, bf16 or fp8.")] = "bf16",
    devices: Annotated[int, typer.Option(help="Devices that share the weights.", min=1)] = 1,
    sessions: Annotated[int, typer.Option(help="Conversations at once.", min=1)] = 1,
    context: Annotated[int, typer.Option(help="Tokens of each; 0 for all the model takes.", min=0)] = 0,
    memory: Annotated[float, typer.Option(help="GB of each device; 0 for what is free here.", min=0)] = 0,
) -> None:
    """Parameters, activated parameters, cache and memory of a checkpoint; what is wrong with it; what would not fit."""
    if dtype not in BYTES:
        raise typer.BadParameter(f"unknown type {dtype!r}, expected one of {', '.join(BYTES)}")
    from vivavoce.model.companions import read_companions
    from vivavoce.model.examine import CheckpointError, examine
    from vivavoce.model.sizes import Sizes
    from vivavoce.model.weights import packed

    try:
        release = examine(directory)
    except CheckpointError as error:
        typer.echo(f"vivavoce: {error}", err=True)
        raise typer.Exit(UNUSABLE) from None
    problems = list(release.problems)
    read_companions(directory, release.omni.config, problems)
    sizes = Sizes.of(release.omni)
    context = context or sizes.config.max_position_embeddings
    Console().print(table(release, sizes, problems, BYTES[dtype], dtype))
    needed = sizes.memory_per_device(devices, sessions, context, BYTES[dtype])
    if on_cpu := BYTES[dtype] == 4 and devices == 1 and not problems:
        needed += (again := packed(release))
    there = round(memory * 1e9) or here()
    verdict = "fits" if needed <= there else f"does not fit: {gb(needed - there)} too much"
    typer.echo(
        f"{sessions} x {context:,} tokens on {devices} device(s) in {dtype}: {gb(needed)} a device of {gb(there)}; {verdict}"
    )
    if on_cpu:
        typer.echo(
            f"{gb(again)} of that are the weights once more, as a CPU's compiled step packs them; a GPU does without"
        )
    if problems:
        typer.echo(f"vivavoce: {CheckpointError(directory, problems)}", err=True)
        raise typer.Exit(UNUSABLE)


def bench_engine(
    model: Annotated[
        str,
        typer.Argument(
            help="Checkpoint directory, or tiny, kitten-128K or 100M for random weights; the embedded kitten by default."
        ),
    ] = "",
    batch: Annotated[
        list[int] | None, typer.Option(help="Conversations at once; 1, 4, 16 and 64 if not given.", min=1)
    ] = None,
    context: Annotated[
        list[int] | None, typer.Option(help="Positions of each; 1024, 8192, 32768 and 131072 if not given.", min=1)
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="Where to save the numbers as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw them, as SVG.")] = None,
) -> None:
    """Measure the engine alone: decoding and prefill, beside the machine's limits and transformers with the same weights."""
    import torch

    from vivavoce.model import bench
    from vivavoce.model.benchplot import drawing
    from vivavoce.model.examine import CheckpointError
    from vivavoce.model.sizes import Sizes
    from vivavoce.model.weights import load_omni

    torch.set_num_threads(threads)
    root = Path(model) if model else Path(__file__).with_name("kitten")
    try:
        omni = bench.random_omni(bench.RANDOM[model]) if model in bench.RANDOM else load_omni(root)
    except CheckpointError as error:
        typer.echo(f"vivavoce: {error}", err=True)
        raise typer.Exit(UNUSABLE) from None
    there, figures = bench.machine(omni.device, omni.dtype), []
    work = bench.jobs(omni, there, batch or bench.BATCHES, context or bench.CONTEXTS)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(work))
        for job in work:
            bar.update(task, description=str(job))
            figures.append(job.run())
            bar.advance(task)
    Console(highlight=False).print(bench.table(there, figures))
    if out is not None:
        out.write_text(json.dumps(bench.report(model or "kitten", Sizes.of(omni), there, figures), indent=2) + "\n")
    if plot is not None:
        plot.write_text(drawing(model or "kitten", there, figures))


def table(release: Release, sizes: Sizes, problems: list[str], width: int, dtype: str) -> Table:
    """All that is to be told about a checkpoint."""
    made = Table("what", "how much", title=str(release.root))
    for part, parameters in sizes.parts.items():
        made.add_row(part, f"{parameters / 1e6:,.2f} M parameters, {gb(parameters * width)} in {dtype}")
    made.add_row("together", f"{sizes.total / 1e6:,.2f} M parameters, {gb(sizes.total * width)} in {dtype}")
    for experts in sorted({min(n, sizes.config.moe_topk) for n in FFN_EXPERTS}):
        made.add_row(f"activated with {experts} FFN experts", f"{sizes.activated(experts) / 1e6:,.2f} M parameters")
    made.add_row("cache of a token", f"{sizes.cache_bytes(width):,} bytes in {dtype}")
    if of_mtp := sizes.mtp_cache_bytes(width):
        made.add_row("... and in the next-token-prediction head", f"{of_mtp:,} bytes")
    if release.shapes_only:
        made.add_row("weights", f"none: {release.shapes_only} holds shapes only")
    for problem in problems:
        made.add_row("[red]problem[/red]", problem)
    return made


@app.command("make-release")
def make_release(
    directory: Annotated[Path, typer.Argument(help="Where it goes; made if it is not there.")],
    size: Annotated[str, typer.Option(help="tiny, kitten, or full (names and shapes only).")] = "tiny",
    seed: Annotated[int, typer.Option(help="Of the random weights.")] = 0,
) -> None:
    """Write a checkpoint with random weights in the release's layout."""
    from vivavoce.model.train import release

    try:
        release.make_release(size, directory, seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def here() -> int:
    """Bytes free on this machine: of its GPU, if it has one, or of its memory."""
    import torch

    from vivavoce.model.sizes import available_bytes

    return available_bytes(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def gb(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:,.2f} GB"
