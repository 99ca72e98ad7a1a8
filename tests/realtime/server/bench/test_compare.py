"""A regression is told, and what cannot be judged does not pass."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivavoce.realtime.server.bench.compare import NotComparable, regressions
from vivavoce.realtime.server.bench.metrics import condition, number
from vivavoce.realtime.server.bench.stats import share, summary
from vivavoce.realtime.server.cli import app


def report(*waits_ms: float, premature: int = 0) -> dict:
    metrics = {"v2v": summary(waits_ms), "premature": share(premature, 40)}
    return {"bench_schema": 1, "command": "latency", "metrics": metrics}


BEFORE = report(*range(400, 440))
SLOWER = report(*range(440, 480), premature=4)


def test_a_condition_is_a_metric_a_comparison_and_a_bound() -> None:
    ratio, bound = condition("v2v.p95>+5%"), condition(" premature <= 0.03 ")
    assert (ratio.metric, ratio.compare, ratio.bound, ratio.relative) == ("v2v.p95", ">", 5, True)
    assert (bound.metric, bound.compare, bound.bound, bound.relative) == ("premature", "<=", 0.03, False)
    assert ratio.holds(421.1, 401) and not ratio.holds(421, 401)
    assert condition("v2v.mean<-10%").holds(89, 100) and not condition("v2v.mean<-10%").holds(91, 100)
    assert condition("premature>+5%").holds(0.1, 0.0) and not condition("premature>+5%").holds(0.0, 0.0)


@pytest.mark.parametrize("text", ["", "v2v", "v2v.p95", "v2v.p95>", "v2v.p95>5 percent", "v2v.p95=>5", "a.b.c>1"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no condition"):
        condition(text)


def test_every_figure_has_a_name() -> None:
    metrics = BEFORE["metrics"]
    assert [number(metrics, name) for name in ("v2v.p50", "v2v.max", "v2v.n", "premature")] == [419.5, 439, 40, 0]
    assert number(metrics, "stop.p95") is None and number({"v2v": summary([1.0])}, "v2v.p95") is None


def test_a_regression_is_told_with_both_numbers() -> None:
    (line,) = regressions(BEFORE, SLOWER, [condition("v2v.p95>+5%"), condition("v2v.p95>+50%")])
    assert line == "v2v.p95: 437.05 became 477.05 (+9.2%), which is v2v.p95>+5%"
    assert regressions(SLOWER, BEFORE, [condition("v2v.p95>+5%")]) == []


def test_a_gate_that_cannot_be_judged_has_not_been_passed() -> None:
    with pytest.raises(NotComparable, match="stop.p95 is not in the first report"):
        regressions(BEFORE, SLOWER, [condition("stop.p95>+5%")])


@pytest.mark.parametrize(
    ("gate", "code", "said"),
    [
        ([], 0, "voice to voice"),
        (["--fail-on", "v2v.p95>+20%"], 0, "voice to voice"),
        (["--fail-on", "v2v.p95>+5%"], 1, "became"),
        (["--fail-on", "premature>+5%"], 1, "became"),
        (["--fail-on", "stop.p95>+5%"], 2, "not in the first"),
        (["--fail-on", "faster please"], 2, "no condition"),
    ],
)
def test_the_exit_code_says_how_it_went(tmp_path: Path, gate: list[str], code: int, said: str) -> None:
    for name, one in (("before", BEFORE), ("after", SLOWER)):
        (tmp_path / f"{name}.json").write_text(json.dumps(one))
    result = CliRunner().invoke(app, ["bench", "compare", f"{tmp_path}/before.json", f"{tmp_path}/after.json", *gate])
    assert result.exit_code == code and said in result.output


def test_a_file_that_is_no_report_and_one_of_another_schema_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text(json.dumps(BEFORE | {"bench_schema": 99}))
    for name, said in (("a", "no report of a bench"), ("b", "bench_schema 99, expected 1")):
        result = CliRunner().invoke(app, ["bench", "compare", f"{tmp_path}/{name}.json", f"{tmp_path}/{name}.json"])
        assert result.exit_code == 2 and said in " ".join(result.output.split())
