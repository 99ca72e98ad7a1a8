"""The rooms of the house and who may enter which: import directions, purity, and the list of packages."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("realtime", "codecs", "model")
SOURCES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))

WAITING = {
    "asyncio",
    "threading",
    "multiprocessing",
    "concurrent",
    "socket",
    "select",
    "selectors",
    "time",
    "subprocess",
}
"""What only realtime/server may touch: sockets, threads, processes, clocks."""

MAY_IMPORT_THE_ENGINE = {
    *(f"model/{name}.py" for name in ("host", "companions", "conversation", "answering", "memory", "bench")),
    "realtime/server/child.py",
    "model/train/preferences.py",
}
"""The host, the files a conversation is made of, the process around them, what measures it, and who has it answer many at once."""
TORCHLESS = {
    "codecs/media.py",
    "model/messages.py",
    *(f"model/engine/{name}.py" for name in ("sequence", "blocks", "scheduler", "events", "machine")),
}
MEASURES = {
    f"realtime/server/bench/{name}.py"
    for name in (
        "sound",
        "tape",
        "script",
        "take",
        "told",
        "heard",
        "figures",
        "stats",
        "metrics",
        "compare",
        "plots",
        "page",
    )
}
"""The bench's arithmetic: arrays in, numbers out, and it is the same tomorrow."""


def imports(source: Path) -> Iterator[str]:
    """Dotted names that a source file imports, `from a.b import c` as `a.b.c`; those for type checkers count too."""
    for node in ast.walk(ast.parse((ROOT / source).read_text(), str(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno} imports relatively; name the room in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def ours(source: Path) -> list[str]:
    return [name for name in imports(source) if is_in(name, "vivavoce")]


def foreign(source: Path) -> set[str]:
    """Top-level names from outside the standard library and outside Vivavoce."""
    return {name.split(".")[0] for name in imports(source)} - set(sys.stdlib_module_names) - {"vivavoce"}


def in_room(*folders: str, direct: bool = False) -> list[Path]:
    return [s for s in SOURCES if (str(s.parent) in folders if direct else s.as_posix().startswith(folders))]


def test_the_rooms_are_furnished() -> None:
    assert {source.parts[0] for source in SOURCES} == set(ROOMS)


@pytest.mark.parametrize("source", in_room("codecs/"), ids=str)
def test_codecs_knows_nothing_of_the_other_rooms(source: Path) -> None:
    assert [name for name in ours(source) if not is_in(name, "vivavoce.codecs")] == []


@pytest.mark.parametrize("source", in_room("model/"), ids=str)
def test_model_knows_codecs_but_no_conversation_server(source: Path) -> None:
    allowed = ["vivavoce.model", "vivavoce.codecs"]
    assert [name for name in ours(source) if not is_in(name, *allowed)] == []


@pytest.mark.parametrize("source", in_room("realtime", direct=True), ids=str)
def test_a_conversation_decides_without_waiting(source: Path) -> None:
    """realtime/*.py: standard library without clocks and sockets, numpy, the shared nouns, and each other."""
    used = list(imports(source))
    assert [name for name in used if name.split(".")[0] in WAITING] == []
    assert set().union(*(foreign(file) for file in with_all_it_imports(source))) <= {"numpy"}
    assert [name for name in ours(source) if is_in(name, "vivavoce.realtime.server")] == []
    assert [name for name in ours(source) if not is_in(name, "vivavoce.realtime", "vivavoce.codecs.media")] == []


@pytest.mark.parametrize("source", sorted(MEASURES))
def test_what_the_bench_measures_with_neither_waits_nor_looks_at_a_clock(source: str) -> None:
    reached = with_all_it_imports(Path(source))
    used = {name.split(".")[0] for file in reached for name in imports(file)}
    assert used & WAITING == set()
    assert set().union(*(foreign(file) for file in reached)) <= {"numpy", "rich"}


@pytest.mark.parametrize("source", in_room("model/engine/", "codecs/"), ids=str)
def test_engine_and_codecs_wait_for_nobody(source: Path) -> None:
    """The engine runs a step when told to; threads and processes belong to the server."""
    assert [name for name in imports(source) if name.split(".")[0] in WAITING - {"time"}] == []


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_only_the_host_and_the_worker_know_the_engine(source: Path) -> None:
    if source.as_posix().startswith("model/engine/") or source.as_posix() in MAY_IMPORT_THE_ENGINE:
        return
    assert [name for name in ours(source) if is_in(name, "vivavoce.model.engine")] == []


@pytest.mark.parametrize("source", sorted(TORCHLESS))
def test_bookkeeping_and_shared_nouns_need_no_torch(source: str) -> None:
    reached = with_all_it_imports(Path(source))
    assert "torch" not in set().union(*(foreign(file) for file in reached))


def with_all_it_imports(source: Path) -> set[Path]:
    """The file and every file of ours that it imports, directly or through others."""
    files = {dotted(file): file for file in SOURCES}
    reached, waiting = set[Path](), [source]
    while waiting:
        reached.add(file := waiting.pop())
        modules = {module for name in ours(file) for module in files if is_in(name, module)}
        waiting += [files[module] for module in modules if files[module] not in reached]
    return reached


def dotted(source: Path) -> str:
    return ".".join(("vivavoce", *source.with_suffix("").parts))


def test_no_room_shadows_the_standard_library() -> None:
    """A codecs/__init__.py would hide the standard library's module from anything run at the root."""
    assert [str(path) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")] == []


def test_every_folder_with_code_is_a_package_of_the_wheel() -> None:
    """A folder that is missing from the list still works in an editable install, and is absent from the wheel."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {"vivavoce." + ".".join(source.parent.parts) for source in SOURCES} | {"vivavoce.web"}
    assert folders == set(setuptools["packages"])
    assert setuptools["package-dir"] == {f"vivavoce.{room}": room for room in (*ROOMS, "web")}


def test_type_checkers_find_each_room_through_its_link() -> None:
    links = {link.name: link.resolve() for link in (ROOT / "tests/typing/vivavoce").iterdir()}
    assert links == {room: ROOT / room for room in ROOMS}
