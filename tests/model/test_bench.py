"""The engine's bench counts what its limits are made of as paper does, and runs what it says it runs."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.model import bench
from vivavoce.model.config import OmniConfig
from vivavoce.model.engine.network import network_of
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import Sizes
from vivavoce.realtime.server.cli import app


@pytest.fixture(scope="module")
def real() -> Sizes:
    with torch.device("meta"):
        return Sizes.of(Omni(OmniConfig()))


def test_a_lone_conversation_reads_its_activated_weights_and_its_past(real: Sizes) -> None:
    """27.15 B activated weights with eight experts, and 64,512 bytes for every position before."""
    assert bench.read_bytes(real, 8, 1, 0, 2) == pytest.approx(2 * real.activated(8), rel=1e-9)
    assert bench.read_bytes(real, 8, 1, 1000, 2) - bench.read_bytes(real, 8, 1, 0, 2) == 64_512_000


def test_many_conversations_share_experts(real: Sizes) -> None:
    """Two rows that choose 8 of 512 at random meet in 8 / 512 of their choices; very many read every expert once."""
    both = 2 * 8 - 8 * 8 / 512
    assert bench.read_bytes(real, 8, 2, 0, 1) == pytest.approx(real.activated(both), abs=real.expert)
    everything = real.parts["backbone"] - real.config.vocab_size * real.config.hidden_size
    assert bench.read_bytes(real, 8, 4096, 0, 1) == pytest.approx(everything, rel=1e-3)


def test_reading_a_prompt_costs_two_operations_a_weight_and_pair(real: Sizes) -> None:
    c = real.config
    weights = real.activated(8) - c.vocab_size * c.hidden_size
    assert bench.operations(real, 8, 1, 1) == pytest.approx(2 * weights, rel=1e-3)
    pairs = bench.operations(real, 8, 1, 2048) - 2 * 2048 * weights
    assert pairs == pytest.approx(2048 * 2049 * 56 * 64 * (128 + 64 + 128), rel=1e-6)


def test_a_step_of_the_bench_is_a_step_of_the_model() -> None:
    """The last hidden vector of a prompt in pieces is that of the whole prompt."""
    omni = bench.random_omni(bench.RANDOM["tiny"])
    rows = torch.randn(2, 21, 32)
    hall = bench.Hall(omni, network_of(omni), 2, 0, 21)
    with torch.inference_mode():
        for piece in rows.split(8, dim=1):
            last = hall.run(piece.flatten(0, 1), piece.shape[1])
        expected = omni.backbone(rows)[:, -1]
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)


def test_the_command_tells_every_figure_and_saves_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in {"COPIED": 1 << 20, "MULTIPLIED": 64, "STEPS": 3, "WARM_UP": 1, "REPEATS": 1}.items():
        monkeypatch.setattr(bench, name, small)
    out, plot = tmp_path / "figures.json", tmp_path / "figures.svg"
    wanted = ["bench", "engine", "tiny", "--batch", "1", "--batch", "3", "--context", "40", "--out", str(out)]
    wanted += ["--plot", str(plot)]
    ran = CliRunner().invoke(app, wanted)
    assert ran.exit_code == 0, ran.output
    figures = json.loads(out.read_text())["figures"]
    kinds = [(f["what"], f["batch"]) for f in figures]
    assert kinds == [
        ("decode text", 1), ("decode speech", 1), ("decode text", 3), ("decode speech", 3), ("prefill", 1),
        ("transformers text", 1), ("transformers text", 3),
    ]  # fmt: skip
    drawn = ElementTree.fromstring(plot.read_text())
    assert all((f["of_reading"] is not None) == f["what"].startswith("decode") for f in figures)
    assert len(drawn.findall("{*}circle")) == 4  # two numbers of conversations, ours and transformers'
    assert all(f["ms"] > 0 for f in figures if not f["what"].startswith("transformers"))


def test_transformers_reads_no_prompt_that_takes_a_mask_of_gigabytes() -> None:
    omni = bench.random_omni(bench.RANDOM["kitten-128K"])
    kinds = [job.what for job in bench.jobs(omni, bench.Machine("any", 1, 1), [1], [131072])]
    assert kinds == ["decode text", "decode speech"]
    rival = [job for job in bench.jobs(omni, bench.Machine("any", 1, 1), [1], [1024, 131072]) if "transf" in job.what]
    assert [job.context for job in rival] == [1024]


def test_no_checkpoint_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["bench", "engine", str(tmp_path)])
    assert ran.exit_code == 2
    assert "config.json is missing" in ran.output
