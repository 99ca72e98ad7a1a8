"""Reports beside each other, and what got worse. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from vivavoce.realtime.server.bench.metrics import TITLES, Condition, number

Json = dict[str, Any]

WORST = "worst"
FIELDS = ("p50", "p95", WORST)


class NotComparable(ValueError):
    """A condition speaks of what one of the reports does not have."""


def regressions(before: Json, after: Json, conditions: Sequence[Condition]) -> list[str]:
    """What is as a condition says it must not be, a line each.

    Raises:
        NotComparable: something was not measured. A gate that cannot be judged has not been passed.
    """
    found = []
    for one in conditions:
        old, new = number(metrics_of(before), one.metric), number(metrics_of(after), one.metric)
        if old is None or new is None:
            which = "first" if old is None else "second"
            raise NotComparable(f"{one.metric} is not in the {which} report, or was measured of too few for it")
        if one.holds(new, old):
            change = f" ({(new - old) / old:+.1%})" if old else ""
            found.append(f"{one.metric}: {old:g} became {new:g}{change}, which is {one.text}")
    return found


def metrics_of(report: Json) -> Json:
    """The figures of a report; of one with levels those of the last."""
    if "levels" not in report:
        return dict(report["metrics"])
    return dict(report["levels"][-1]["metrics"]) if report["levels"] else {}


def table(reports: Sequence[Json], names: Sequence[str]) -> Table:
    """Side by side: of each metric the median, the 95th percentile and the worst, or its one value."""
    drawn = Table("", "", *names)
    figures = [metrics_of(report) for report in reports]
    for name, label in TITLES.items():
        if not any(name in found for found in figures):
            continue
        fields = [""] if any("value" in found.get(name, {}) for found in figures) else FIELDS
        for field in fields:
            cells = [cell(found.get(name, {}), field) for found in figures]
            drawn.add_row(label if field in ("", FIELDS[0]) else "", field, *cells)
    return drawn


def cell(metric: Json, field: str) -> str:
    """A figure, and how sure it is."""
    if not metric:
        return ""
    value = metric.get(metric.get("worst", "max") if field == WORST else field or "value")
    if isinstance(value, dict):
        return f"{short(value['value'])} [{short(value['low'])}..{short(value['high'])}]"
    if value is None:
        return f"- (n {metric['n']})"
    if metric["unit"] == "share":
        return f"{value:.1%} of {metric['n']}"
    return short(value)


def short(value: float) -> str:
    """As many digits as anybody reads."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
