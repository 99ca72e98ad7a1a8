"""What each client is installed with: a virtual environment of its own, or node_modules; made again only when the pins change."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
MADE = HERE / ".env"
"""Everything that a run makes."""
AT_ONCE = 2
PATIENCE = 600
"""Seconds for one installation."""


class Missing(Exception):
    """A client that cannot be had here; one line that says what is missing."""


def install(names: Iterable[str]) -> dict[str, str | Missing]:
    """The program that runs the clients of each environment; "ours" is where the tests run, "node" is package.json's."""

    def one(name: str) -> str | Missing:
        try:
            return sys.executable if name == "ours" else node() if name == "node" else python(name)
        except Missing as missing:
            return missing

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def python(name: str) -> str:
    """The interpreter of the environment of requirements-NAME.txt.

    Raises:
        Missing: pip cannot install it.
    """
    pins, folder = HERE / f"requirements-{name}.txt", MADE / name
    interpreter, made_of = folder / "bin" / "python", f"{sys.version}\n{pins.read_text()}"
    if not is_fresh(folder, made_of):
        venv.create(folder, clear=True, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--disable-pip-version-check", "install"]
        options = ["--quiet", "--no-compile", "--requirement", str(pins)]
        run([*pip, *options], f"pip could not install {pins.name}")
        mark(folder, made_of)
    return str(interpreter)


def node() -> str:
    """The node that runs the clients of package-lock.json, which are installed beside it.

    Raises:
        Missing: there is no node or npm, or npm cannot install them.
    """
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise Missing("node and npm are not installed")
    made_of = (HERE / "package-lock.json").read_text()
    if not is_fresh(HERE / "node_modules", made_of):
        run([npm, "ci", "--silent", "--no-audit", "--no-fund"], "npm could not install package-lock.json")
        mark(HERE / "node_modules", made_of)
    return program


def run(command: list[str], otherwise: str) -> None:
    """Raises Missing, with what the command said last."""
    how = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": PATIENCE, "check": False}
    ran = subprocess.run(command, cwd=HERE, **how)  # type: ignore[call-overload]
    if ran.returncode != 0:
        raise Missing(f"{otherwise}: {ran.stderr.strip()[-500:]}")


def is_fresh(folder: Path, made_of: str) -> bool:
    file = folder / ".made-of"
    return file.exists() and file.read_text() == made_of


def mark(folder: Path, made_of: str) -> None:
    (folder / ".made-of").write_text(made_of)
