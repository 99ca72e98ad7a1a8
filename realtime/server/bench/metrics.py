"""Rows of turns to figures by name. Pure. The names are those of `compare --fail-on`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vivavoce.realtime.server.bench.script import BACKCHANNEL, INTERRUPTION, NOISE, PAUSING
from vivavoce.realtime.server.bench.stats import difference, share, short, slope, summary

Json = dict[str, Any]
Row = Json

TITLES = {
    "v2v": "voice to voice",
    "v2v_plain": "... of plain questions",
    "v2v_pausing": "... of questions with pauses",
    "endpointing": "endpointing",
    "ttfa": "turn decided to audible",
    "response": "... to the first sound",
    "playout": "... waiting to be played",
    "leading_silence": "leading silence",
    "premature": "premature answers",
    "premature_plain": "... to plain questions",
    "unanswered": "unanswered",
    "underruns_10min": "underruns in 10 min of sound",
    "dry_10min": "... silences sent inside an answer",
    "concealed": "sound concealed",
    "min_lead": "least lead",
    "stop": "stop: onset to silence",
    "detect": "... until noticed",
    "flush": "... until silent",
    "missed_stop": "missed stops",
    "false_stop": "false stops",
    "false_stop_backchannel": "... on backchannels",
    "false_stop_noise": "... on noise",
    "hold": "silence within 2 s of an overlap",
    "heard_error": "heard position, error",
    "speculation_hit": "guesses that held",
    "speculation_waste": "decoded in vain",
    "rollback_cost": "v2v after a wrong guess, more by",
    "head_start": "head start won",
    "slope": "v2v over the call",
    "slope_ttfa": "... decided to audible",
    "lost": "connections lost",
    "refused": "sessions refused",
    "back": "back after a loss",
    "client_late": "this client's own lateness",
    "cpu": "server, of a core",
    "memory": "server, memory",
}
"""In the order of the table. Rows of a metric that was not measured are left out."""


def figures(rows: Sequence[Row], late_ms: Sequence[float]) -> Json:
    """name -> summary, share or slope; only what could be measured."""
    made: Json = {}
    for name, values in (
        ("v2v", each(rows, "v2v_ms")),
        ("v2v_plain", each([row for row in rows if row["kind"] != PAUSING], "v2v_ms")),
        ("v2v_pausing", each([row for row in rows if row["kind"] == PAUSING], "v2v_ms")),
        ("endpointing", part(rows, "endpointing")),
        ("ttfa", each(rows, "ttfa_ms")),
        ("response", part(rows, "response")),
        ("playout", part(rows, "playout")),
        ("leading_silence", part(rows, "leading_silence")),
        ("min_lead", each(rows, "min_lead_ms")),
        ("heard_error", [abs(error) for row in rows for error in row.get("heard_errors_ms", ())]),
        ("client_late", late_ms),
    ):
        made |= {name: summary(values)} if len(values) else {}
    if "min_lead" in made:
        made["min_lead"]["worst"] = "min"
    made |= interruptions(rows) if any("overlap" in row for row in rows) else punctuality(rows)
    made |= underruns(rows) | speculation(rows)
    for name, key in (("slope", "v2v_ms"), ("slope_ttfa", "ttfa_ms")):
        timed = [(row["end_ms"] / 60_000, row[key]) for row in rows if row.get(key) is not None]
        made |= {name: slope(*zip(*timed, strict=True))} if timed else {}
    return made


def each(rows: Iterable[Row], name: str) -> list[float]:
    """What is known of it."""
    return [row[name] for row in rows if row.get(name) is not None]


def part(rows: Iterable[Row], name: str) -> list[float]:
    """The same of a part of the wait."""
    return each([row["parts_ms"] for row in rows if "parts_ms" in row], name)


def punctuality(rows: Sequence[Row]) -> Json:
    """Answers that came before the end of the question, or not at all."""
    pausing = [row for row in rows if row["pauses_ms"]]
    plain = [row for row in rows if not row["pauses_ms"]]
    made = {"unanswered": share(sum(not row["answered"] for row in rows), len(rows))}
    for name, of in (("premature", pausing), ("premature_plain", plain)):
        if of:
            made[name] = share(sum(row["premature"] for row in of), len(of))
    return made


def interruptions(rows: Sequence[Row]) -> Json:
    """What became of answers that the user spoke into. An overlap that came too late for any counts nowhere."""
    overlaps = [row["overlap"] for row in rows if "overlap" in row]
    real = [one for one in overlaps if one["kind"] == INTERRUPTION and one["outcome"] in ("stopped", "spoke on")]
    made: Json = {}
    for name in ("stop", "detect", "flush"):
        values = each(real, f"{name}_ms")
        made |= {name: summary(values)} if values else {}
    if real:
        made["missed_stop"] = share(sum(one["outcome"] == "spoke on" for one in real), len(real))
    for name, kinds in (
        ("false_stop", (BACKCHANNEL, NOISE)),
        ("false_stop_backchannel", (BACKCHANNEL,)),
        ("false_stop_noise", (NOISE,)),
    ):
        of = [one for one in overlaps if one["kind"] in kinds and one["outcome"] in ("stopped", "spoke on")]
        if of:
            made[name] = share(sum(one["outcome"] == "stopped" for one in of), len(of))
    held = [one["hold_ms"] for one in overlaps if one["kind"] in (BACKCHANNEL, NOISE) and one["outcome"] == "spoke on"]
    return made | ({"hold": summary(held)} if held else {})


def underruns(rows: Sequence[Row]) -> Json:
    """How often sound ran dry, for ten minutes of it."""
    spoken = sum(row.get("spoken_ms") or 0 for row in rows)
    if not spoken:
        return {}
    count = sum(row["underruns"] for row in rows)
    lost = sum(row["underrun_ms"] for row in rows)
    value = round(count * 600_000 / spoken, 2)
    own = sum(row.get("own_gaps") or 0 for row in rows)
    sums = {"count": count, "own_gaps": own, "silence_ms": round(lost, 1), "spoken_s": round(spoken / 1000, 1)}
    made: Json = {"underruns_10min": {"unit": "count", "n": len(rows), "value": value, **sums}}
    dry = sum(row.get("dry") or 0 for row in rows)
    if dry:
        made["dry_10min"] = {"unit": "count", "n": len(rows), "value": round(dry * 600_000 / spoken, 2), "count": dry}
    concealed = sum(row.get("concealed_ms") or 0 for row in rows)
    return made | (
        {"concealed": {"unit": "share", "n": len(rows), "value": round(concealed / spoken, 4)}} if concealed else {}
    )


def speculation(rows: Sequence[Row]) -> Json:
    """Of a server that tells: how often the first guess held, and what was made for nothing."""
    told = [row["speculation"] for row in rows if "speculation" in row]
    if not told:
        return {}
    held, wrong = sum(one["answers"] for one in told), sum(one["rollbacks"] for one in told)
    made: Json = {"speculation_hit": share(held, held + wrong)}
    decoded = sum(one["decoded_ms"] for one in told)
    if decoded:
        gone = sum(one["discarded_ms"] for one in told)
        made["speculation_waste"] = {"unit": "share", "n": len(told), "value": round(gone / decoded, 4)}
    starts = each(told, "head_start_ms")
    wrong_first, right_first = (
        [row["v2v_ms"] for row in each_told(rows) if bool(row["speculation"]["rollbacks"]) is rolled]
        for rolled in (True, False)
    )
    made["rollback_cost"] = difference(wrong_first, right_first)
    return made | ({"head_start": summary(starts)} if starts else {})


def each_told(rows: Iterable[Row]) -> list[Row]:
    """Turns of which both the wait and the guesses are known."""
    return [row for row in rows if "speculation" in row and row.get("v2v_ms") is not None]


def waterfalls(rows: Sequence[Row]) -> Json:
    """The median turn and the worst, part by part; of a server that tells, its own parts in them. They sum to its v2v."""
    waited = sorted((row for row in rows if row.get("v2v_ms") is not None), key=lambda row: row["v2v_ms"])
    if not waited:
        return {}
    chosen = {"median": waited[(len(waited) - 1) // 2], "worst": waited[-1]}
    return {
        name: {"turn": row["turn"], "v2v_ms": row["v2v_ms"], "parts_ms": row.get("server_parts_ms", row["parts_ms"])}
        for name, row in chosen.items()
    }


# --- one number out of all of them ----------------------------------------------------------------------------------


COMPARES: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Condition:
    """`v2v.p95>+5%`, against a baseline; `v2v.p95<=700`, by itself."""

    text: str
    metric: str
    compare: str
    bound: float
    relative: bool

    def holds(self, value: float, baseline: float | None = None) -> bool:
        """Whether it is as the condition says. A ratio to a baseline of 0 is exceeded by whatever is more."""
        bound = self.bound if not self.relative else (baseline or 0.0) * (1 + self.bound / 100)
        return COMPARES[self.compare](value, bound)


CONDITION = re.compile(r"([a-z0-9_]+(?:\.[a-z0-9_]+)?)\s*(<=|>=|<|>)\s*([+-]?\d+(?:\.\d+)?)\s*(%?)")


def condition(text: str) -> Condition:
    """Raises ValueError with what was expected."""
    found = CONDITION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no condition; expected one like 'v2v.p95>+5%' or 'v2v.p95<=700'")
    return Condition(text.strip(), found[1], found[2], float(found[3]), bool(found[4]))


def number(metrics: Json, name: str) -> float | None:
    """`v2v.p95`, `v2v.mean`, `premature` -> its value; None if it was not measured, or of too few for a percentile."""
    metric, _, field = name.partition(".")
    value = metrics.get(metric, {}).get(field or "value")
    value = value.get("value") if isinstance(value, dict) else value
    return None if value is None else short(value) if abs(value) >= 1 else float(value)
