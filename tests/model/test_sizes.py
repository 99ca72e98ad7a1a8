"""The release's published numbers follow from its configuration, and a checkpoint's from its own."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.model.backbone import Backbone
from vivavoce.model.cli import app
from vivavoce.model.config import BackboneConfig, OmniConfig, tiny
from vivavoce.model.examine import CheckpointError, examine
from vivavoce.model.host import Host
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import Sizes, available_bytes, count, parameters
from vivavoce.model.train.release import make_release
from vivavoce.model.weights import load, load_omni, packed, save_outline


@pytest.fixture(scope="module")
def real() -> Sizes:
    with torch.device("meta"):
        return Sizes.of(Omni(OmniConfig()))


def test_the_backbone_has_its_560_billion(real: Sizes) -> None:
    assert real.parts["backbone"] == pytest.approx(560.665e9, abs=5e5)


@pytest.mark.parametrize(("experts", "billions"), [(0, 18.69), (8, 27.15), (12, 31.38)])
def test_a_token_uses_what_the_report_says(real: Sizes, experts: int, billions: float) -> None:
    assert real.activated(experts) == pytest.approx(billions * 1e9, abs=5e6)


def test_the_encoders_have_the_sizes_of_the_report(real: Sizes) -> None:
    assert real.parts["vision_encoder"] == pytest.approx(637e6, abs=5e5)
    assert real.parts["audio_encoder"] + real.parts["audio_projector"] == pytest.approx(587.7e6, abs=5e4)


def test_the_codec_decoder_has_its_150_million() -> None:
    with torch.device("meta"):
        assert count(SpeechDecoderNet(CodecConfig())) == pytest.approx(150.9e6, abs=5e4)


def test_a_token_costs_64512_bytes_of_cache(real: Sizes) -> None:
    assert real.cache_bytes() == 64_512
    whole_context = real.memory_per_device(1, 1, 131_072) - real.total * 2
    assert whole_context == 131_072 * 64_512


def test_memory_is_shared_out_weights_evenly_and_conversations_whole(real: Sizes) -> None:
    one = real.memory_per_device(1, 0, 0)
    assert real.memory_per_device(16, 0, 0) == -(-one // 16)
    assert real.memory_per_device(16, 17, 1000) - real.memory_per_device(16, 0, 0) == 2 * 1000 * 64_512


def test_counting_is_what_the_tensors_hold() -> None:
    omni = Omni(tiny())
    sizes = Sizes.of(omni)
    assert sizes.total == sum(p.numel() for p in omni.parameters())
    every_expert = sizes.activated(omni.config.backbone.n_routed_experts)
    assert every_expert == count(omni.backbone) - omni.backbone.model.embed_tokens.weight.numel()


def test_a_random_release_is_one_that_answers(tmp_path: Path) -> None:
    make_release("tiny", tmp_path)
    assert not examine(tmp_path).problems
    assert not Host.load(tmp_path).busy


def test_the_real_one_is_outlined_in_a_few_megabytes_and_examined_like_any(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["make-release", str(tmp_path), "--size", "full"])
    assert made.exit_code == 0, made.output
    assert sum(file.stat().st_blocks * 512 for file in tmp_path.rglob("*") if file.is_file()) < 50e6
    assert sum(file.stat().st_size for file in tmp_path.glob("*.safetensors")) > 1.1e12

    seen = CliRunner().invoke(app, ["inspect", str(tmp_path), "--devices", "16", "--memory", "141"])
    assert seen.exit_code == 0
    for figure in ("560,664.96 M", "27,149.49 M", "64,512 bytes", "78.98 GB a device of 141.00 GB; fits"):
        assert figure in seen.output
    alone = CliRunner().invoke(app, ["inspect", str(tmp_path), "--memory", "80"])
    assert "does not fit: 1,054.51 GB too much" in alone.output

    with pytest.raises(CheckpointError, match=r"its weights in float32 need 2,2\d\d\.\d GB, \d+\.\d GB are free"):
        load_omni(tmp_path)


def test_an_outline_has_no_numbers_to_load(tmp_path: Path) -> None:
    with torch.device("meta"):
        save_outline(Omni(tiny()), tmp_path)
    with pytest.raises(CheckpointError, match="shapes only"):
        load_omni(tmp_path)


@pytest.mark.parametrize("config", [tiny().backbone, OmniConfig().backbone], ids=["tiny", "full"])
def test_the_arithmetic_of_a_backbone_needs_no_backbone(config: BackboneConfig) -> None:
    with torch.device("meta"):
        assert parameters(config) == count(Backbone(config))


def test_a_configuration_of_another_size_altogether_is_not_even_built(tmp_path: Path) -> None:
    make_release("tiny", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_layers": 10**9}))
    with pytest.raises(CheckpointError, match=r"describes a backbone of [\d,]+ parameters, the files hold [\d,]+$"):
        examine(tmp_path)


def test_more_than_there_is_is_refused_before_anything_is_allocated(tmp_path: Path, monkeypatch) -> None:
    make_release("tiny", tmp_path)
    monkeypatch.setattr("vivavoce.model.weights.available_bytes", lambda _: 1000)
    monkeypatch.setattr("vivavoce.model.weights._fill", lambda *_: pytest.fail("weights were allocated"))
    with pytest.raises(CheckpointError, match=r"need 0\.0 GB, 0\.0 GB are free on cpu"):
        load_omni(tmp_path)
    assert available_bytes(torch.device("cpu")) > 1e8


def test_what_an_engine_packs_must_fit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_release("tiny", tmp_path)
    monkeypatch.setattr("vivavoce.model.weights.available_bytes", lambda _: 10**9)
    monkeypatch.setattr("vivavoce.model.weights.packed", lambda _: 10**9)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    load(examine(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"100 cached tokens and its voices need 1\.0 GB, 1\.0 GB are free on cpu"
    ):
        load(examine(tmp_path), cache=100)
    load(examine(tmp_path), torch.bfloat16, cache=100)  # PyTorch runs that as it is


def test_inspect_counts_what_an_engine_packs(tmp_path: Path) -> None:
    make_release("kitten", tmp_path)
    seen = [CliRunner().invoke(app, ["inspect", str(tmp_path), "--dtype", kind]).output for kind in ("fp32", "bf16")]
    again = packed(examine(tmp_path))
    assert f"{again / 1e9:.2f} GB of that are the weights once more" in seen[0] and again > 1e7
    assert "once more" not in seen[1]


def test_what_cannot_be_used_ends_with_exit_code_2(tmp_path: Path) -> None:
    nothing = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert nothing.exit_code == 2
    assert "config.json is missing" in nothing.output
    make_release("tiny", tmp_path)
    (tmp_path / "vision" / "vision_projector.pt").unlink()
    broken = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert broken.exit_code == 2
    assert "vision_projector.pt is missing" in broken.output.replace("\n", " ")
    assert CliRunner().invoke(app, ["make-release", str(tmp_path), "--size", "huge"]).exit_code == 2
