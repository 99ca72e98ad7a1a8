"""Checkpoints that cannot be used: one line that says why and exit code 2, by the commands, before a weight is allocated."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vivavoce.codecs.codec import SpeechCodec
from vivavoce.model import weights
from vivavoce.model.examine import CheckpointError
from vivavoce.model.host import Host
from vivavoce.model.train.release import make_release

SHARD = "model-00001-of-00001.safetensors"
NORM = "model.norm.weight"


def of_another_type(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / SHARD)
    save_file(tensors | {NORM: tensors[NORM].to(torch.int32)}, checkpoint / SHARD)


def quantised_without_scales(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / SHARD)
    save_file(tensors | {"lm_head.weight": tensors["lm_head.weight"].to(torch.float8_e4m3fn)}, checkpoint / SHARD)


def cut_short(checkpoint: Path) -> None:
    os.truncate(checkpoint / SHARD, (checkpoint / SHARD).stat().st_size // 2)


def tampered_with(checkpoint: Path) -> None:
    class Tamper:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(checkpoint / "it-ran"),)

    torch.save({"0.weight": Tamper()}, checkpoint / "audio" / "audio_projector.pt")


def a_bare_pickle(checkpoint: Path) -> None:
    (checkpoint / "vision" / "vision_model.pt").write_bytes(pickle.dumps({"weights": [1.0]}))


def a_codec_tampered_with(checkpoint: Path) -> None:
    torch.save({"decoder": print}, checkpoint / "audio_codec" / "decoder.pt")


def without_special_ids(checkpoint: Path) -> None:
    file = checkpoint / "tokenizer.json"
    file.write_text(file.read_text().replace("<mask_110>", "<mask_x>"))


def with_too_many_ids(checkpoint: Path) -> None:
    file = checkpoint / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"]["another"] = len(told["model"]["vocab"])
    file.write_text(json.dumps(told))


def larger_than_the_machine(checkpoint: Path) -> None:
    """As consistent as can be, and of the size of the real one."""
    shutil.rmtree(checkpoint)
    make_release("full", checkpoint)


def of_a_billion_layers(checkpoint: Path) -> None:
    file = checkpoint / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_layers": 10**9}))


Break = Callable[[Path], None]
BREAKS: list[tuple[Break, str]] = [
    (of_another_type, f"{SHARD}: {NORM} is of type I32, expected one of F32, BF16, F16"),
    (quantised_without_scales, f"{SHARD}: lm_head.weight is F8_E4M3 without lm_head.weight_scale_inv"),
    (cut_short, f"{SHARD} cannot be read, it is cut short or no safetensors file"),
    (tampered_with, "audio/audio_projector.pt holds more than tensors, and is not read: it could run code"),
    (a_bare_pickle, "vision/vision_model.pt cannot be read, it is cut short or no file of tensors"),
    (a_codec_tampered_with, "audio_codec/decoder.pt: it holds more than tensors, and is not read: it could run code"),
    (without_special_ids, "tokenizer id 134 is '<mask_x>', expected '<mask_110>'"),
    (with_too_many_ids, "tokenizer.json has 401 ids, config.json a vocabulary of 400"),
    (of_a_billion_layers, "config.json describes a backbone of"),
]
BY_COMMAND = [pair for pair in BREAKS if pair[0] in (of_another_type, cut_short, tampered_with, without_special_ids)]
BY_COMMAND.append((larger_than_the_machine, "its weights in float32, 32,768 cached tokens and its voices need"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("release") / "sound"
    make_release("tiny", directory)
    return directory


@pytest.fixture
def checkpoint(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "checkpoint"))


def vivavoce(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vivavoce.realtime.server.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("damage", "told"), BREAKS, ids=[damage.__name__ for damage, _ in BREAKS])
def test_it_is_refused_before_a_weight_is_allocated(
    checkpoint: Path, damage: Break, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(checkpoint)
    monkeypatch.setattr(weights, "_fill", lambda *_: pytest.fail("weights were allocated"))
    monkeypatch.setattr(SpeechCodec, "load", lambda _: pytest.fail("the codec was allocated"))
    with pytest.raises(CheckpointError) as refused:
        Host.load(checkpoint)
    (problem,) = refused.value.problems
    assert told in problem and "\n" not in problem
    assert not (checkpoint / "it-ran").exists()


@pytest.mark.parametrize(("damage", "told"), BY_COMMAND, ids=[damage.__name__ for damage, _ in BY_COMMAND])
def test_the_server_says_why_in_one_line_and_ends_with_2(checkpoint: Path, damage: Break, told: str) -> None:
    damage(checkpoint)
    ran = vivavoce("serve", "--model", checkpoint, "--port", 0)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith(f"vivavoce: {checkpoint} is not a usable checkpoint (1 problem): ")
    assert told in ran.stderr
    assert not (checkpoint / "it-ran").exists()


@pytest.mark.parametrize("damage", [cut_short, without_special_ids])
def test_inspection_says_why_in_one_line_and_ends_with_2(checkpoint: Path, damage: Break) -> None:
    damage(checkpoint)
    ran = vivavoce("model", "inspect", checkpoint)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert dict(BREAKS)[damage] in ran.stderr


def test_many_faults_are_told_all_at_once_whichever_file_they_are_in(checkpoint: Path) -> None:
    for damage in (of_another_type, tampered_with, a_codec_tampered_with, without_special_ids):
        damage(checkpoint)
    (checkpoint / "audio" / "global_cmvn").write_text("no matrix")
    (checkpoint / "generation_config.json").write_text("[]")
    with pytest.raises(CheckpointError) as refused:
        Host.load(checkpoint)
    assert len(refused.value.problems) == 6


def test_what_does_not_fit_beside_the_cache_is_refused_too(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "available_bytes", lambda _: 20_000_000)
    assert not Host.load(checkpoint).busy
    with pytest.raises(
        CheckpointError, match="float32, 1,000,000 cached tokens and its voices need 0.2 GB, 0.0 GB are free"
    ):
        Host.load(checkpoint, max_tokens=1_000_000)
