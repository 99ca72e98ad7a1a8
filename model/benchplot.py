"""The engine's figures as a picture: how a step of decoding grows with the past, and how far it is from what the memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from vivavoce.model.bench import Figure, Machine

__all__ = ["drawing"]

WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 660, 60, 370
"""Where the axes are."""
COLOURS = ("#4477aa", "#228833", "#ee6677", "#aa3377", "#997700", "#66ccee")
"""One for each number of conversations; Paul Tol's, which the colour-blind can tell apart."""


class _Axis:
    """Numbers to places, by their logarithm."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = floor(log10(min(values))), ceil(log10(max(values)) + 1e-9)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def drawing(model: str, there: Machine, figures: Sequence[Figure]) -> str:
    """An SVG: milliseconds a step over positions, a line for each number of conversations; dashed, what the memory would take."""
    steps = [f for f in figures if f.what == "decode text"]
    theirs = [f for f in figures if f.what == "transformers text"]
    limits = {id(f): f.ms * f.of_limit for f in steps if f.of_limit}
    x = _Axis([f.context for f in steps], LEFT, RIGHT)
    y = _Axis([*(f.ms for f in [*steps, *theirs]), *limits.values()], BOTTOM, TOP)
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui,sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 22, f"{model}: a step of decoding, ms", size=15),
        _text(LEFT, 42, f"{there.device}, {there.bytes_per_s / 1e9:.1f} GB/s copied, {there.operations_per_s / 1e9:.0f} GFLOP/s"),
        *(_text(LEFT - 8, y(ms) + 4, f"{ms:g}", "end") + _line(LEFT, y(ms), RIGHT, y(ms), "#ddd") for ms in y.decades),
        *(_text(x(context), BOTTOM + 18, f"{context:,}", "middle") for context in sorted({f.context for f in steps})),
        _text((LEFT + RIGHT) / 2, BOTTOM + 40, "positions of each conversation", "middle"),
    ]  # fmt: skip
    for index, batch in enumerate(sorted({f.batch for f in steps})):
        colour = COLOURS[index % len(COLOURS)]
        mine = sorted((f for f in steps if f.batch == batch), key=lambda f: f.context)
        made.append(_path([(x(f.context), y(f.ms)) for f in mine], colour))
        made.append(_path([(x(f.context), y(limits[id(f)])) for f in mine if id(f) in limits], colour, dashed=True))
        made += [_dot(x(f.context), y(f.ms), colour) for f in mine]
        made += [_dot(x(f.context), y(f.ms), "#fff", colour) for f in theirs if f.batch == batch]
        made.append(_text(RIGHT + 16, TOP + 18 * index, f"{batch} at once", colour=colour))
    lines = ("dashed: reading weights", "and past once", "rings: transformers")
    made += [_text(RIGHT + 16, TOP + 130 + 18 * index, line) for index, line in enumerate(lines)]
    return "\n".join([*made, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = "#222", size: int = 12) -> str:
    style = f'text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'


def _path(points: Sequence[tuple[float, float]], colour: str, dashed: bool = False) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def _dot(x: float, y: float, fill: str, stroke: str = "none") -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{stroke}" stroke-width="2"/>'
