"""What the wire costs: sound with marks in it, a network that loses some, and the bench around them."""

import asyncio
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vivavoce.realtime.server.bench import marks, wire
from vivavoce.realtime.server.bench.lossy import Weather, between
from vivavoce.realtime.server.bench.wire import summary
from vivavoce.realtime.server.cli import app

RATE = 16_000
PACKET = RATE * marks.PACKET_MS // 1000


def stream(delay_s: float) -> tuple[list[tuple[float, int]], list[tuple[float, np.ndarray]]]:
    """Three cycles of marks, each packet given on so long after it left: what left when, and what came when."""
    packets = np.tile(marks.cycle(RATE), 3).reshape(-1, PACKET)
    sent = [
        (n * 0.02, n % marks.CYCLE // marks.EVERY) for n in range(len(packets)) if n % marks.CYCLE % marks.EVERY == 0
    ]
    return sent, [(n * 0.02 + delay_s, packet) for n, packet in enumerate(packets)]


@pytest.mark.parametrize("delay_s", [0.003, 0.27, 1.2])
def test_every_mark_is_found_and_its_delay_is_what_it_was(delay_s: float) -> None:
    sent, came = stream(delay_s)
    taken = marks.delays(sent, marks.found(came, RATE))
    assert [at for at, _ in taken] == [at for at, _ in sent]
    assert [s for _, s in taken] == pytest.approx([delay_s] * len(sent))


def test_a_lost_mark_is_nobody_elses() -> None:
    sent, came = stream(0.05)
    lost = {10, 50, 60}  # packets with marks in them
    silent = [(at, np.zeros(PACKET, np.float32) if n in lost else pcm) for n, (at, pcm) in enumerate(came)]
    taken = marks.delays(sent, marks.found(silent, RATE))
    assert len(taken) == len(sent) - 3
    assert [s for _, s in taken] == pytest.approx([0.05] * len(taken))


def test_what_is_not_there_has_no_percentile() -> None:
    assert summary("ours", "good", [0.001] * 19).p50_ms is None
    row = summary("ours", "bad", [0.001] * 50 + [0.1])
    assert (row.p50_ms, row.marks) == (1.0, 51)
    assert row.p99_ms is not None and row.p99_ms > 40


async def test_the_bad_network_loses_what_the_seed_says_and_passes_the_rest_both_ways() -> None:
    async def lost(seed: int) -> list[int]:
        with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
            for end in (server, client):
                end.bind(("127.0.0.1", 0))
                end.settimeout(5)
            transport, middle, port = await between(server.getsockname(), Weather(loss=0.3), seed)
            for number in range(100):
                client.sendto(bytes([number]), ("127.0.0.1", port))
            async with asyncio.timeout(5):
                while middle.passed + middle.lost < 100:
                    await asyncio.sleep(0)
            arrived = [server.recvfrom(10) for _ in range(middle.passed)]
            server.sendto(b"back", arrived[0][1])
            server.sendto(b"back", arrived[0][1])
            async with asyncio.timeout(5):
                while middle.passed + middle.lost < 102:
                    await asyncio.sleep(0)
            transport.close()
            return [data[0] for data, _ in arrived]

    once = await lost(4)
    assert 50 < len(once) < 90
    assert once == await lost(4) != await lost(5)


def test_everything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"CALM_S": 2.0, "HEALED_S": 0.2, "COST_S": 0.3, "LEAST": 3}
    few = {"SIDE_BY_SIDE": 1, "CAMERAS": 1, "CALLS": 1, "SOCKETS": 2, "DETECTED": 1}
    for name, value in {**small, **few}.items():
        monkeypatch.setattr(wire, name, value)
    done = CliRunner().invoke(app, ["bench", "wire", "--seconds", "1", "--out", str(tmp_path / "wire.json")])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "wire.json").read_text())
    assert [(row["side"], row["network"]) for row in told["delays"]] == [
        (side, network) for side in ("ours", "aiortc's own") for network in ("good", "bad", "good again")
    ]
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in told["delays"] if row["network"] == "good")
    assert [row["sessions"] for row in told["costs"]] == [1, 1, 1, 1, 1, 2, 1]
    assert all(row["core"] > 0 for row in told["costs"])
    assert "call with a camera" in done.output
