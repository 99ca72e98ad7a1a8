"""Random checkpoints in the release's layout: for tests, for benchmarks, and to see what a real one needs."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vivavoce.codecs.cmvn import write_cmvn
from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.config import CONFIG_NAME, CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.model.config import OmniConfig, tiny
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import FIRST_FREE, train_tokenizer
from vivavoce.model.train import kitten
from vivavoce.model.weights import save_outline, save_release

TINY_VOICE = CodecConfig(
    codec_dimension=12, semantic_dim=10, semantic_token_nums=32, codec_codebook_size=5, decoder_dim=16, encoder_dim=4
)
TINY_VOCABULARY = FIRST_FREE + 256
"""The reserved ids and one for every byte."""
LARGEST_VOCABULARY = 2048
"""Of words without sense; a tokenizer may have fewer ids than the network."""
FULL_VOICE = CodecConfig(ckpt_path="LongCatAudioCodec_decoder_24k_4codebooks_aug_sft.pt")
CONFIGS: dict[str, Callable[[], tuple[OmniConfig, CodecConfig]]] = {
    "tiny": lambda: (tiny(TINY_VOCABULARY), TINY_VOICE),
    "kitten": lambda: (kitten.config(), kitten.codec_config()),
    "full": lambda: (OmniConfig(), FULL_VOICE),
}
SIZES = tuple(CONFIGS)


def make_release(size: str, directory: Path, seed: int = 0) -> None:
    """Write a checkpoint with random weights; of `full`, the size of the real one, names and shapes only.

    Raises ValueError for a size that is none of `SIZES`.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}, expected one of {', '.join(SIZES)}")
    torch.manual_seed(seed)
    config, voice = CONFIGS[size]()
    if size == "full":
        with torch.device("meta"):
            save_outline(_with_mtp(config), directory)
            _save_outline_of_voice(voice, directory / "audio_codec")
    else:
        save_release(_with_mtp(config), directory)
        SpeechCodec(SpeechDecoderNet(voice)).save(directory / "audio_codec", torch.bfloat16)
    train_tokenizer(_babble(seed), min(config.backbone.vocab_size, LARGEST_VOCABULARY)).save(directory)
    frames = np.random.default_rng(seed).normal(8, 3, (400, config.audio.fbank.n_mels))
    write_cmvn(directory / "audio" / "global_cmvn", frames.astype(np.float32))
    generation = {"do_sample": False, "audio_repetition_penalty": 1.0}
    (directory / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")


def _with_mtp(config: OmniConfig) -> Omni:
    made = Omni(config)
    made.add_mtp()
    return made


def _save_outline_of_voice(config: CodecConfig, folder: Path) -> None:
    """As the codec's own `save`, but for a decoder without numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    config.write(folder / CONFIG_NAME)
    torch.save(dict(SpeechDecoderNet(config).state_dict()), folder / config.ckpt_path)


def _babble(seed: int) -> list[str]:
    """Words without sense, enough of them for any vocabulary of these sizes."""
    rng = random.Random(seed)
    return [" ".join("".join(rng.choices(string.ascii_lowercase, k=5)) for _ in range(8)) for _ in range(400)]
