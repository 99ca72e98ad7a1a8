"""A report: everything measured as JSON with a version, a line a turn, the tape, and a table for a person.

Schema 1: `bench_schema`, `command`, `server`, `machine`, `options`, `metrics` (see `metrics.TITLES`), `waterfall`, `turns`, and for
`load` and `chaos` `levels`, each with a `name`, `metrics` and what was asked of them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import soundfile  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from vivavoce.realtime.server.bench.figures import turns
from vivavoce.realtime.server.bench.metrics import TITLES, figures, waterfalls
from vivavoce.realtime.server.bench.page import page
from vivavoce.realtime.server.bench.sound import RATE_HZ, ms
from vivavoce.realtime.server.bench.take import Take
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.talk import one_line

Json = dict[str, Any]

SCHEMA = 1
PACKAGES = ("vivavoce", "aiortc", "websockets", "numpy", "torch")
COLUMNS = ("p50", "p90", "p95", "p99")
SURE = ("p50", "p95")
"""On a terminal there is room for the intervals of these."""


def measured(takes: Sequence[Take]) -> Json:
    """`turns`, `metrics` and `waterfall` of conversations held under the same conditions."""
    rows: list[Json] = []
    for number, take in enumerate(takes):
        rows += [row | {"session": number} for row in turns(take)]
    metrics = figures(rows, [late for take in takes for late in take.late_ms]) if rows else {}
    return {"metrics": metrics, "waterfall": waterfalls(rows), "turns": rows}


def headed(command: str, server: Json, options: Json) -> Json:
    """What every report says of itself."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    head = {"bench_schema": SCHEMA, "command": command, "at": when}
    return head | {"server": server, "machine": machine(), "options": options}


def machine() -> Json:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores,
        "load": [round(one, 2) for one in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
        "commit": commit(),
    }


def processor() -> str:
    """Its name, where /proc knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def installed(package: str) -> str | None:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Of the checkout that this file is from, if it is from one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return made.stdout.strip()


# --- files ----------------------------------------------------------------------------------------------------------


def save(report: Json, takes: Sequence[Take], folder: Path) -> None:
    """`report.json`, `report.html`, `turns.jsonl`, and of each conversation `conversation-N.wav` and `events-N.jsonl`.

    Raises:
        Unusable: there is no room for it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        (folder / "report.html").write_text(page(report))
        rows = [row for part in report.get("levels", [report]) for row in part.get("turns", [])]
        (folder / "turns.jsonl").write_text(lines(rows))
        for number, take in enumerate(take for take in takes if len(take.microphone)):
            soundfile.write(folder / f"conversation-{number}.wav", take.stereo, RATE_HZ, subtype="PCM_16")
            told = ({"at_ms": ms(one.at), **one.event} for one in take.told)
            (folder / f"events-{number}.jsonl").write_text(lines(told))
    except (OSError, soundfile.LibsndfileError) as error:
        raise Unusable(f"{folder} cannot be written: {one_line(error)}") from None


def lines(rows: Iterable[Json]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def load_report(path: Path) -> Json:
    """A saved one, or the folder it is in.

    Raises:
        Unusable: it is none, or of a schema that is not known here.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        report = json.loads(file.read_text())
        schema = report["bench_schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{file} is no report of a bench: {one_line(error)}") from None
    if schema != SCHEMA:
        raise Unusable(f"{file} has bench_schema {schema}, expected {SCHEMA}")
    return dict(report)


# --- for a person -----------------------------------------------------------------------------------------------------


def show(report: Json, console: Console) -> None:
    """All of it on a terminal."""
    for level in report.get("levels", [report]):
        console.print(table(level["metrics"], level.get("name", report["command"])))
        for problem in level.get("problems", ()):
            console.print(f"  {problem}", markup=False)
    for name, fall in report.get("waterfall", {}).items():
        parts = " + ".join(f"{part} {value:g}" for part, value in fall["parts_ms"].items())
        console.print(f"{name} turn: {fall['v2v_ms']:g} ms = {parts}", markup=False)
    if "knee" in report:
        console.print(f"{report['knee'] or 'not one'} at once within {report['options']['slo']}", markup=False)
    about = report["machine"]
    server = report["server"]
    console.print(
        f"{server['address']} ({server['model'] or 'model unknown'}, {server['transport']}) · "
        f"{about['processor']}, {about['cores']} cores, load {about['load'][0]} · python {about['python']}",
        markup=False,
        style="dim",
    )


def table(metrics: Json, title: str) -> Table:
    """A row a metric. A percentile that is not there was of too few."""
    columns = [Column(q, overflow="fold") for q in COLUMNS]
    drawn = Table(Column("", no_wrap=True), "n", *columns, "worst", title=title)
    for name, label in TITLES.items():
        if name in metrics:
            drawn.add_row(Text(label), *cells(metrics[name]))
    return drawn


def cells(metric: Json) -> list[str]:
    """n, and the figures with their 95 % interval."""
    n = str(metric["n"])
    if not metric["n"]:
        return [n, *[""] * 5]
    unit = metric["unit"]
    if unit == "share":
        sure = f" [{metric['low']:.0%}..{metric['high']:.0%}]" if "low" in metric else ""
        return [n, f"{metric['value']:.1%}{sure}", "", "", "", ""]
    if unit == "ms/min" and "value" in metric:
        return [n, f"{metric['value']:+.1f} {unit} [{metric['low']:+.1f}..{metric['high']:+.1f}]", "", "", "", ""]
    if "value" in metric:
        return [n, f"{metric['value']:g}", "", "", "", ""]
    few = [sure_of(metric[q], q in SURE) for q in COLUMNS if q in metric]
    return [n, *(few or ["-"] * len(COLUMNS)), f"{metric[metric.get('worst', 'max')]:.0f}" if "max" in metric else ""]


def sure_of(percentile: Json, wide: bool) -> str:
    """Its value, and with `wide` its interval."""
    sure = f" [{percentile['low']:.0f}..{percentile['high']:.0f}]" if wide else ""
    return f"{percentile['value']:.0f}{sure}"
