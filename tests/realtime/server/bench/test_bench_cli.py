"""`vivavoce bench ...` as somebody types it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vivavoce.realtime.server.bench.process import family
from vivavoce.realtime.server.cli import app

run = CliRunner().invoke


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latency", "--transport", "pigeon"], "'pigeon', expected ws or webrtc"),
        (["load", "--sessions", "1,two"], "expected numbers from 1"),
        (["load", "--sessions", "0"], "expected numbers from 1"),
        (["load", "--slo", "quick"], "is no condition"),
        (["chaos", "--transport", "webrtc", "--stall", "500ms@10s"], "are for --transport ws"),
        (["chaos", "--drop-conn", "sometimes"], "expected something like 20s"),
        (["compare", "one.json"], "needs two reports, got 1"),
        (["latency", "--corpus", "/nowhere"], "holds no sound files"),
        (["latency", "--model", "/nowhere"], "no checkpoint directory"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaker: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = words if "--corpus" in words or words[0] == "compare" else [*words, "--corpus", str(speaker)]
    result = run(app, ["bench", *words])
    assert result.exit_code == 2 and said in " ".join(result.output.split())


def test_nobody_there_is_a_conversation_that_failed(speaker: Path) -> None:
    result = run(app, ["bench", "latency", "--url", "ws://127.0.0.1:1", "--corpus", str(speaker)])
    assert result.exit_code == 1 and "cannot reach ws://127.0.0.1:1" in " ".join(result.output.split())


@pytest.fixture
def speaker(tmp_path: Path, wire_question: np.ndarray) -> Path:
    """A corpus of one question, with a pause in it, and one interruption."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    labels = []
    for kind in ("question", "pausing", "interruption", "backchannel", "noise"):
        soundfile.write(folder / f"{kind}.wav", wire_question, 24_000, subtype="PCM_16")
        end = len(wire_question)
        speech = [[0, end // 2 - 2_400], [end // 2, end]] if kind == "pausing" else [[0, end]]
        labels.append({"file": f"{kind}.wav", "kind": kind, "speech": speech})
    (folder / "labels.json").write_text(json.dumps({"clips": labels}))
    return folder


def test_a_server_of_its_own_is_started_measured_and_ended(speaker: Path, tmp_path: Path) -> None:
    """With the embedded model: what a person gets who types `vivavoce bench latency` and nothing else, but for one turn."""
    out = tmp_path / "out"
    result = run(app, ["bench", "latency", "--turns", "1", "--corpus", str(speaker), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "voice to voice" in result.output and "median turn:" in result.output
    report = json.loads((out / "report.json").read_text())
    assert report["server"]["own"] and report["server"]["model"] == "kitten" and report["options"]["corpus"] == "corpus"
    assert (
        len(report["turns"]) == 1
        and report["metrics"]["cpu"]["value"] > 0
        and report["metrics"]["memory"]["value"] > 50
    )
    assert {path.name for path in out.iterdir()} == {
        "report.json",
        "report.html",
        "turns.jsonl",
        "conversation-0.wav",
        "events-0.jsonl",
    }


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found by /proc")
def test_who_is_told_to_end_takes_the_server_along(speaker: Path, tmp_path: Path) -> None:
    """`kill`, while it waits for the server that it has started."""
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", "bench", "latency", "--corpus", str(speaker)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as bench:
        while not (servers := [one for one in family(bench.pid) if b"\0serve\0" in command_of(one)]):
            assert bench.poll() is None
        bench.send_signal(signal.SIGTERM)
        _, said = bench.communicate(timeout=60)
    assert bench.returncode == 1 and said == b"vivavoce: interrupted\n"
    assert not any(b"\0serve\0" in command_of(one) for one in servers)


def command_of(process: int) -> bytes:
    """Nothing, once it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
