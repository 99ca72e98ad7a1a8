"""The page's pure modules under node's own test runner, and its types under TypeScript where that is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"
COMPILER = shutil.which("tsc", path=str(WEB / "node_modules" / ".bin")) or shutil.which("tsc")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_module(file: Path) -> None:
    run = subprocess.run(["node", "--test", str(file)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(COMPILER is None, reason="typescript is not installed (npm install in web/)")
def test_types() -> None:
    run = subprocess.run([str(COMPILER), "--noEmit", "-p", str(WEB)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_element_the_scripts_ask_for_is_on_the_page() -> None:
    page = (WEB / "index.html").read_text()
    scripts = "".join(file.read_text() for file in (WEB / "src").glob("*.js"))
    asked = set(re.findall(r'element\("([\w-]+)"\)', scripts))
    assert asked
    assert asked <= set(re.findall(r'id="([\w-]+)"', page))


def test_the_board_has_a_camera_s_proportions() -> None:
    board = re.search(r'<canvas id="board" width="(\d+)" height="(\d+)"', (WEB / "index.html").read_text())
    assert board is not None
    assert int(board[1]) * 3 == int(board[2]) * 4


def test_every_module_that_is_imported_exists() -> None:
    for file in (WEB / "src").glob("*.js"):
        for name in re.findall(r'from "(\./[\w-]+\.js)"', file.read_text()):
            assert (file.parent / name).is_file(), f"{file.name} imports {name}"
