"""`vivavoce train`: make a kitten from nothing. `vivavoce train eval`: find out what it knows."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

SAYINGS, SOUNDS, WRITTEN = 16_000, 5_000, 60_000
"""What `turns` learns from: spoken turns, short sounds, and beginnings and sentences that nobody says."""

if TYPE_CHECKING:
    from vivavoce.model.train.plan import Plan

app = typer.Typer(help="Train the embedded model from nothing, and evaluate it.", invoke_without_command=True)

PLANNED_HOURS = 12.0
"""What the default `Plan` should take on two cores, added up from its stages and never run in one go; budgets scale the steps."""
FURTHER_HOURS = 1.0
"""What `FURTHER` takes on two cores that do nothing else, about: a second a step, and what it practises on."""


@app.callback()
def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Working folder; a stopped run goes on from here.")] = Path(
        "kitten-work"
    ),
    out: Annotated[Path, typer.Option(help="Where the checkpoint goes.")] = Path("kitten"),
    start: Annotated[Path | None, typer.Option(help="Train this checkpoint further, not from nothing.")] = None,
    budget: Annotated[
        str, typer.Option(help="How long, as in 2h or 30m, on two CPU cores; 12h, or 1h with --start.")
    ] = "",
    only: Annotated[str, typer.Option(help="Run these stages alone, comma separated.")] = "",
    threads: Annotated[int, typer.Option(help="Threads of one stage.")] = 2,
    processes: Annotated[
        int,
        typer.Option(
            help="Run the stage talking in so many processes of one thread; any number gives the same losses.", min=0
        ),
    ] = 0,
    languages: Annotated[
        str, typer.Option(help="In which it learns to talk: en, or en,zh for Mandarin as well.")
    ] = "en",
    along: Annotated[str, typer.Option(help="Encoders that learn along in talking: ears, eyes or ears,eyes.")] = "",
    litter: Annotated[int, typer.Option(help="Whose skills, see model/train/README.md.", min=1, max=2)] = 1,
    layers: Annotated[
        int,
        typer.Option(help="Double layers that the backbone grows to before talking; 0 for as many as it has.", min=0),
    ] = 0,
    lagging: Annotated[
        bool,
        typer.Option(help="In talking, practise more of what is farther from the shipped checkpoint's perplexity."),
    ] = False,
    also: Annotated[str, typer.Option(help="Stages after talking, comma separated: dpo, alignment.")] = "",
    seed: Annotated[int, typer.Option(help="Everything random comes from it.")] = 1,
) -> None:
    """Make the corpus, train every part, write a checkpoint directory."""
    if context.invoked_subcommand is not None:
        return
    import torch

    from vivavoce.model.train import curves, further
    from vivavoce.model.train.recipe import MORE, STAGES, Kitchen

    torch.set_num_threads(threads)
    planned = FURTHER_HOURS if start else PLANNED_HOURS
    plan = plan_for(hours(budget) if budget else planned, seed, further=start is not None)
    plan = dataclasses.replace(
        plan, along=senses(along), litter=litter, languages=tongues(languages), layers=layers, lagging=lagging
    )
    if lagging and (processes or along):
        raise typer.BadParameter("--lagging needs talking in one process, without --processes and --along")
    kitchen = Kitchen(folder, plan)
    after = tuple(filter(None, also.split(",")))
    for stage in after:
        if stage not in MORE:
            raise typer.BadParameter(f"unknown stage {stage!r} to run after talking, expected {', '.join(MORE)}")
    if after and along:
        raise typer.BadParameter("stages after talking learn from what was encoded before: no --also with --along")
    stages = (
        *(further.stages(plan.languages, litter) if start else STAGES),
        *(stage for stage in MORE if stage in after),
    )
    if start and not (folder / "writing.pt").exists():
        taken(start, folder, plan.languages, litter)
    chosen = only.split(",") if only else [*stages, "checkpoint"]
    known = dict.fromkeys((*stages, *MORE, "second_voice", "checkpoint"))
    for stage in chosen:
        if stage not in known:
            raise typer.BadParameter(f"unknown stage {stage!r}, expected some of {', '.join(known)}")
    for stage in chosen:
        mark = folder / f"{stage}.done"
        if mark.exists() and not only:
            continue
        started = time.monotonic()
        if stage == "checkpoint":
            kitchen.checkpoint(out)
        elif stage in ("growth", "alignment", "dpo"):
            possible(getattr(kitchen, stage))
        elif stage == "talking" and processes:
            together(folder, plan, processes)
        else:
            getattr(kitchen, stage)()
        mark.write_text(json.dumps({"seconds": round(time.monotonic() - started)}))
        (folder / "curves.html").write_text(curves.page(folder))


@app.command("eval")
def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Checkpoint directory; the embedded model by default.")
    ] = None,
    questions: Annotated[int, typer.Option(help="Questions in each group.")] = 100,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    threads: Annotated[int, typer.Option(help="Threads; for one conversation more are slower.")] = 1,
    litter: Annotated[int, typer.Option(help="Whose skills, see model/train/README.md.", min=1, max=2)] = 1,
    seed: Annotated[int, typer.Option(help="Draws the questions.")] = 1000,
) -> None:
    """Ask held-out questions with held-out voices, and judge the answers and their sound."""
    import torch

    from vivavoce.model.host import Host
    from vivavoce.model.train import card

    torch.set_num_threads(threads)
    directory = checkpoint or embedded()
    figures = card.measure(Host.load(directory), questions, seed, litter)
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    show(figures)


@app.command("hearing")
def hearing(
    folder: Annotated[Path, typer.Argument(help="Working folder whose ears are examined, still learning or not.")],
    questions: Annotated[int, typer.Option(help="Sentences of each language and group of voices.")] = 60,
    languages: Annotated[str, typer.Option(help="en, zh or en,zh.")] = "en,zh",
    stage: Annotated[str, typer.Option(help="ears, or young_ears for those they began as.")] = "ears",
) -> None:
    """Count what the recogniser gets wrong: words in English, characters in Mandarin."""
    import torch

    from vivavoce.model.train import hearing_exam
    from vivavoce.model.train.pantry import Pantry
    from vivavoce.model.train.plan import Plan

    torch.set_num_threads(1)
    pantry = Pantry(folder, Plan(languages=tongues(languages)))
    for language, groups in hearing_exam.table(pantry, questions, stage).items():
        for group, errors in groups.items():
            typer.echo(f"{language}  {group:20} {errors:.1%}")


@app.command("turns")
def turns(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Checkpoint directory; the embedded model by default.")
    ] = None,
    sayings: Annotated[
        int, typer.Option(help="Spoken turns to learn from, with pauses and without.", min=64)
    ] = SAYINGS,
    sounds: Annotated[int, typer.Option(help="Short sounds to learn from.", min=64)] = SOUNDS,
    examined: Annotated[
        int, typer.Option(help="Of each, and of each group of voices, to examine it with.", min=64)
    ] = 300,
    keep: Annotated[bool, typer.Option(help="Put what was learned into the checkpoint.")] = True,
    litter: Annotated[int, typer.Option(help="Whose skills, see model/train/README.md.", min=1, max=2)] = 1,
    seed: Annotated[int, typer.Option(help="Everything random comes from it.")] = 1,
) -> None:
    """Teach a checkpoint to tell a finished turn from a pause to think, and "mhm" from "stop" (about two hours on two cores)."""
    import torch

    from vivavoce.model.aside import Aside
    from vivavoce.model.tokenizer import Tokenizer
    from vivavoce.model.train import asides, endings, judging
    from vivavoce.model.train.listener import gather, vocabulary
    from vivavoce.model.turn_end import TurnEnd

    torch.set_num_threads(1)
    directory = checkpoint or embedded()
    written = endings.written(Tokenizer.load(directory), WRITTEN, seed, litter)
    excerpts = functools.partial(endings.excerpts, litter=litter)
    lessons = ((TurnEnd, excerpts, sayings, written, 3), (Aside, asides.excerpts, sounds, None, 2))
    for kind, recipe, count, text, members in lessons:
        taught = gather(recipe, directory, count, 1000 * seed, held=False, group="seen", title=f"{kind.FILE}: seen")
        net = judging.fit(kind, vocabulary(directory), taught, text, members=members, seed=seed)
        for group in ("unseen variant", "unseen synthesizer"):
            title = f"{kind.FILE}: {group}"
            asked = gather(recipe, directory, examined, 1000 * seed + 999, held=True, group=group, title=title)
            yes = judging.logits(net, asked).softmax(-1)[:, -1] if kind is Aside else judging.logits(net, asked)[:, 0]
            Console().print(title, judging.examine(yes, asked.labels == asked.labels.max()))
        if keep:
            net.save(directory)


@app.command("bench")
def bench(
    processes: Annotated[int, typer.Option(help="Processes of one thread each.", min=1)] = 2,
    size: Annotated[
        str, typer.Option(help="report: encoders cost as much beside the backbone as in the report; or kitten.")
    ] = "report",
    rounds: Annotated[int, typer.Option(help="Steps of each kind that are measured.", min=1)] = 5,
    out: Annotated[Path | None, typer.Option(help="Write the seconds of every step here, as JSON.")] = None,
) -> None:
    """Measure training in writing beside training with sound and pictures, on the same processes in one run."""
    import tempfile

    from vivavoce.model.train.apart import bench, crew

    if size not in bench.SIZES:
        raise typer.BadParameter(f"unknown size {size!r}, expected one of {', '.join(bench.SIZES)}")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "bench.json"
        try:
            crew.run(bench.measure, processes, size, rounds, made)
        except crew.CrewError as error:
            typer.echo(f"vivavoce: {error}", err=True)
            raise typer.Exit(1) from None
        told = json.loads(made.read_text())
    if out is not None:
        out.write_text(json.dumps(told, indent=2) + "\n")
    speeds = bench.speeds(told["seconds"], told["busy"])
    title = f"{size}, {processes} processes; encoders multiply {told['encoders']:.1%} of what the backbone does"
    table = Table("a step", "s", "rows/s", "of those in writing", "computing, s", "of that in writing", title=title)
    for speed in speeds:
        rates = f"{speed.seconds:.3f}", f"{speed.rows_per_s:,.0f}", f"{speed.of_writing:.1%}"
        table.add_row(bench.KINDS[speed.kind], *rates, f"{speed.busy:.3f}", f"{speed.busy_of_writing:.1%}")
    Console().print(table)


def together(folder: Path, plan: Plan, processes: int) -> None:
    """`recipe.talk_together`, or one line and exit code 1."""
    from vivavoce.model.train.apart.crew import CrewError
    from vivavoce.model.train.recipe import talk_together

    try:
        talk_together(folder, plan, processes)
    except CrewError as error:
        typer.echo(f"vivavoce: {error}; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(1) from None


def possible(stage: Callable[[], None]) -> None:
    """Run a stage, or say in one line what is wrong with what it was given, exit code 2."""
    try:
        stage()
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def senses(text: str) -> tuple[str, ...]:
    """ "ears,eyes" to its words. Raises typer.BadParameter."""
    named = tuple(filter(None, text.split(",")))
    for name in named:
        if name not in ("ears", "eyes"):
            raise typer.BadParameter(f"unknown encoder {name!r}, expected ears or eyes")
    return named


def tongues(text: str) -> tuple[str, ...]:
    """ "en,zh" to its languages. Raises typer.BadParameter."""
    from vivavoce.model.train.skills import LANGUAGES

    named = tuple(text.split(","))
    for name in named:
        if name not in LANGUAGES:
            raise typer.BadParameter(f"unknown language {name!r}, expected some of {', '.join(LANGUAGES)}")
    return named


def taken(checkpoint: Path, folder: Path, languages: tuple[str, ...] = ("en",), litter: int = 1) -> None:
    """`further.take`, or one line and exit code 2."""
    from vivavoce.model.train import further

    try:
        further.take(checkpoint, folder, languages, litter)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def embedded() -> Path:
    """Where the packaged checkpoint lies."""
    return Path(__file__).parents[1] / "kitten"


def hours(text: str) -> float:
    """ "90m" or "2h" to hours. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hm])", text)
    if not found:
        raise typer.BadParameter(f"budget {text!r} is not like 2h or 30m")
    return float(found[1]) / (60 if found[2] == "m" else 1)


def plan_for(budget_hours: float, seed: int, *, further: bool = False):  # type: ignore[no-untyped-def]
    """The default plan with steps and amounts scaled to a budget; or that for training a checkpoint further."""
    from vivavoce.model.train.plan import FURTHER, Plan

    whole, planned = (FURTHER, FURTHER_HOURS) if further else (Plan(), PLANNED_HOURS)
    amounts = {
        f.name: getattr(whole, f.name)
        for f in dataclasses.fields(Plan)
        if f.name.endswith(("_steps", "readings", "replies"))
        or f.name in ("dialogues", "recalls", "pictures", "crowded", "views", "changes")
    }
    scaled = {name: max(1, round(n * budget_hours / planned)) for name, n in amounts.items() if n}
    return dataclasses.replace(whole, seed=seed, **scaled)


def show(figures: dict) -> None:  # type: ignore[type-arg]
    """The figures as a table."""
    table = Table("what", "group", "figure", "n")
    for what, groups in figures.items():
        if isinstance(groups, dict):
            for group, value in groups.items():
                figure, n = (
                    (value["figure"], value["n"]) if isinstance(value, dict) and "figure" in value else (value, "")
                )
                if not isinstance(figure, dict):
                    table.add_row(what, group, str(figure), str(n))
    Console().print(table)
