"""The bench against a server of ours over real sockets, and beside it somebody who only watches the wire."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import capture
import numpy as np
import pytest
from caller import server
from scripted_host import ScriptedHost

from vivavoce.realtime.server.bench import runs
from vivavoce.realtime.server.bench.figures import turns
from vivavoce.realtime.server.bench.link import wishes
from vivavoce.realtime.server.bench.proxy import Trouble
from vivavoce.realtime.server.bench.report import measured
from vivavoce.realtime.server.bench.runs import Target
from vivavoce.realtime.server.bench.script import Clip
from vivavoce.realtime.server.bench.sound import audible
from vivavoce.realtime.server.client import TalkFailed
from vivavoce.realtime.server.local import LocalModel

DOUBT_MS = 20
"""What the bench and an independent witness may differ by."""


@pytest.fixture
def asked(wire_question: np.ndarray) -> Clip:
    spans = audible(wire_question)
    return Clip("question", "question", wire_question, ((spans[0][0], spans[-1][1]),))


@asynccontextmanager
async def witness(where: str, file: Path) -> AsyncIterator[str]:
    """A relay in a process of its own, in front of the server; gives its address."""
    host, _, port = where.partition(":")
    command = [sys.executable, capture.__file__, host, port, str(file)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"ws://127.0.0.1:{(await process.stdout.readline()).decode().strip()}"
    finally:
        process.kill()
        await process.wait()


async def test_an_independent_witness_of_the_wire_finds_the_same_waits(asked: Clip, tmp_path: Path) -> None:
    file = tmp_path / "seen"
    async with server(LocalModel(ScriptedHost())) as where, witness(where, file) as url:
        take = await runs.latency(Target(url), [asked, asked], lambda done: None)
    rows = turns(take)
    assert [row["v2v_ms"] for row in rows] == pytest.approx(capture.waits_ms(file, 0), abs=DOUBT_MS)
    for row in rows:
        assert sum(row["parts_ms"].values()) == pytest.approx(row["v2v_ms"], abs=0.1)
        assert sum(row["server_parts_ms"].values()) == pytest.approx(row["v2v_ms"], abs=0.1)
        assert row["server_parts_ms"]["speculation"] > 0


@pytest.mark.usefixtures("loopback")
async def test_a_call_is_measured_like_a_socket(asked: Clip) -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        take = await runs.latency(Target(f"http://{where}", runs.WEBRTC), [asked], lambda done: None)
    (row,) = turns(take)
    assert take.plays_itself and row["answered"] and not row["premature"]
    assert row["v2v_ms"] > 600
    assert row["parts_ms"]["playout"] == pytest.approx(40, abs=25)
    assert sum(row["server_parts_ms"].values()) == pytest.approx(row["v2v_ms"], abs=0.1)


def test_a_server_that_does_not_know_our_extensions_is_not_asked_for_them() -> None:
    assert wishes({"model": "another"}) is None
    wish = wishes({"extensions": []})
    assert wish is not None and wish["session"]["extensions"] == ["response.metrics"]
    stands_still = wishes({"extensions": []}, stands_still=True)
    assert stands_still is not None and "output_audio_buffer.paused" in stands_still["session"]["extensions"]


async def test_a_connection_that_is_dropped_is_dialled_again(asked: Clip) -> None:
    trouble = Trouble(drop_at_s=2.0)
    async with server(LocalModel(ScriptedHost())) as where:
        takes = await runs.chaos(Target(f"ws://{where}", trouble=trouble), [asked, asked], lambda done: None)
    assert len(takes) >= 2 and takes[0].lost["at_ms"] == pytest.approx(2_000, abs=1_000)
    assert takes[0].lost["back_ms"] >= 0


async def test_sessions_that_talk_at_once_are_all_measured(asked: Clip) -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        takes = await runs.load(Target(f"ws://{where}"), [asked], sessions=2, hold_s=1.2, ramp_s=0.1)
    body = measured(takes)
    assert {row["session"] for row in body["turns"]} == {0, 1}
    assert body["metrics"]["v2v"]["n"] >= 2


async def test_nobody_there_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PATIENCE_S", 0.0)
    with pytest.raises(TalkFailed, match="cannot reach"):
        await runs.latency(Target("ws://127.0.0.1:1"), [], lambda done: None)


def test_the_witness_reads_frames(tmp_path: Path) -> None:
    frame = bytes([0x81, 0x02]) + b"{}"
    file = tmp_path / "seen"
    upgrade = b"HTTP/1.1 101\r\n\r\n" + frame
    file.write_bytes(capture.HEADER.pack(1, 5, len(upgrade)) + upgrade)
    assert list(capture.events(file, 1)) == [(5e-9, {})]
