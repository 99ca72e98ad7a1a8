"""The command as a user runs it: what it prints, and its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.server.cli import check_folder, make_ice, session_config
from vivavoce.realtime.server.serving import Unusable, bind


def vivavoce(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A directory that could be a checkpoint and is none."""
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_a_conversation_may_last_as_long_as_was_said() -> None:
    assert session_config(Path("kitten")).max_session_ms == SessionConfig().max_session_ms == 3_600_000
    assert session_config(Path("kitten"), 90).max_session_ms == 90_000
    assert session_config(Path("kitten"), 0).max_session_ms is None


def test_nothing_is_recorded_unless_a_folder_is_named(tmp_path: Path) -> None:
    assert session_config(Path("kitten")).record_to is None
    assert session_config(Path("kitten"), record=tmp_path).record_to == str(tmp_path)


def test_a_folder_for_recordings_that_is_none_is_one_line(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match=f"recordings cannot be kept in {file}"):
        check_folder(file)
    check_folder(tmp_path / "new")
    assert (tmp_path / "new").is_dir()


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


def test_a_turn_server_that_is_none_is_one_line_and_exit_code_2(empty: Path) -> None:
    ran = vivavoce("serve", "--model", empty, "--port", 0, "--turn", "relay.example")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith("vivavoce: 'relay.example' is not an address of the form turn:HOST:PORT")


def test_the_environment_is_read_too(empty: Path) -> None:
    ran = vivavoce("serve", "--model", empty, "--port", 0, VIVAVOCE_TURN="turn:relay.example turns:relay.example")
    assert ran.returncode == 2
    assert ran.stderr == "vivavoce: a TURN server needs the secret that it shares with this one\n"


def test_an_environment_of_blanks_is_none(empty: Path) -> None:
    blank = {"VIVAVOCE_TURN": " ", "VIVAVOCE_TURN_SECRET": "", "VIVAVOCE_STUN": "", "VIVAVOCE_RELAY_ONLY": ""}
    ran = vivavoce("serve", "--model", empty, "--port", 0, **blank)
    assert str(empty / "config.json") in ran.stderr, "it got as far as the model"


def test_the_secret_of_the_turn_server_stands_in_a_file_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hush\n")
    assert make_ice([], ["turn:relay.example"], tmp_path / "secret", 60, False).secret == "hush"
    monkeypatch.setenv("VIVAVOCE_TURN_SECRET", "whisper")
    assert make_ice([], ["turn:relay.example"], None, 60, False).secret == "whisper"
    with pytest.raises(Unusable, match="the TURN secret cannot be read: .*nowhere"):
        make_ice([], ["turn:relay.example"], tmp_path / "nowhere", 60, False)
