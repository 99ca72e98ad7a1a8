"""What every stage of a working folder has logged, as curves on one page that needs nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 260, 56, 590, 12, 228
"""Of a drawing, and where its axes are."""
POINTS = 240
"""Of a curve; each is the mean of the steps that it stands for."""
COLOURS = ("#4477aa", "#ee6677", "#228833", "#997700", "#aa3377", "#66ccee", "#777777", "#ddaa33")
"""Paul Tol's, which the colour-blind can tell apart. The loss has the first."""
UNDRAWN = ("step", "s", "norm", "epoch")
STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color:#222;background:#fff}"
    "svg{width:100%;height:auto}h2{margin:2rem 0 0}p{margin:.2rem 0;color:#555}"
)


def page(folder: Path) -> str:
    """HTML with a drawing of every `<stage>.jsonl` in the folder, the oldest first."""
    logs = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    stages = [section(path.stem, read(path)) for path in logs if path.stat().st_size]
    title = f"{escape(folder.name)}: what was learned when"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return "\n".join([head, f"<h1>{title}</h1>", *stages, "</html>"]) + "\n"


def read(path: Path) -> list[dict[str, float]]:
    """The last word on every step, in order: a stopped run takes the steps after its last checkpoint again."""
    lines = path.read_text().splitlines()
    found = {}
    for line in lines:
        try:
            figures = json.loads(line)
        except ValueError:  # half a line, of a run that was killed
            continue
        found[int(figures["step"])] = figures
    return [found[step] for step in sorted(found)]


def section(name: str, steps: Sequence[Mapping[str, float]]) -> str:
    """A stage: its name, what it took, and its curves."""
    hours = sum(figures.get("s", 0.0) for figures in steps) / 3600
    names = [name for figures in steps for name in figures if name not in UNDRAWN]
    curves = {name: curve(steps, name) for name in ("loss", *dict.fromkeys(names))}
    last = curves["loss"][-1][1]
    words = f"{len(steps):,} steps, {hours:.2f} hours, loss {last:.3f} at the end"
    return f"<h2>{escape(name)}</h2>\n<p>{words}</p>\n{drawing(curves)}"


def curve(steps: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """(step, mean) of consecutive steps that have the figure, at most `POINTS` of them; what is no number is left out."""
    there = [(f["step"], f[name]) for f in steps if name in f and math.isfinite(f[name])]
    size = max(1, -(-len(there) // POINTS))
    groups = [there[i : i + size] for i in range(0, len(there), size)]
    return [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups] or [(0.0, 0.0)]


def drawing(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """An SVG of curves over steps, from zero to the highest but for the first tenth of each."""
    last = max(step for points in curves.values() for step, _ in points) or 1.0
    high = max(value for points in curves.values() for _, value in points[len(points) // 10 :]) or 1.0
    low = min(0.0, *(value for points in curves.values() for _, value in points))

    def place(step: float, value: float) -> str:
        x = LEFT + (RIGHT - LEFT) * step / last
        y = BOTTOM - (BOTTOM - TOP) * (min(value, high) - low) / (high - low or 1.0)
        return f"{x:.1f},{y:.1f}"

    made = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="12" fill="#555">']
    for i in range(5):
        y, value = BOTTOM - (BOTTOM - TOP) * i / 4, low + (high - low) * i / 4
        made.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>')
        made.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        x = LEFT + (RIGHT - LEFT) * i / 4
        made.append(f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{last * i / 4:,.0f}</text>')
    for i, (name, points) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(place(*point) for point in points)
        made.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{1 + (i == 0)}"/>')
        made.append(f'<text x="{RIGHT + 12}" y="{TOP + 12 + 17 * i}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*made, "</svg>"])
