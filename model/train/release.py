"""Random checkpoints in the release's layout: for tests, for benchmarks, and to see what a real one needs."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import numpy as np
import torch

from vivavoce.codecs.cmvn import write_cmvn
from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.model.config import OmniConfig, tiny
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import FIRST_FREE, train_tokenizer
from vivavoce.model.train import kitten
from vivavoce.model.weights import save_outline, save_release

SIZES = ("tiny", "kitten", "full")
TINY_VOICE = CodecConfig(
    codec_dimension=12, semantic_dim=10, semantic_token_nums=32, codec_codebook_size=5, decoder_dim=16, encoder_dim=4
)
TINY_VOCABULARY = FIRST_FREE + 256
"""The reserved ids and one for every byte."""


def make_release(size: str, directory: Path, seed: int = 0) -> None:
    """Write a checkpoint with random weights; of `full`, the size of the real one, names and shapes only.

    Raises ValueError for a size that is none of `SIZES`.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}, expected one of {', '.join(SIZES)}")
    if size == "full":
        with torch.device("meta"):
            save_outline(Omni(OmniConfig()), directory)
        return
    torch.manual_seed(seed)
    config, voice = (tiny(TINY_VOCABULARY), TINY_VOICE) if size == "tiny" else (kitten.config(), kitten.codec_config())
    save_release(Omni(config), directory)
    train_tokenizer(_babble(seed), config.backbone.vocab_size).save(directory)
    SpeechCodec(SpeechDecoderNet(voice)).save(directory / "audio_codec", torch.bfloat16)
    frames = np.random.default_rng(seed).normal(8, 3, (400, config.audio.fbank.n_mels))
    write_cmvn(directory / "audio" / "global_cmvn", frames.astype(np.float32))
    generation = {"do_sample": False, "audio_repetition_penalty": 1.0}
    (directory / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")


def _babble(seed: int) -> list[str]:
    """Words without sense, enough of them for any vocabulary of these sizes."""
    rng = random.Random(seed)
    return [" ".join("".join(rng.choices(string.ascii_lowercase, k=5)) for _ in range(8)) for _ in range(400)]
