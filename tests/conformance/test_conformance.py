"""Clients that others wrote, as they are, in conversations with `vivavoce serve`; what came of it stands in the README."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, NoReturn

import pytest
from conformance import environments, matrix, runs
from conformance.environments import Missing
from conformance.matrix import CLIENTS, JUDGES, LAST, ROOT, Client

Reports = dict[str, dict[str, Any] | Missing]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Of all clients; they talk while the first test waits."""
    if shutil.which("espeak-ng") is None:
        do_without("the questions are spoken by espeak-ng, which is not installed")
    runners = environments.install({client.environment: None for client in CLIENTS})
    with runs.stage(tmp_path_factory.mktemp("conformance")) as stage:
        told = runs.run_all(stage, runners)
        told["server"] = {"said": stage.log.read_text().splitlines()[2:]}
    LAST.parent.mkdir(exist_ok=True)
    LAST.with_suffix(".json").write_text(json.dumps(told, indent=1, default=str))
    LAST.unlink(missing_ok=True)
    if whole := complete(told):
        LAST.write_text(matrix.table(whole))
    return told


def complete(reports: Reports) -> list[tuple[Client, dict[str, Any]]]:
    """Every client with its report; nothing if one could not be run."""
    found = [(client, reports[client.id]) for client in CLIENTS]
    return [] if any(isinstance(report, Missing) for _, report in found) else found  # type: ignore[return-value]


def report_of(client: Client, reports: Reports) -> dict[str, Any]:
    report = reports[client.id]
    if isinstance(report, Missing):
        do_without(str(report))
    return report


def do_without(missing: str) -> NoReturn:
    """Skips, but for continuous integration: there a client that was not run has not passed."""
    pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.mark.parametrize("capability", JUDGES)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_a_stock_client_can(client: Client, capability: str, reports: Reports) -> None:
    matrix.judge(report_of(client, reports), capability)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_it_has_nothing_to_complain_of(client: Client, reports: Reports) -> None:
    report = report_of(client, reports)
    assert report["errors"] == []
    assert report["events"]["response.done"] >= 5
    matrix.check_transport(client, report)


def test_the_server_has_nothing_to_complain_of(reports: Reports) -> None:
    assert reports["server"] == {"said": []}


def test_the_readme_says_what_came_of_it(reports: Reports) -> None:
    whole = complete(reports)
    if not whole:
        do_without("not all clients could be run")
    said = matrix.told_by((ROOT / "README.md").read_text())
    assert said == matrix.table(whole), "`make conformance` writes what came of it"
