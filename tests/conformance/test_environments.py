"""Clients are installed with what is pinned, and where that cannot be had it is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conformance import environments
from conformance.environments import Missing


def test_without_node_its_clients_are_missing_and_the_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    installed = environments.install(["ours", "node"])
    assert installed["ours"] == sys.executable
    assert isinstance(installed["node"], Missing)
    assert str(installed["node"]) == "node and npm are not installed"


def test_what_pip_cannot_install_is_missing_and_not_taken_for_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "MADE", tmp_path / "made")
    (tmp_path / "requirements-odd.txt").write_text("no such requirement\n")
    for _ in range(2):
        installed = environments.install(["odd"])
        assert isinstance(installed["odd"], Missing)
        assert "requirements-odd.txt" in str(installed["odd"])


def test_pins_come_from_public_registries() -> None:
    lock = (environments.HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock or "https://registry.npmjs.org/" in lock
    for file in environments.HERE.glob("requirements-*.txt"):
        pins = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        assert pins and all("==" in pin and "://" not in pin for pin in pins), file.name
