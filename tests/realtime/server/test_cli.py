"""The command as a user runs it: what it prints, and its exit code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.realtime.server.serving import bind


def vivavoce(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A directory that could be a checkpoint and is none."""
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_a_missing_checkpoint_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ran = vivavoce("serve", "--model", tmp_path / "nowhere", "--port", 0)
    assert (ran.returncode, ran.stderr) == (2, f"vivavoce: there is no checkpoint directory {tmp_path / 'nowhere'}\n")


def test_a_checkpoint_without_its_configuration_is_one_line_that_names_the_file(empty: Path) -> None:
    ran = vivavoce("serve", "--model", empty, "--port", 0)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert str(empty / "config.json") in ran.stderr


def test_a_busy_port_is_one_line_and_exit_code_2(empty: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        ran = vivavoce("serve", "--model", empty, "--port", port)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"vivavoce: port {port} on 127.0.0.1 is in use")
    assert ran.stderr.count("\n") == 1


def test_a_question_that_is_no_sound_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "q.wav").write_text("spoken?")
    ran = vivavoce("talk", tmp_path / "q.wav", "--out", tmp_path / "r.wav")
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"vivavoce: {tmp_path / 'q.wav'} cannot be read as sound")


def test_a_server_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "q.wav", np.zeros(2_400), 24_000)
    ran = vivavoce("talk", tmp_path / "q.wav", "--out", tmp_path / "r.wav", "--url", "ws://127.0.0.1:9")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "cannot reach ws://127.0.0.1:9" in ran.stderr
