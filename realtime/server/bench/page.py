"""A report as one HTML file, which needs nothing else: no script, no network, no font."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from vivavoce.realtime.server.bench import plots
from vivavoce.realtime.server.bench.metrics import TITLES, condition

Json = dict[str, Any]

STYLE = """
:root{color-scheme:light dark;--ink:#222;--paper:#fff;--grid:#ddd}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#16181b;--grid:#333}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:46rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{text-align:right;padding:.15rem .5rem;border-bottom:1px solid var(--grid)}td:first-child,th:first-child{text-align:left}
small{color:color-mix(in srgb,var(--ink) 60%,transparent)}svg{width:100%;height:auto;font:11px system-ui,sans-serif}
svg text{fill:var(--ink)}.grid{stroke:var(--grid)}.line{fill:none;stroke-width:2}.dot{fill:#4477aa;fill-opacity:.7}
.bound{stroke:#cc3311;stroke-dasharray:6 4}.rest{stroke-width:5}
path.s0{stroke:#4477aa}path.s1{stroke:#ee6677}path.s2{stroke:#228833}path.s3{stroke:#aa3377}
rect.s0,svg text.s0{fill:#4477aa}rect.s1,svg text.s1{fill:#ee6677}rect.s2,svg text.s2{fill:#228833}rect.s3,svg text.s3{fill:#aa3377}
rect.s4,svg text.s4{fill:#ccbb44}rect.s5,svg text.s5{fill:#66ccee}rect.s6,svg text.s6{fill:#997700}
line.interruption{stroke:#4477aa}line.backchannel{stroke:#ccbb44}line.noise{stroke:#999}
svg text.interruption{fill:#4477aa}svg text.backchannel{fill:#997700}svg text.noise{fill:#888}
"""


def page(report: Json) -> str:
    """All of it as HTML."""
    server, about = report["server"], report["machine"]
    title = f"vivavoce bench {report['command']}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(server['address'])}, {escape(str(server['model']))}, "]
    parts.append(
        f"{escape(server['transport'])}; {escape(about['processor'])}, {about['cores']} cores; {report['at']}</p>"
    )
    parts += level_plots(report)
    for level in report.get("levels", [report]):
        parts += level_page(level, str(level.get("name", "")))
    said = escape(json.dumps({"options": report["options"], "machine": about}, indent=1))
    parts.append(f"<h2>How it was measured</h2><pre>{said}</pre>")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><meta name="viewport" content="width=device-width">'
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def level_plots(report: Json) -> list[str]:
    """Of several levels together."""
    levels = report.get("levels", [])
    if not levels:
        return []
    if "knee" not in report:
        return [figure("Voice to voice", plots.ecdf({level["name"]: waits(level) for level in levels if waits(level)}))]
    slo = condition(report["options"]["slo"])
    drawn = plots.knee(levels, slo.bound if slo.metric.startswith("v2v.") else None)
    return [figure(f"Sessions at once; within {report['options']['slo']}: {report['knee']}", drawn)]


def level_page(level: Json, name: str) -> list[str]:
    """Of one."""
    rows = level.get("turns", [])
    made = [f"<h2>{escape(name)}</h2>"] if name else []
    made.append(table(level["metrics"]))
    if waits(level):
        kinds = {kind: waits(level, kind) for kind in ("question", "pausing") if waits(level, kind)}
        made.append(figure("Voice to voice", plots.ecdf({"all": waits(level)} | (kinds if len(kinds) > 1 else {}))))
        made.append(figure("Where the wait went", plots.bars(falls(level))))
        times = [(row["end_ms"] / 60_000, row["v2v_ms"]) for row in rows if row.get("v2v_ms") is not None]
        made.append(figure("Over the call", plots.over_time(times, level["metrics"].get("slope", {}))))
    overlaps = [row["overlap"] for row in rows if row.get("overlap", {}).get("outcome") in ("stopped", "spoke on")]
    if overlaps:
        ordered = sorted(overlaps, key=lambda one: (one["kind"], one["stop_ms"] or 2_000))
        made.append(figure("What the answer did when the user spoke into it", plots.raster(ordered)))
    return made


def waits(level: Json, kind: str | None = None) -> list[float]:
    """Voice to voice, of turns of one kind or all."""
    rows = [row for row in level.get("turns", []) if kind in (None, row["kind"])]
    return [row["v2v_ms"] for row in rows if row.get("v2v_ms") is not None]


def falls(level: Json) -> dict[str, Json]:
    """The waterfalls, and every turn's below them, the quickest first; at most 40 of those."""
    made = {name: fall["parts_ms"] for name, fall in level.get("waterfall", {}).items()}
    rows = sorted((row for row in level["turns"] if "parts_ms" in row), key=lambda row: row["v2v_ms"])
    return made | {f"turn {row['turn']}": row.get("server_parts_ms", row["parts_ms"]) for row in rows[:40]}


def figure(title: str, drawn: str) -> str:
    """A plot with its name."""
    return f"<h3>{escape(title)}</h3>{drawn}" if drawn else ""


def table(metrics: Json) -> str:
    """A row a metric."""
    made = ["<table><tr><th></th><th>n</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th><th>worst</th></tr>"]
    for name, label in TITLES.items():
        if name not in metrics:
            continue
        made.append(f"<tr><td>{escape(label)}</td><td>{metrics[name]['n']}</td>{cells(metrics[name])}</tr>")
    return "".join([*made, "</table>"])


def cells(metric: Json) -> str:
    """Its one value, or its percentiles, with their 95 % intervals."""
    unit = metric["unit"]
    if "value" in metric:
        sure = f" <small>{told(metric['low'], unit)} to {told(metric['high'], unit)}</small>" if "low" in metric else ""
        named = "" if unit in ("share", "count") else f" {escape(unit)}"
        return f"<td colspan=5>{told(metric['value'], unit)}{named}{sure}</td>"
    found = [metric.get(q) for q in ("p50", "p90", "p95", "p99")]
    percentiles = [
        f"{told(q['value'], unit)}<br><small>{told(q['low'], unit)} to {told(q['high'], unit)}</small>" if q else "–"
        for q in found
    ]
    largest = told(metric[metric.get("worst", "max")], unit) if "max" in metric else ""
    return "".join(f"<td>{one}</td>" for one in [*percentiles, largest])


def told(value: float, unit: str) -> str:
    """As many digits as it is worth."""
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
