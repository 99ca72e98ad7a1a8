"""Checkpoints: the release's layout, the same network back, and every fault told at once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vivavoce.model import weights
from vivavoce.model.config import tiny
from vivavoce.model.examine import CheckpointError
from vivavoce.model.omni import Omni
from vivavoce.model.weights import load_omni, save_release


@pytest.fixture
def omni() -> Omni:
    made = Omni(tiny()).eval()
    for layer in made.backbone.model.layers:
        layer.mlp.router.e_score_correction_bias.normal_()
    return made


@pytest.fixture
def checkpoint(omni: Omni, tmp_path: Path) -> Path:
    save_release(omni, tmp_path, dtype=torch.float32)
    return tmp_path


def backbone_file(checkpoint: Path) -> Path:
    return checkpoint / "model-00001-of-00001.safetensors"


def change(checkpoint: Path, file: str, **tensors: torch.Tensor | None) -> None:
    """Rewrite one file with some tensors replaced, added, or (None) removed. Dots in names are written as double underscores."""
    path = checkpoint / file
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    for key, tensor in tensors.items():
        name = key.replace("__", ".")
        state.pop(name, None)
        if tensor is not None:
            state[name] = tensor
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)


def test_what_is_saved_is_loaded(omni: Omni, checkpoint: Path) -> None:
    back = load_omni(checkpoint)
    assert back.config == omni.config and not back.training
    for name, tensor in omni.state_dict().items():
        assert torch.equal(tensor, back.state_dict()[name]), name
    x = torch.randn(1, 4, 32)
    torch.testing.assert_close(back.backbone(x), omni.backbone(x))


def test_the_files_are_the_releases(checkpoint: Path) -> None:
    assert sorted(str(path.relative_to(checkpoint)) for path in checkpoint.rglob("*") if path.is_file()) == [
        "audio/audio_embeddings.pt",
        "audio/audio_encoder.pt",
        "audio/audio_output_layers.pt",
        "audio/audio_projector.pt",
        "audio/config.json",
        "audio/preprocessor_config.json",
        "config.json",
        "language_model_embedding.pt",
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
        "vision/config.json",
        "vision/vision_model.pt",
        "vision/vision_projector.pt",
    ]
    index = json.loads((checkpoint / "model.safetensors.index.json").read_text())
    assert index["weight_map"]["lm_head.weight"] == "model-00001-of-00001.safetensors"
    copy = torch.load(checkpoint / "language_model_embedding.pt", weights_only=True)
    assert list(copy) == ["word_embeddings.weight"]


def test_half_precision_is_for_everything_but_the_routers(omni: Omni, tmp_path: Path) -> None:
    save_release(omni, tmp_path)
    stored = load_file(backbone_file(tmp_path))
    assert stored["lm_head.weight"].dtype == torch.bfloat16
    assert stored["model.layers.0.mlp.router.e_score_correction_bias"].dtype == torch.float32
    back = load_omni(tmp_path, dtype=torch.bfloat16)
    assert back.dtype == torch.bfloat16
    ours, theirs = omni.backbone.model.layers[1].mlp.router, back.backbone.model.layers[1].mlp.router
    assert torch.equal(ours.e_score_correction_bias, theirs.e_score_correction_bias)
    assert torch.equal(ours.classifier.weight, theirs.classifier.weight)


def test_large_networks_are_split_and_joined(omni: Omni, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", 60_000)
    save_release(omni, tmp_path, dtype=torch.float32)
    shards = list(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 3
    assert all(shard.stat().st_size < 80_000 for shard in shards)
    torch.testing.assert_close(load_omni(tmp_path).backbone.lm_head.weight, omni.backbone.lm_head.weight)


def test_tensors_that_good_checkpoints_carry_besides_are_no_fault(checkpoint: Path) -> None:
    zero_expert_row = torch.zeros(16, 32)
    change(
        checkpoint,
        "model-00001-of-00001.safetensors",
        model__layers__0__mlp__experts__8__gate_proj__weight=zero_expert_row,
    )
    load_omni(checkpoint)


def test_all_faults_are_told_at_once(checkpoint: Path) -> None:
    change(checkpoint, "model-00001-of-00001.safetensors", lm_head__weight=torch.zeros(161, 32))
    change(checkpoint, "audio/audio_encoder.pt", dnn__0__bias=None, dnn__9__bias=torch.zeros(5))
    (checkpoint / "vision" / "vision_projector.pt").unlink()
    (checkpoint / "audio" / "audio_embeddings.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError) as caught:
        load_omni(checkpoint)
    told = "\n".join(caught.value.problems)
    assert "model-00001-of-00001.safetensors: lm_head.weight is [161, 32], expected [160, 32]" in told
    assert "audio_encoder: dnn.0.bias [24] is missing" in told
    assert "audio/audio_encoder.pt: dnn.9.bias [5] is surplus" in told
    assert "vision/vision_projector.pt is missing" in told
    assert "audio/audio_embeddings.pt cannot be read" in told
    assert len(caught.value.problems) == 5


def test_the_copy_of_the_embedding_may_be_missing_but_not_another(checkpoint: Path) -> None:
    torch.save({"word_embeddings.weight": torch.zeros(160, 31)}, checkpoint / "language_model_embedding.pt")
    with pytest.raises(CheckpointError, match=r"holds word_embeddings.weight \[160, 31\], expected .* \[160, 32\]"):
        load_omni(checkpoint)
    (checkpoint / "language_model_embedding.pt").unlink()
    load_omni(checkpoint)


def test_an_index_that_points_elsewhere_is_told(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors.index.json"
    index = json.loads(file.read_text())
    index["weight_map"]["model.norm.weight"] = "model-00002-of-00002.safetensors"
    file.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"\(1 problem\): model-00002-of-00002.safetensors is missing"):
        load_omni(checkpoint)
    file.write_text("[]")
    with pytest.raises(CheckpointError, match="model.safetensors.index.json is not an index of shards"):
        load_omni(checkpoint)


def test_a_folder_without_a_checkpoint_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing") as caught:
        load_omni(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused(checkpoint: Path) -> None:
    torch.save({"p0.0.weight": print}, checkpoint / "vision" / "vision_projector.pt")
    with pytest.raises(CheckpointError, match=r"vision_projector\.pt holds more than tensors, and is not read"):
        load_omni(checkpoint)
