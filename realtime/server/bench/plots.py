"""Plots as SVG text. Pure: numbers in, text out; colours are classes of the page around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Json = dict[str, Any]
Point = tuple[float, float]

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 40
ROW = 22


@dataclass(frozen=True)
class Frame:
    """Axes: what of the numbers lies where on the paper."""

    x: Point
    y: Point
    height: int = HEIGHT

    def at(self, x: float, y: float) -> Point:
        """On the paper."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), self.height - BOTTOM - up * (self.height - TOP - BOTTOM)

    def path(self, points: Sequence[Point]) -> str:
        """A line through them."""
        return "M" + "L".join("{:.1f},{:.1f}".format(*self.at(*point)) for point in points)


def nice(largest: float) -> float:
    """The next round number above."""
    size = 1.0
    while size * 10 < largest:
        size *= 10
    return next((size * step for step in (1, 2, 2.5, 5, 10) if size * step >= largest), largest)


def drawing(frame: Frame, inside: Sequence[str], labels: Point | tuple[str, str], y_ticks: bool = True) -> str:
    """An SVG with axes, four steps each."""
    made = [f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img">']
    for step in range(5):
        x = frame.x[0] + (frame.x[1] - frame.x[0]) * step / 4
        px, base = frame.at(x, frame.y[0])
        made.append(f'<line class="grid" x1="{px:.1f}" x2="{px:.1f}" y1="{TOP}" y2="{base:.1f}"/>')
        made.append(f'<text x="{px:.1f}" y="{base + 15:.1f}" text-anchor="middle">{x:g}</text>')
        if y_ticks:
            y = frame.y[0] + (frame.y[1] - frame.y[0]) * step / 4
            _, py = frame.at(frame.x[0], y)
            made.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
            made.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>')
    across, up = labels
    made.append(f'<text x="{WIDTH - RIGHT}" y="{frame.height - 8}" text-anchor="end">{escape(str(across))}</text>')
    made.append(f'<text x="{LEFT}" y="{frame.height - 8}" text-anchor="start">{escape(str(up))}</text>')
    return "".join([*made, *inside, "</svg>"])


def ecdf(series: Mapping[str, Sequence[float]]) -> str:
    """The share of turns that took at most so long, a line a name."""
    top = nice(max((max(values) for values in series.values() if values), default=1))
    frame = Frame((0, top), (0, 1))
    inside = []
    for n, (name, values) in enumerate(series.items()):
        ordered, points = sorted(values), [(0.0, 0.0)]
        for count, value in enumerate(ordered, 1):
            points += [(value, points[-1][1]), (value, count / len(ordered))]
        points.append((top, 1.0))
        inside.append(f'<path class="line s{n}" d="{frame.path(points)}"/>')
        inside.append(legend(n, name))
    return drawing(frame, inside, ("ms", "share of turns"))


def legend(n: int, name: str) -> str:
    """A name in its colour, where lines that rise are not yet."""
    return f'<text class="name s{n}" x="{LEFT + 8}" y="{TOP + 14 + 15 * n}">{escape(name)}</text>'


def over_time(points: Sequence[Point], slope: Json) -> str:
    """Each turn's wait over the minutes of the call, and the straight line through them if there is one."""
    longest = nice(max((x for x, _ in points), default=1))
    frame = Frame((0, longest), (0, nice(max((y for _, y in points), default=1))))
    inside = ['<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>'.format(*frame.at(*point)) for point in points]
    if "value" in slope and points:
        middle_x = sum(x for x, _ in points) / len(points)
        middle_y = sum(y for _, y in points) / len(points)
        ends = [(x, middle_y + slope["value"] * (x - middle_x)) for x in (points[0][0], points[-1][0])]
        inside.append(f'<path class="line s1" d="{frame.path(ends)}"/>')
    return drawing(frame, inside, ("minutes into the call", "ms"))


def bars(falls: dict[str, Json]) -> str:
    """Waterfalls to one scale: name -> part -> ms, drawn one behind the other."""
    names = list(dict.fromkeys(part for fall in falls.values() for part in fall))
    height = TOP + BOTTOM + ROW * len(falls) + 16 * ((len(names) + 3) // 4)
    top = nice(max((sum(fall.values()) for fall in falls.values()), default=1))
    frame = Frame((0, top), (0, 1), height)
    inside = []
    for row, (title, fall) in enumerate(falls.items()):
        at, y = 0.0, TOP + ROW * row
        inside.append(f'<text x="{LEFT - 6}" y="{y + 14}" text-anchor="end">{escape(title)}</text>')
        for name, value in fall.items():
            x, width = frame.at(at, 0)[0], frame.at(value, 0)[0] - LEFT
            told = f"<title>{escape(name)} {value:g} ms</title>"
            where = f'x="{x:.1f}" y="{y}" width="{max(0.0, width):.1f}" height="{ROW - 6}"'
            inside.append(f'<rect class="s{names.index(name)}" {where}>{told}</rect>')
            at += value
    for n, name in enumerate(names):
        x, y = LEFT + 160 * (n % 4), TOP + ROW * len(falls) + 16 * (n // 4) + 10
        inside.append(f'<text class="name s{n}" x="{x}" y="{y}">■ {escape(name)}</text>')
    return drawing(frame, inside, ("ms", ""), y_ticks=False)


def raster(overlaps: Sequence[Json]) -> str:
    """A row for each time that the user spoke into an answer: how long the answer went on, from the user's first sample."""
    height = TOP + BOTTOM + 10 * len(overlaps)
    frame = Frame((0, 2_000), (0, 1), height)
    inside = []
    for row, one in enumerate(overlaps):
        y = TOP + 10 * row + 5
        end = one["stop_ms"] if one["outcome"] == "stopped" else 2_000
        x0, x1 = frame.at(0, 0)[0], frame.at(min(end, 2_000), 0)[0]
        told = f"<title>{escape(one['clip'])}: {escape(one['outcome'])}</title>"
        inside.append(f'<line class="rest {one["kind"]}" x1="{x0:.1f}" x2="{x1:.1f}" y1="{y}" y2="{y}">{told}</line>')
        if one["outcome"] == "stopped":
            inside.append(f'<circle class="dot" cx="{x1:.1f}" cy="{y}" r="3"/>')
    for n, kind in enumerate(("interruption", "backchannel", "noise")):
        inside.append(
            f'<text class="name {kind}" x="{WIDTH - RIGHT - 100 * n}" y="{height - 22}" text-anchor="end">{kind}</text>'
        )
    return drawing(frame, inside, ("ms since the user's first sample", ""), y_ticks=False)


def knee(levels: Sequence[Json], bound: float | None) -> str:
    """Median and 95th percentile over the number of sessions, and the service level."""
    lines: dict[str, list[Point]] = {"p50": [], "p95": []}
    for level in levels:
        v2v = level["metrics"].get("v2v", {})
        for name, points in lines.items():
            if name in v2v:
                points.append((level["sessions"], v2v[name]["value"]))
    drawn = {name: points for name, points in lines.items() if points}
    if not drawn:
        return ""
    most = max(level["sessions"] for level in levels)
    highest = max([y for points in drawn.values() for _, y in points] + ([bound] if bound else []))
    frame = Frame((0, most), (0, nice(highest)))
    inside = []
    for n, (name, points) in enumerate(drawn.items()):
        inside.append(f'<path class="line s{n}" d="{frame.path(points)}"/>' + legend(n, name))
        inside += ['<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>'.format(*frame.at(*p)) for p in points]
    if bound:
        inside.append(f'<path class="line bound" d="{frame.path([(0, bound), (most, bound)])}"/>')
    return drawing(frame, inside, ("sessions at once", "ms"))
