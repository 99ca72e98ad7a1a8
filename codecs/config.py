"""What a codec checkpoint says of itself in `config.yaml`, under the release's own names.

The file has one table, `codec_config`. Names in it that only the encoder's file or only the decoder's file holds may be
missing; the defaults are the released 24 kHz decoder with four codebooks.

Source: LongCat-Audio-Codec, the yaml files beside its checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

CONFIG_NAME = "config.yaml"
VOICES = "voices"
"""Folder of a checkpoint's other voices, each in one of its own."""
FILE_NAMES = {"ratios": "codec_dec_ratios", "enc_ratios": "codec_enc_ratios"}
"""Fields whose name in the file is another one."""


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the codec's networks.

    Raises:
        ValueError: a size is not positive, the latent is odd, or the widths cannot be halved as often as needed.
    """

    codec_dimension: int = 1024
    """Channels of the acoustic latent; even, as two halves make it up."""

    semantic_dim: int = 1280
    """Channels of a semantic entry."""

    semantic_token_nums: int = 8192
    """Semantic codes."""

    codec_codebook_size: int = 90
    """Entries of each of the two codebooks of a stage; a stage has the square of it as codes."""

    codec_codebook_search_dim: int = 8
    """Channels an entry is searched in."""

    codec_codebooks: int = 3
    """Acoustic stages."""

    ratios: tuple[int, ...] = (8, 6, 6, 5)
    """`codec_dec_ratios`: how the decoder goes from frames to samples; the product is the samples of a frame, 1440."""

    enc_ratios: tuple[int, ...] = (4, 5, 6, 8)
    """`codec_enc_ratios`: how the acoustic encoder goes from 16 kHz samples to frames; the product is 960."""

    decoder_dim: int = 1536
    """Channels after the decoder's first convolution, halved by each ratio."""

    encoder_dim: int = 64
    """Channels after the acoustic encoder's first convolution, doubled by each ratio."""

    decoder_type: str = "24k"
    """The decoder's kind: "24k" is the causal one, which alone can stream."""

    ckpt_path: str = ""
    """Weights; only the file's name counts, it lies beside the yaml."""

    voice: str = "default"
    """What the voice of these weights is called; no field of the release's."""

    def __post_init__(self) -> None:
        for name in ("codec_dimension", "semantic_dim", "semantic_token_nums", "codec_codebook_size",
                     "codec_codebook_search_dim", "codec_codebooks", "decoder_dim", "encoder_dim"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in FILE_NAMES:
            ratios = getattr(self, name)
            if not ratios or min(ratios) < 1:
                raise ValueError(f"{name} must be whole numbers of at least 1, got {list(ratios)}")
        if self.codec_dimension % 2:
            raise ValueError(f"codec_dimension must be even, got {self.codec_dimension}")
        if self.decoder_dim % 2 ** len(self.ratios):
            raise ValueError(
                f"decoder_dim must be a multiple of {2 ** len(self.ratios)} to be halved {len(self.ratios)} times,"
                f" got {self.decoder_dim}"
            )

    @property
    def latent_dim(self) -> int:
        """Channels the decoder reads: semantic, then acoustic."""
        return self.semantic_dim + self.codec_dimension

    @property
    def frame_samples(self) -> int:
        """Samples the decoder makes of a frame: 1440 at 24 kHz, 60 ms."""
        return math.prod(self.ratios)

    @property
    def acoustic_codes(self) -> int:
        """Codes of one acoustic stage: 8100 in the release."""
        return self.codec_codebook_size**2

    @classmethod
    def read(cls, path: str | Path) -> CodecConfig:
        """From a yaml file in the release's format.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not yaml, has no table `codec_config`, or a value is impossible.
        """
        try:
            table = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["codec_config"]
            return cls(**{field.name: _value(table, field.name) for field in fields(cls) if _key(field.name) in table})
        except (yaml.YAMLError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: no table of sizes under codec_config ({error!r})") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def write(self, path: str | Path) -> None:
        """To a yaml file that `read`, and the release's own loader, take."""
        table = {_key(field.name): getattr(self, field.name) for field in fields(self)}
        table = {name: list(value) if isinstance(value, tuple) else value for name, value in table.items()}
        Path(path).write_text(yaml.safe_dump({"codec_config": table}, sort_keys=False), encoding="utf-8")


def _key(name: str) -> str:
    return FILE_NAMES.get(name, name)


def _value(table: dict[str, Any], name: str) -> Any:
    value = table[_key(name)]
    if name in FILE_NAMES:
        return tuple(int(ratio) for ratio in value)
    return str(value) if name in ("decoder_type", "ckpt_path", "voice") else int(value)


def voice_folders(folder: str | Path) -> list[Path]:
    """Where the decoders of a checkpoint lie that speak the same codes: the folder itself, then those in its `voices`."""
    return [Path(folder), *sorted(found for found in Path(folder).glob(f"{VOICES}/*") if found.is_dir())]


def voice_names(folder: str | Path) -> tuple[str, ...]:
    """What a checkpoint's voices are called, the one that speaks unless another is asked for first.

    Raises:
        OSError, ValueError: as `CodecConfig.read`, of any of them; two have one name.
    """
    names = tuple(CodecConfig.read(found / CONFIG_NAME).voice for found in voice_folders(folder))
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{folder}: {names.count(name)} voices are called {name!r}")
    return names
