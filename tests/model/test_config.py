"""A checkpoint's JSON files become numbers that can be trusted, or a sentence saying what is wrong with them."""

import dataclasses
import json
from pathlib import Path

import pytest

from vivavoce.model.config import (
    AudioConfig,
    BackboneConfig,
    ConfigError,
    SpeechConfig,
    VisionConfig,
    load_config,
    tiny,
)
from vivavoce.model.omni import Omni
from vivavoce.model.weights import save_release


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_release(Omni(tiny()), tmp_path)
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_defaults_are_the_release() -> None:
    backbone, audio, vision, speech = BackboneConfig(), AudioConfig(), VisionConfig(), SpeechConfig()
    assert (backbone.n_experts, backbone.n_attentions, backbone.cache_width) == (768, 56, 576)
    assert (audio.input_size, audio.lookahead) == (1200, 6)
    assert (vision.head_dim, vision.inner, vision.patch_width) == (80, 3456, 1176)
    assert speech.audio_vocab == 32 + 8192


def test_what_is_written_is_read_back(checkpoint: Path) -> None:
    assert load_config(checkpoint) == tiny()


def test_the_released_field_names_are_understood_and_others_ignored(checkpoint: Path) -> None:
    edit(checkpoint / "config.json", attention_method="MLA", rope_theta=10000000, zero_expert_num=2)
    backbone = load_config(checkpoint).backbone
    assert (backbone.rope_theta, backbone.zero_expert_num) == (1e7, 2)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"moe_topk": 13}, "moe_topk is 13 but there are only 12 experts"),
        ("config.json", {"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ("config.json", {"hidden_size": "wide"}, "hidden_size must be of type int, got 'wide'"),
        ("config.json", {"qk_rope_head_dim": 5}, "qk_rope_head_dim must be even, got 5"),
        ("config.json", {"speech": {"audio_vocab": 40}}, "audio_vocab is 40"),
        ("audio/config.json", {"input_size": 1120}, "input_size is 1120 but splicing 80 mels gives 1200"),
        ("audio/config.json", {"activation": "tanh"}, "activation must be relu6, relu2 or relu, got 'tanh'"),
        ("audio/preprocessor_config.json", {"fbank": {"hop": 500}}, "got hop 500"),
        ("vision/config.json", {"hidden_size": 34}, "hidden_size 34 does not split into 2 heads"),
        ("vision/config.json", {"min_tokens": 49}, "min_tokens 49 is larger than max_tokens 48"),
    ],
)
def test_an_impossible_network_is_refused_with_its_file(
    checkpoint: Path, file: str, changes: dict[str, object], message: str
) -> None:
    edit(checkpoint / file, **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(checkpoint)
    assert Path(file).parent.name in str(caught.value)


def test_a_missing_or_broken_file_is_named(checkpoint: Path) -> None:
    (checkpoint / "vision" / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"vision/config\.json is not JSON"):
        load_config(checkpoint)
    (checkpoint / "vision" / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"vision/config\.json is missing"):
        load_config(checkpoint)


def test_a_configuration_cannot_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().backbone.hidden_size = 7  # type: ignore[misc]
