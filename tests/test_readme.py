"""The README keeps its word: its program runs, its commands, files and defaults exist."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.main import get_command

from vivavoce.realtime.config import OverlapConfig, PatienceConfig, SamplerConfig, SessionConfig, VadConfig
from vivavoce.realtime.server import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """HOST:PORT of a server with the embedded model, started as a user starts it; it prints its address when it is ready."""
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        said = []
        try:
            for line in running.stdout:
                said.append(line)
                if address := re.search(r"http://(\S+)", line):
                    break
            else:
                pytest.fail(f"the server did not start: {''.join(said)}")
            yield address[1]
        finally:
            running.terminate()


def humming(seconds: float, rate: int) -> np.ndarray:
    """A voiced sound at 120 Hz with the formants of an open vowel, int16 [samples]."""
    at = np.arange(int(seconds * rate)) / rate
    strength = {n: sum(np.exp(-(((120 * n - formant) / 150) ** 2)) for formant in (700, 1_200)) for n in range(1, 20)}
    wave = sum(level * np.sin(2 * np.pi * 120 * n * at) for n, level in strength.items())
    return (wave / np.abs(wave).max() * 12_000).astype(np.int16)


def test_the_smallest_program_prints_an_answer(server: str, tmp_path: Path) -> None:
    (program,) = blocks("python")
    question = tmp_path / "question.wav"
    soundfile.write(question, humming(1.2, 24_000), 24_000)
    here = program.replace("localhost:8000", server)
    assert here != program
    command = [sys.executable, "-c", here, str(question)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"\w", ran.stdout), "no words came back"


def test_the_smallest_program_is_small() -> None:
    (program,) = blocks("python")
    assert len([line for line in program.splitlines() if line.strip()]) <= 12


def test_its_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {word for block in blocks("sh") for word in re.findall(r"\bmake (\w+)", block)}
    assert targets >= {"run", "test", "lint", "bench"}
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_its_commands_exist() -> None:
    commands = set(getattr(get_command(cli.app), "commands"))  # noqa: B009
    assert set(re.findall(r"\bvivavoce (serve|talk|train|bench|\w+ [A-Z]{2,})", README)) >= {"train", "bench"}
    assert set(re.findall(r"`vivavoce ([a-z]+)", README)) <= commands


def test_its_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if not target.startswith("https://")]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
    named = re.findall(r"`((?:model|realtime|codecs|web|tests)/[\w/.]*)`", README)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_its_defaults_are_the_ones_in_force() -> None:
    told = re.findall(r"^\| `(\w+)` \| ([\d .]+) \|", README, re.M)
    assert len(told) >= 6
    configs = (VadConfig(), PatienceConfig(), OverlapConfig(), SamplerConfig(), SessionConfig())
    in_force = {name: value for config in configs for name, value in vars(config).items()}
    assert {name: float(value.replace(" ", "")) for name, value in told} == {name: in_force[name] for name, _ in told}
