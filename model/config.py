"""What the network looks like, as frozen dataclasses read from a checkpoint's JSON files.

Every number that shapes a tensor lives here; no other file of this room carries a size. Defaults are the LongCat-Flash-Omni
release where it is public, and the reference code's class defaults where it is not (`vision/config.json` and
`audio/config.json` have not been published at the time of writing). Unknown keys of a JSON file are ignored, because release
files carry many that do not concern the forward pass; a known key of the wrong type or an impossible size raises `ConfigError`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from vivavoce.codecs.fbank import FbankConfig

__all__ = [
    "AudioConfig",
    "BackboneConfig",
    "ConfigError",
    "OmniConfig",
    "SpeechConfig",
    "VisionConfig",
    "load_config",
    "tiny",
]

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration file says something no network can be built from. The message names the field and the value."""


@dataclass(frozen=True)
class BackboneConfig:
    """The LongCat-Flash decoder, in the field names of its `config.json`."""

    vocab_size: int = 131072
    hidden_size: int = 6144
    num_layers: int = 28  # double layers: two attentions, two dense FFNs and one MoE each
    num_attention_heads: int = 64
    q_lora_rank: int = 1536
    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    mla_scale_q_lora: bool = True
    mla_scale_kv_lora: bool = True
    ffn_hidden_size: int = 12288
    expert_ffn_hidden_size: int = 2048
    n_routed_experts: int = 512
    zero_expert_num: int = 256
    zero_expert_type: str = "identity"
    zero_expert_scaled: bool = True  # by routed_scaling_factor, like FFN experts; upstream sglang does not
    moe_topk: int = 12
    routed_scaling_factor: float = 6.0
    rms_norm_eps: float = 1e-5
    rope_theta: float = 1e7
    max_position_embeddings: int = 131072
    bos_token_id: int = 1
    eos_token_id: int = 2
    pad_token_id: int = 3

    def __post_init__(self) -> None:
        _positive(self, besides=("zero_expert_num",))
        if self.qk_rope_head_dim % 2:
            raise ConfigError(f"qk_rope_head_dim must be even, got {self.qk_rope_head_dim}")
        if self.zero_expert_type != "identity":
            raise ConfigError(f"zero_expert_type must be 'identity', got {self.zero_expert_type!r}")
        if self.moe_topk > self.n_experts:
            raise ConfigError(f"moe_topk is {self.moe_topk} but there are only {self.n_experts} experts")

    @property
    def n_experts(self) -> int:
        """Routed plus zero experts: the width of the router."""
        return self.n_routed_experts + self.zero_expert_num

    @property
    def n_attentions(self) -> int:
        """Attentions, and so latent cache layers: two per double layer; layer i owns 2i and 2i+1."""
        return 2 * self.num_layers

    @property
    def cache_width(self) -> int:
        """Values cached per token and attention: the scaled latent followed by the rotated shared key."""
        return self.kv_lora_rank + self.qk_rope_head_dim


@dataclass(frozen=True)
class AudioConfig:
    """Waveform features and the FSMN encoder: `audio/config.json`, with `audio/preprocessor_config.json` folded in.

    Lengths are in fbank frames (10 ms) for `splice_*` and `stride`, and in encoder frames (80 ms) for the memory orders.
    """

    input_size: int = 1200
    ffn_hidden: int = 6144
    width: int = 1536
    layers_causal: int = 16
    layers_lookahead: int = 6
    left_order: int = 10
    right_order: int = 1  # of the look-ahead layers alone
    ctc_vocab: int = 5252
    activation: str = "relu6"
    dropout: float = 0.1
    projector_hidden: int = 6144
    emb_mult: float = 1.0
    # audio/preprocessor_config.json
    fbank: FbankConfig = field(default_factory=FbankConfig)
    splice_left: int = 7
    splice_right: int = 7
    stride: int = 8

    def __post_init__(self) -> None:
        _positive(self, besides=("layers_causal", "layers_lookahead", "left_order", "splice_left", "splice_right"))
        if self.activation not in ("relu6", "relu2", "relu"):
            raise ConfigError(f"activation must be relu6, relu2 or relu, got {self.activation!r}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout must lie in [0, 1), got {self.dropout}")
        spliced = self.fbank.n_mels * (self.splice_left + self.splice_right + 1)
        if spliced != self.input_size:
            raise ConfigError(f"input_size is {self.input_size} but splicing {self.fbank.n_mels} mels gives {spliced}")

    @property
    def lookahead(self) -> int:
        """Encoder frames (80 ms) that must follow a frame before its output is final."""
        return self.layers_lookahead * self.right_order


@dataclass(frozen=True)
class VisionConfig:
    """The LongCat-ViT, its projector and its picture sizes: `vision/config.json`."""

    num_hidden_layers: int = 32
    hidden_size: int = 1280
    num_attention_heads: int = 16
    intermediate_size: int = 5184  # the SwiGLU's inner width is two thirds of it
    patch_size: int = 14
    temporal_patch_size: int = 2
    in_channels: int = 3
    qkv_bias: bool = False
    layer_scale_init: float = 0.1
    layer_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    adaptor_dim: int = 7168
    resize_factor: int = 8
    min_tokens: int = 576  # patches, before merging
    max_tokens: int = 5832  # patches, before merging
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        _positive(self)
        if self.hidden_size % (4 * self.num_attention_heads):
            heads = self.num_attention_heads
            raise ConfigError(f"hidden_size {self.hidden_size} does not split into {heads} heads of a multiple of 4")
        if self.min_tokens > self.max_tokens:
            raise ConfigError(f"min_tokens {self.min_tokens} is larger than max_tokens {self.max_tokens}")

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def inner(self) -> int:
        """Width inside the SwiGLU, `int(intermediate_size * 2 / 3)` as in the reference code."""
        return int(self.intermediate_size * 2 / 3)

    @property
    def patch_width(self) -> int:
        """Values in one flattened patch: channel, temporal, row, column (1176 in the release)."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2


@dataclass(frozen=True)
class SpeechConfig:
    """The discrete speech streams: one semantic and three acoustic codes every 60 ms. `speech` in our `config.json`."""

    audio_vocab: int = 8224
    n_codebooks: int = 4
    code_offset: int = 32  # a code's id is the code plus this; the ids below are special
    eos: int = 2  # semantic stream only
    pad: int = 3
    codebook_sizes: tuple[int, ...] = (8192, 8100, 8100, 8100)
    has_proj: bool = False

    def __post_init__(self) -> None:
        _positive(self)
        if len(self.codebook_sizes) != self.n_codebooks:
            raise ConfigError(f"{self.n_codebooks} codebooks but {len(self.codebook_sizes)} codebook sizes")
        if self.code_offset + max(self.codebook_sizes) > self.audio_vocab:
            top = self.code_offset + max(self.codebook_sizes)
            raise ConfigError(f"audio_vocab is {self.audio_vocab} but the largest codebook ends at id {top}")


@dataclass(frozen=True)
class OmniConfig:
    """The whole network. `hidden_size` of the backbone is the width every other part projects to."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)


def load_config(directory: str | Path) -> OmniConfig:
    """Read `config.json`, `audio/*.json` and `vision/config.json` below `directory`.

    Raises `ConfigError` naming the file when one is missing, is not JSON, or describes an impossible network.
    """
    root = Path(directory)
    main, vision = root / "config.json", root / "vision" / "config.json"
    audio, features = root / "audio" / "config.json", root / "audio" / "preprocessor_config.json"
    backbone, sections = _read(main), _read(features)
    fbank = _build(FbankConfig, _section(sections, "fbank", features), features)
    heard = _read(audio) | _section(sections, "splice", features)
    return OmniConfig(
        backbone=_build(BackboneConfig, backbone, main),
        audio=_build(AudioConfig, heard, audio, fbank=fbank),
        vision=_build(VisionConfig, _read(vision), vision),
        speech=_build(SpeechConfig, _section(backbone, "speech", main), main),
    )


def tiny(vocab_size: int = 160) -> OmniConfig:
    """A network of the full shape that runs in milliseconds on one core, for tests. Knows nothing, of course."""
    return OmniConfig(
        backbone=BackboneConfig(
            vocab_size=vocab_size,
            hidden_size=32,
            num_layers=2,
            num_attention_heads=4,
            q_lora_rank=8,
            kv_lora_rank=8,
            qk_nope_head_dim=8,
            qk_rope_head_dim=4,
            v_head_dim=8,
            ffn_hidden_size=48,
            expert_ffn_hidden_size=16,
            n_routed_experts=8,
            zero_expert_num=4,
            moe_topk=3,
            routed_scaling_factor=1.5,
            max_position_embeddings=4096,
        ),
        audio=AudioConfig(ffn_hidden=24, width=16, layers_causal=2, layers_lookahead=2, ctc_vocab=20),
        vision=VisionConfig(
            num_hidden_layers=2,
            hidden_size=32,
            num_attention_heads=2,
            intermediate_size=72,
            adaptor_dim=40,
            resize_factor=2,
            min_tokens=4,
            max_tokens=48,
        ),
        speech=SpeechConfig(audio_vocab=64, codebook_sizes=(32, 25, 25, 25)),
    )


def _positive(config: object, besides: tuple[str, ...] = ()) -> None:
    """Every integer of a configuration must be at least 1; those named in `besides`, at least 0."""
    for spec in dataclasses.fields(config):  # type: ignore[arg-type]
        value, least = getattr(config, spec.name), int(spec.name not in besides)
        if type(value) is int and value < least:
            raise ConfigError(f"{type(config).__name__}.{spec.name} must be at least {least}, got {value}")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold an object, not a {type(data).__name__}")
    return data


def _section(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """An object inside a file's object; empty when absent."""
    section = data.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: {name} must be an object, got {section!r}")
    return section


def _build(cls: type[T], data: dict[str, Any], path: Path, **made: Any) -> T:
    """A configuration from the keys of `data` that it knows, and from parts already `made`."""
    known: dict[str, Any] = dict(made)
    for spec in dataclasses.fields(cls):  # type: ignore[arg-type]
        if spec.name not in data or spec.name in made:
            continue
        value, default = data[spec.name], spec.default
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        elif isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(default):
            raise ConfigError(f"{path}: {spec.name} must be of type {type(default).__name__}, got {value!r}")
        known[spec.name] = value
    try:
        return cls(**known)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
